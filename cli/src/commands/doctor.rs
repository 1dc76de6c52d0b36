//! `doctor`: what is wrong with this machine or this project, and how to mend it.

use std::{fs, path::Path};

use clap::ValueEnum;
use liteagent_engine::{
    capability::{how_to_set, model::Models as _},
    diagnostic::Severity,
    load::{LoadOptions, load},
};
use liteagent_guests::{packages::LOCK, python};
use liteagent_local_models::weights::{self, MODELS, Model};
use liteagent_nodes::egress::EgressPolicy;
use liteagent_sandbox_protocol::{Language, Request};
use serde::Serialize;
use serde_json::json;

use crate::{
    config::{
        self,
        models::{PULL, without_weights},
    },
    documents,
    failure::{Exit, Failure},
    platform::block_on,
    project::Project,
    sandbox,
    shell::Shell,
};

mod server;
mod settings;
mod stores;

/// Checks this machine and this project.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// How the findings are written to stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Shows every setting, and not only those that are set
    #[arg(long)]
    settings: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object
    Json,
}

/// What a check found.
#[derive(Serialize)]
struct Checked {
    name: &'static str,
    status: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// What a check found.
enum Finding {
    Good(String),
    /// It works, but someone should look at it: what, and how to mend it.
    Odd(String, String),
    /// It does not work: what, and how to mend it.
    Bad(String, String),
}

use Finding::{Bad, Good, Odd};

/// One thing to check. A check that cannot look says so, it does not fail the command.
type Check = (&'static str, fn(&Project) -> Finding);

const CHECKS: [Check; 18] = [
    ("project", project),
    ("data folder", data_folder),
    ("database", stores::database),
    ("objects", stores::objects),
    ("disk space", stores::disk_space),
    ("clock", server::clock),
    ("file roots", file_roots),
    ("http", http),
    ("sandbox", sandbox),
    ("documents", documents),
    ("vector store", stores::vector_store),
    ("queue", server::queue),
    ("server", server::server),
    ("environment", environment),
    ("secrets", secrets),
    ("models", models),
    ("local models", local_models),
    ("workflows", workflows),
];

impl Doctor {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let here = Project::here()?;
        let mut exit = Exit::Done;
        let mut checked = Vec::new();
        for (name, check) in CHECKS {
            let found = Checked::of(name, check(&here));
            if found.status == "bad" {
                exit = Exit::Failed;
            }
            if self.format == Format::Text {
                shell.out(found.line())?;
            }
            checked.push(found);
        }
        let settings = settings::look(&here);
        if settings.iter().any(settings::Looked::is_bad) {
            exit = Exit::Failed;
        }
        match self.format {
            Format::Text => shell.out(settings::lines(&settings, self.settings))?,
            Format::Json => shell.json(&json!({ "checks": checked, "settings": settings }))?,
        }
        Ok(exit)
    }
}

impl Checked {
    fn of(name: &'static str, finding: Finding) -> Self {
        let (status, text, mend) = match finding {
            Good(text) => ("ok", text, None),
            Odd(text, mend) => ("odd", text, Some(mend)),
            Bad(text, mend) => ("bad", text, Some(mend)),
        };
        Self { name, status, text, mend }
    }

