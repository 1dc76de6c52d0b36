//! The settings of the environment.

use clap::CommandFactory as _;

use super::{
    Check, Part, Setting, anything, database, duration, jwt_secret, kind_of_machine, log, objects, qdrant, queue,
    reserve, secret_key, traces, where_code_runs, yes_or_no,
};
use crate::Args;

/// A setting of the environment that is no flag.
struct Variable {
    name: &'static str,
    default: &'static str,
    says: &'static str,
    is_secret: bool,
    part: Part,
    check: Check,
}

/// What begins the names of secrets of workflows, and the name that stands for them here.
const SECRET: (&str, &str) = ("LITEAGENT_SECRET_", "LITEAGENT_SECRET_NAME");

#[rustfmt::skip]
const VARIABLES: &[Variable] = &[
    Variable { name: "JWT_SECRET", default: "made once, kept in the data folder; demanded in production", says: "What access tokens are signed with: a random text of 32 characters or more", is_secret: true, part: Part::Server, check: jwt_secret },
    Variable { name: "SECRET_KEY", default: "made once, kept in the data folder; demanded in production", says: "What the vault is sealed and links to files are signed with: a random text of 32 characters or more", is_secret: true, part: Part::Server, check: secret_key },
    Variable { name: "SECRET_KEY_PREVIOUS", default: "none", says: "The key before `SECRET_KEY`, until `liteagent secrets rotate` has sealed everything anew", is_secret: true, part: Part::Server, check: secret_key },
    Variable { name: "LITEAGENT_ENV", default: "`development`", says: "`production`: no development key, secrets are demanded, code runs in child processes", is_secret: false, part: Part::Server, check: kind_of_machine },
    Variable { name: "LITEAGENT_ADMIN_EMAIL", default: "a link makes the first owner", says: "Who becomes the first owner while there is no user; with `LITEAGENT_ADMIN_PASSWORD`", is_secret: false, part: Part::Server, check: anything },
    Variable { name: "LITEAGENT_ADMIN_PASSWORD", default: "a link makes the first owner", says: "The password of `LITEAGENT_ADMIN_EMAIL`", is_secret: true, part: Part::Server, check: anything },
    Variable { name: "DATABASE_URL", default: "SQLite files in the data folder", says: "The PostgreSQL database that several machines share: `postgres://USER:PASSWORD@HOST:5432/DATABASE`", is_secret: true, part: Part::Server, check: database },
    Variable { name: "REDIS_URL", default: "everything is done in one process", says: "The Redis in which servers and workers meet: `redis://redis:6379`", is_secret: true, part: Part::Server, check: queue },
    Variable { name: "QUEUE_REDIS_URL", default: "`REDIS_URL`", says: "Another Redis for the queues", is_secret: true, part: Part::Server, check: queue },
    Variable { name: "CELERY_BROKER_URL", default: "`REDIS_URL`", says: "As `QUEUE_REDIS_URL`, which wins", is_secret: true, part: Part::Server, check: queue },
    Variable { name: "LITEAGENT_DATA", default: "`.liteagent` in the project", says: "The folder where everything is kept", is_secret: false, part: Part::Runs, check: anything },
    Variable { name: "LITEAGENT_LEASE", default: "`30s`", says: "After how long a process that says nothing counts as dead, and its runs are taken over", is_secret: false, part: Part::Runs, check: duration },
    Variable { name: "LITEAGENT_MIN_FREE", default: "`10%`", says: "What must be free on the disk for a new run, a share or a size; as `storage.min_free`", is_secret: false, part: Part::Runs, check: reserve },
    Variable { name: "STORAGE_URL", default: "the data folder", says: "The bucket of an object store that keeps large values and files: `s3://BUCKET/PREFIX`; as `storage.url`", is_secret: false, part: Part::Runs, check: objects },
    Variable { name: "LITEAGENT_SECRET_NAME", default: "none", says: "The secret `NAME` of workflows; also in `.env`", is_secret: true, part: Part::Runs, check: anything },
    Variable { name: "SANDBOX_MODE", default: "`local`; `remote` with an endpoint", says: "Where code runs: on this machine, or in the sandbox at `SANDBOX_ENDPOINT`", is_secret: false, part: Part::Sandbox, check: where_code_runs },
    Variable { name: "SANDBOX_ENDPOINT", default: "none", says: "The address of the sandbox: `http://sandbox:8194`; several are separated by commas, and have the same key", is_secret: false, part: Part::Sandbox, check: where_code_runs },
    Variable { name: "SANDBOX_API_KEY", default: "none; the sandbox makes its own", says: "The key of the sandbox", is_secret: true, part: Part::Sandbox, check: where_code_runs },
    Variable { name: "LITEAGENT_CACHE", default: "`~/.cache/liteagent`", says: "Where interpreters and the weights of local models are kept", is_secret: false, part: Part::Sandbox, check: anything },
    Variable { name: "QDRANT_URL", default: "embedded", says: "Where the chunks of knowledge bases are kept: the gRPC endpoint of Qdrant, `http://qdrant:6334`", is_secret: false, part: Part::Knowledge, check: qdrant },
    Variable { name: "QDRANT_API_KEY", default: "none", says: "The key of Qdrant", is_secret: true, part: Part::Knowledge, check: anything },
    Variable { name: "LITEAGENT_MODEL", default: "the first provider that has a key", says: "The model that `default` stands for", is_secret: false, part: Part::Models, check: anything },
    Variable { name: "LITEAGENT_MCP_PROGRAMS", default: "none", says: "Whether MCP servers that are programs may be started: `true`, or their names", is_secret: false, part: Part::Models, check: anything },
    Variable { name: "LITEAGENT_LOG", default: "none; `text` where a server runs", says: "The form of logs: `text` or `json`", is_secret: false, part: Part::Watching, check: log },
    Variable { name: "LITEAGENT_LOG_LEVEL", default: "`RUST_LOG`, else `info`", says: "What is logged: `warn`, `info,liteagent_engine=debug`", is_secret: false, part: Part::Watching, check: log },
    Variable { name: "RUST_LOG", default: "none", says: "As `LITEAGENT_LOG_LEVEL`, which wins", is_secret: false, part: Part::Watching, check: log },
    Variable { name: "OTEL_EXPORTER_OTLP_ENDPOINT", default: "no traces", says: "Where traces are sent, by OTLP over HTTP: `http://collector:4318`", is_secret: false, part: Part::Watching, check: traces },
    Variable { name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default: "`/v1/traces` below the endpoint", says: "The whole URL that traces are sent to", is_secret: false, part: Part::Watching, check: traces },
    Variable { name: "OTEL_EXPORTER_OTLP_HEADERS", default: "none", says: "Headers for the collector, such as its key: `name=value,name=value`", is_secret: true, part: Part::Watching, check: anything },
    Variable { name: "OTEL_EXPORTER_OTLP_PROTOCOL", default: "`http/protobuf`", says: "How the collector is spoken to; nothing else is known", is_secret: false, part: Part::Watching, check: traces },
    Variable { name: "OTEL_SERVICE_NAME", default: "`liteagent`", says: "What the server is called in traces", is_secret: false, part: Part::Watching, check: anything },
    Variable { name: "OTEL_RESOURCE_ATTRIBUTES", default: "none", says: "Attributes of every span: `name=value,name=value`", is_secret: false, part: Part::Watching, check: anything },
    Variable { name: "OTEL_TRACES_SAMPLER", default: "`parentbased_always_on`", says: "Which traces are sent: `always_on`, `always_off`, `traceidratio`, also with `parentbased_` before it", is_secret: false, part: Part::Watching, check: traces },
    Variable { name: "OTEL_TRACES_SAMPLER_ARG", default: "`1`", says: "The share of the traces that `traceidratio` sends", is_secret: false, part: Part::Watching, check: traces },
    Variable { name: "OTEL_SDK_DISABLED", default: "`false`", says: "Turns traces off", is_secret: false, part: Part::Watching, check: anything },
    Variable { name: "LITEAGENT_TRACE_CONTENT", default: "`false`", says: "Whether traces hold what models were asked and answered", is_secret: false, part: Part::Watching, check: yes_or_no },
    Variable { name: "LITEAGENT_SERVER", default: "none", says: "The server that commands are meant for; `--server` wins", is_secret: false, part: Part::Others, check: anything },
    Variable { name: "LITEAGENT_API_KEY", default: "who signed in with `liteagent login`", says: "The API key that commands call a server with", is_secret: true, part: Part::Others, check: anything },
    Variable { name: "NO_COLOR", default: "not set", says: "Turns colours off when it is set", is_secret: false, part: Part::Others, check: anything },
    Variable { name: "LITEAGENT_PYTHON", default: "found", says: "The Python that tests of this project compare with", is_secret: false, part: Part::Others, check: anything },
];

