//! The keys of `liteagent.toml`. `Config` reads them; a test compares the sections.

use super::{Part, Setting, anything};

/// A key: its name, its default, what it is for.
struct Key(&'static str, &'static str, &'static str);

#[rustfmt::skip]
const KEYS: &[Key] = &[
    Key("models.ALIAS", "`default`, `fast` and `embed` stand for something", "What an alias of models stands for: a name, or a list of which the next stands in"),
    Key("providers.NAME.kind", "`openai`", "The wire format: `openai` or `anthropic`"),
    Key("providers.NAME.base_url", "that of a known provider", "Where it is reached; allowed by being named, also where it is private"),
    Key("providers.NAME.key", "the variable of a known provider", "The name of the secret that is its key"),
    Key("providers.NAME.headers", "none", "Headers that go along"),
    Key("providers.NAME.api_version", "none", "The version of Azure's interface"),
    Key("providers.NAME.requests_per_minute", "not limited", "How many calls a minute"),
    Key("providers.NAME.tokens_per_minute", "not limited", "How many tokens a minute"),
    Key("providers.NAME.in_flight", "not limited", "How many calls at once"),
    Key("providers.NAME.first_token", "`2m`", "How long the first token may take"),
    Key("providers.NAME.between_tokens", "`1m`", "How long the next token may take"),
    Key("providers.NAME.max_wait", "`2m`", "How long a call waits for a provider that asks to slow down"),
    Key("providers.NAME.extra", "none", "Fields that are added to every request"),
    Key("providers.NAME.models.MODEL", "what is known of it", "Prices and abilities of a model"),
    Key("files.roots.NAME", "`.` to read, `out` to write", "Folders that file nodes may use: `path`, and whether they are `writable`"),
    Key("http.allow", "none", "Private addresses that `http-request` may reach: `10.0.0.0/8`, `intranet:8080`"),
    Key("storage.min_free", "`10%`", "What must be free on the disk for a new run; `LITEAGENT_MIN_FREE` wins"),
    Key("storage.url", "the data folder", "The bucket of an object store that keeps large values and files: `s3://BUCKET/PREFIX`; `STORAGE_URL` wins"),
    Key("retention.runs", "`30d`", "How long runs are kept after their end; or `forever`"),
    Key("retention.audit", "`365d`", "How long the audit log is kept"),
    Key("retention.usage", "`forever`", "How long it is kept what was used of models, by day"),
    Key("budget.run", "5,000,000 tokens", "What one run of a server may use of models: `tokens`, `cost`"),
    Key("budget.key", "50,000,000 tokens", "What the runs of an API key may use that end on one day"),
    Key("budget.month", "500,000,000 tokens", "What the runs of the installation may use that end in one month"),
    Key("limits.runs", "`1000`", "How many runs a server executes at once"),
    Key("limits.waiting", "`10000`", "How many runs may wait in its queue"),
    Key("uploads.max_size", "`100MiB`", "The size of a file that is uploaded"),
    Key("uploads.max_files", "`20`", "How many files a request may have"),
    Key("uploads.refuse", "none", "Media types that are not taken: `application/zip`, `video/*`"),
    Key("sandbox.packages", "none", "Packages for Python: `NAME==VERSION`"),
    Key("sandbox.concurrency", "`64`", "Calls of a language that run at once"),
    Key("sandbox.queue", "`256`", "Calls that may wait"),
    Key("sandbox.threads", "one for each core", "Threads that compute"),
    Key("sandbox.processes", "one for each thread", "Child processes, where code runs in such"),
    Key("sandbox.memory", "`8GiB`", "The sum of the memory limits of the calls that run at once"),
    Key("sandbox.default", "as `liteagent explain LA3004` shows", "What a call may use that asks for nothing else: `wall`, `cpu`, `memory`, `output`, `log`"),
    Key("sandbox.maximum", "as `liteagent explain LA3004` shows", "The most that a call may ask for; also `input`"),
    Key("documents.processes", "one for each core", "Child processes that read documents"),
    Key("documents.file", "`100MiB`", "The size of a document"),
    Key("documents.text", "`20MiB`", "The size of the text that is made of it"),
    Key("documents.memory", "`1GiB`", "Memory of a child process"),
    Key("documents.time", "`60s`", "How long reading may take"),
    Key("documents.pages", "`10000`", "Pages, slides or sheets"),
    Key("documents.unpacked", "`512MiB`", "The size of everything in an archive such as DOCX"),
    Key("documents.entries", "`10000`", "The parts of an archive"),
    Key("mcp.NAME.url", "none", "Where an MCP server is"),
    Key("mcp.NAME.bearer", "none", "The name of the secret that is sent as its key"),
    Key("mcp.NAME.headers", "none", "Further headers, each with the name of a secret"),
    Key("mcp.NAME.command", "none", "In place of `url`: the program that is the server"),
    Key("mcp.NAME.env", "none", "Variables of its environment, each with the name of a secret"),
    Key("mcp.NAME.timeout", "`1m`", "How long a request may take"),
    Key("secrets.NAME.hosts", "anywhere", "Where a secret may be sent"),
    Key("secrets.NAME.workflows", "all", "Which workflows may declare it"),
];

/// Every key of `liteagent.toml`.
pub(super) fn keys() -> Vec<Setting> {
    let setting = |Key(name, default, says): &Key| Setting {
        name: (*name).to_owned(),
        default: (*default).to_owned(),
        says: (*says).to_owned(),
        is_secret: false,
        part: Part::Others,
        check: anything,
    };
    KEYS.iter().map(setting).collect()
}