    fn line(&self) -> String {
        let Self { name, status, text, mend } = self;
        let mark = if *status == "bad" { "BAD" } else { status };
        let mend = mend.as_ref().map(|mend| format!("\n{:20}to mend it: {mend}", "")).unwrap_or_default();
        format!("{mark:<4}  {name:<12}  {text}{mend}")
    }
}

fn project(here: &Project) -> Finding {
    let file = here.root.join(config::FILE);
    if file.is_file() {
        return Good(file.display().to_string());
    }
    Odd(
        format!("no `{}` here or above; {} is taken", config::FILE, here.root.display()),
        "run `liteagent init` in the folder of your workflows".to_owned(),
    )
}

fn data_folder(here: &Project) -> Finding {
    let data = here.data();
    let probe = data.join(format!(".probe-{}", std::process::id()));
    let tried = fs::create_dir_all(&data).and_then(|()| fs::write(&probe, b"x")).and_then(|()| fs::remove_file(&probe));
    match tried {
        Ok(()) if server::is_open_to_others(&data) => Odd(
            format!("{} can be written, by others too", data.display()),
            format!("take the right from them: `chmod go-w {}`", data.display()),
        ),
        Ok(()) => Good(format!("{} can be written", data.display())),
        Err(error) => Bad(
            format!("{} cannot be written: {error}", data.display()),
            "set `LITEAGENT_DATA` to a folder that can be written".to_owned(),
        ),
    }
}

fn file_roots(here: &Project) -> Finding {
    let roots = here.config.roots(&here.root);
    let missing: Vec<_> = roots.iter().filter(|root| !root.writable && !root.path.is_dir()).collect();
    if let Some(root) = missing.first() {
        return Bad(
            format!("the folder `{}` is not there", root.path.display()),
            format!("make it, or change `[files.roots]` in `{}`", config::FILE),
        );
    }
    let shown = |root: &liteagent_engine::capability::Root| {
        let name = if root.name.is_empty() { "." } else { &root.name };
        format!("{name} ({})", if root.writable { "read, write" } else { "read" })
    };
    Good(roots.iter().map(shown).collect::<Vec<_>>().join(", "))
}

fn http(here: &Project) -> Finding {
    match EgressPolicy::parse(&here.config.http.allow) {
        Ok(_) if here.config.http.allow.is_empty() => Good("public addresses only".to_owned()),
        Ok(_) => Good(format!("public addresses, and {}", here.config.http.allow.join(", "))),
        Err(error) => Bad(error, format!("change `allow` under `[http]` in `{}`", config::FILE)),
    }
}

/// Runs an empty program in each language, where code of this project runs.
fn sandbox(here: &Project) -> Finding {
    let found = sandbox::runner(here).and_then(|runner| Ok((runner, sandbox::is_elsewhere(here)?)));
    let (runner, is_elsewhere) = match found {
        Ok(found) => found,
        Err(failure) => {
            let mend = failure.hint.unwrap_or_else(|| format!("change `[sandbox]` in `{}`", config::FILE));
            return Bad(failure.message, mend);
        }
    };
    let has = match interpreters(here) {
        _ if is_elsewhere => String::new(),
        Good(has) => format!("; {has}"),
        finding => return finding,
    };
    let programs = [(Language::JavaScript, "function main() {}"), (Language::Python, "def main(): pass")];
    let tried = block_on(async {
        for (language, code) in programs {
            if let Err(failure) = runner.run(Request::new(language, code)).await {
                return Ok(Err(failure.error));
            }
        }
        Ok(Ok(()))
    });
    let place = runner.describe();
    match tried {
        Ok(Ok(())) => Good(format!("code runs {place}{has}")),
        Ok(Err(fault)) => Odd(
            format!("code does not run {place}: {}", fault.message),
            fault.hint.map_or_else(|| "see `liteagent explain LA2311`".to_owned(), String::from),
        ),
        Err(failure) => Bad(failure.message, "free memory, or end other programs".to_owned()),
    }
}

/// Starts a process that reads documents.
fn documents(here: &Project) -> Finding {
    let mend = || format!("change `[documents]` in `{}`", config::FILE);
    let readers = match documents::readers(here) {
        Ok(readers) => readers,
        Err(failure) => return Bad(failure.message, mend()),
    };
    match block_on(async { Ok(readers.try_out().await) }) {
        Ok(Ok(locked)) => Good(format!(
            "read in child processes that are refused {} things (Landlock: {})",
            locked.refused.len(),
            locked.landlock
        )),
        Ok(Err(trouble)) => Bad(trouble.message, trouble.hint),
        Err(failure) => Bad(failure.message, "free memory, or end other programs".to_owned()),
    }
}

/// What code has.
fn interpreters(here: &Project) -> Finding {
    let build = || "run `liteagent sandbox build`".to_owned();
    let bad = |failure: Failure| Bad(failure.message, failure.hint.unwrap_or_else(build));
    let guests = sandbox::guests();
    let packages = match here.packages(&guests) {
        Ok(Some(packages)) => packages,
        Ok(None) if here.lock_file().exists() => {
            return Odd(
                format!("`{LOCK}` is there, and `[sandbox] packages` of `{}` wants none", config::FILE),
                format!("delete `{LOCK}`, or name the packages"),
            );
        }
        Ok(None) => {
            return match python::state(&guests) {
                python::State::Built => Good("Python and JavaScript, with what is built in".to_owned()),
                python::State::Missing => Odd("Python is not built; code in it cannot run".to_owned(), build()),
                python::State::Other => Odd("another release built Python".to_owned(), build()),
            };
        }
        Err(failure) => return bad(failure),
    };
    match here.modules(&guests) {
        Ok(modules) => {
            let names: Vec<String> = packages.wanted().iter().map(ToString::to_string).collect();
            Good(format!("Python with {} ({} modules), and JavaScript", names.join(", "), modules.len()))
        }
        Err(failure) => bad(failure),
    }
}

fn environment(_: &Project) -> Finding {
    let ours = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("LITEAGENT_"));
    if let Some(unknown) = ours.into_iter().find(|name| !crate::settings::is_known(name)) {
        return Odd(
            format!("`{unknown}` is no setting"),
            "unset it; `liteagent doctor --settings` lists every one".to_owned(),
        );
    }
    Good("every setting is known".to_owned())
}