/// Every setting of the environment: those of the list, those of object stores, those of providers, and the flags that have a variable.
pub(crate) fn environment() -> Vec<Setting> {
    let listed = VARIABLES.iter().map(|variable| Setting {
        name: variable.name.to_owned(),
        default: variable.default.to_owned(),
        says: variable.says.to_owned(),
        is_secret: variable.is_secret,
        part: variable.part,
        check: variable.check,
    });
    let mut all: Vec<Setting> = listed.collect();
    all.extend(liteagent_backends::OBJECT_VARIABLES.iter().map(|(name, default, says, is_secret)| Setting {
        name: (*name).to_owned(),
        default: (*default).to_owned(),
        says: (*says).to_owned(),
        is_secret: *is_secret,
        part: Part::Runs,
        check: anything,
    }));
    all.extend(liteagent_providers::variables().map(|(name, provider, is_secret)| Setting {
        name: name.to_owned(),
        default: "none".to_owned(),
        says: if is_secret { format!("The key of {provider}") } else { format!("Another address of {provider}") },
        is_secret,
        part: Part::Models,
        check: anything,
    }));
    flags(&Args::command(), &mut all);
    all
}

/// The flags of a command, and of those below it, that have a variable.
fn flags(command: &clap::Command, all: &mut Vec<Setting>) {
    for flag in command.get_arguments() {
        let Some(name) = flag.get_env().and_then(|name| name.to_str()) else { continue };
        if all.iter().any(|known| known.name == name) {
            continue;
        }
        let said = flag.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            flag.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        // Where the default is not one value, the help says it.
        let (says, default) = match said.split_once(" [default: ") {
            Some((says, default)) => (says.to_owned(), default.trim_end_matches(']').to_owned()),
            None if values.is_empty() => (said, "none".to_owned()),
            None => (said, format!("`{}`", values.join(","))),
        };
        let part = if name.starts_with("SANDBOX_") { Part::Sandbox } else { Part::Server };
        all.push(Setting { name: name.to_owned(), default, says, is_secret: false, part, check: anything });
    }
    command.get_subcommands().for_each(|below| flags(below, all));
}

/// Whether a variable is a setting.
pub(crate) fn is_known(name: &str) -> bool {
    name.starts_with(SECRET.0) || environment().iter().any(|setting| setting.name == name)
}