fn secrets(here: &Project) -> Finding {
    let secrets = match block_on(here.secrets()) {
        Ok(secrets) => secrets,
        Err(failure) => return Bad(failure.message, failure.hint.unwrap_or_else(|| "mend `.env`".to_owned())),
    };
    if let Some(name) = secrets.ruled().iter().find(|name| !secrets.has(name)) {
        return Odd(
            format!("`[secrets.{name}]` of `{}` is about a secret that is not there", config::FILE),
            format!("{}, or remove the table", how_to_set(name)),
        );
    }
    let names = secrets.names();
    let unreadable = names.iter().find_map(|name| Some((name, secrets.read(name).err()?)));
    if let Some((_, error)) = unreadable {
        let mend = error.hint.unwrap_or_else(|| "run `liteagent secrets list`".to_owned());
        return Odd(error.message, mend);
    }
    if names.is_empty() {
        return Good("none".to_owned());
    }
    let list = |entries: Option<Vec<String>>| match entries {
        None => "any".to_owned(),
        Some(entries) if entries.is_empty() => "none".to_owned(),
        Some(entries) => entries.join(", "),
    };
    let shown = |name: &String| {
        let rules = secrets.rules(name);
        let hosts = rules.hosts.map(|hosts| hosts.iter().map(ToString::to_string).collect());
        let workflows = rules.workflows.map(|workflows| workflows.iter().map(ToString::to_string).collect());
        format!("{name} (hosts: {}; workflows: {})", list(hosts), list(workflows))
    };
    Good(names.iter().map(shown).collect::<Vec<_>>().join(", "))
}

/// Nobody is called but an Ollama, and that only where nothing else stands for an alias.
fn models(here: &Project) -> Finding {
    let router = block_on(async { here.config.router(&here.secrets().await?).await });
    let router = match router {
        Ok(router) => router,
        Err(failure) => {
            let mend = failure.hint.unwrap_or_else(|| format!("change `[providers]` in `{}`", config::FILE));
            return Bad(failure.message, mend);
        }
    };
    let providers = router.providers();
    if let Some((name, Some(missing))) = providers.iter().find(|(_, missing)| missing.is_some()) {
        return Odd(format!("the provider `{name}` has no key"), missing.clone());
    }
    let default = match router.describe("default") {
        Ok(default) => default,
        Err(error) => {
            let mend = error.hint.unwrap_or_else(|| format!("change `[models]` in `{}`", config::FILE));
            return Bad(error.message, mend);
        }
    };
    let stands = |alias: &str| router.describe(alias).map_or_else(|_| "none".to_owned(), |info| info.name);
    Good(format!("default {}, fast {}, embed {}", default.name, stands("fast"), stands("embed")))
}

/// Whether the weights are there: names and sizes, not the content, which `models pull` looks at.
fn local_models(_: &Project) -> Finding {
    let missing: Vec<String> =
        MODELS.into_iter().map(Model::full_name).filter(|name| without_weights(name).is_some()).collect();
    if missing.is_empty() {
        return Good(format!("their weights are in {}", weights::folder().display()));
    }
    Odd(format!("the weights of {} are not here", missing.join(" and ")), format!("run `{PULL}`"))
}

fn workflows(here: &Project) -> Finding {
    let registry = here.node_types();
    let found = here.workflows(&here.root);
    let is_bad = |path: &Path| {
        let loaded = load(path, &registry, &LoadOptions::default());
        loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error)
    };
    let bad = found.iter().filter(|(path, _)| is_bad(path)).count();
    match (found.len(), bad) {
        (0, _) => Odd("none here".to_owned(), "run `liteagent new hello`".to_owned()),
        (count, 0) => Good(format!("{count} check clean")),
        (count, bad) => Bad(format!("{bad} of {count} have errors"), "run `liteagent check`".to_owned()),
    }
}
