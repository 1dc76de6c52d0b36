//! Where code runs: in this process, in child processes of it, or in another sandbox.

pub(crate) mod key;

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use liteagent_engine::{
    bundle::Bundle,
    capability::{self, CodeRan, Modules, Watcher},
    codes,
    error::Code,
};
use liteagent_nodes::code::{Sandboxed, python_modules};
use liteagent_sandbox::{Config, Sandbox};
use liteagent_sandbox_client::{Children, Pool, Program};
use liteagent_sandbox_protocol::{
    Class, Failure as CallFailure, Fault, Kind, Language, Limit, Load, Reply, Request, Runner,
};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use crate::{
    config::{database::Database, setting},
    failure::Failure,
    project::Project,
};

/// The hidden command that is a child process.
pub(crate) const CHILD: &str = "sandbox-child";

/// Where code runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process.
    Here,
    /// In so many child processes.
    Children(usize),
    /// In the sandboxes at these addresses, whose key is that.
    Remote { endpoint: String, key: String },
}

/// The runner of a project, as `SANDBOX_MODE` and its kin say. Nothing is started before the first call, and packages that
/// are not built are in the way of none that runs no code.
pub(crate) fn runner(project: &Project) -> Result<Arc<dyn Runner>, Failure> {
    let limits = limits(project)?;
    match place(project, setting)? {
        Place::Remote { endpoint, key } => Ok(Arc::new(remote(&endpoint, &key, limits.default.wall)?)),
        place => Ok(Arc::new(Lazy::new(config(project).map_err(fault), place))),
    }
}

/// A failure of the configuration, as a call tells it: trying again gives the same.
fn fault(failure: Failure) -> Fault {
    let hint = failure.hint.map(Into::into);
    Fault { class: Class::Invalid, hint, ..Fault::new(Kind::Sandbox, failure.message) }
}

/// A sandbox that this machine cannot have.
pub(crate) fn unusable(fault: Fault) -> Failure {
    let failure = Failure::platform(Code(fault.kind.code()), fault.message);
    match fault.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Runs the code of `code` nodes; `watcher` is told of every call.
pub(crate) fn code(runner: Arc<dyn Runner>, watcher: Option<Arc<dyn Watcher>>) -> Arc<dyn capability::Code> {
    Arc::new(Sandboxed::new(move |request: Request| {
        let (runner, watcher) = (runner.clone(), watcher.clone());
        async move {
            let language = request.language.name();
            let reply = runner.run(request).await;
            if let Some(watcher) = watcher {
                watcher.code_ran(&code_ran(language, &reply));
            }
            reply
        }
    }))
}

/// What a watcher is told of a call.
fn code_ran(language: &'static str, reply: &Reply) -> CodeRan {
    let (usage, exceeded) = match reply {
        Ok(success) => (success.usage, None),
        Err(failure) => (failure.usage, failure.error.limit.map(Limit::name)),
    };
    let (waited, took) = (Duration::from_micros(usage.wait_us), Duration::from_micros(usage.wall_us));
    CodeRan { language, waited, took, exceeded, is_done: reply.is_ok() }
}

/// The folder of the guests.
pub(crate) fn guests() -> PathBuf {
    Config::of_cache(setting).guests
}

/// What Python code of a project can import. Nothing is known of another sandbox, and of packages before they are built.
pub(crate) fn modules(project: &Project) -> Modules {
    let is_known = matches!(is_elsewhere(project), Ok(false));
    match project.modules(&guests()) {
        Ok(packages) if is_known && packages.is_empty() => python_modules(),
        Ok(packages) if is_known => python_modules().with(packages.iter().map(String::as_str)),
        // What is wrong with the settings or the packages is told to whom runs code.
        _ => Modules::default(),
    }
}

/// The limits of the sandbox of a project.
fn limits(project: &Project) -> Result<Config, Failure> {
    Ok(Config { progress, ..project.config.sandbox.over(Config::of_cache(setting))? })
}

/// The configuration of the sandbox of a project: its limits, and the guest that holds its packages.
pub(crate) fn config(project: &Project) -> Result<Config, Failure> {
    let config = limits(project)?;
    Ok(match project.packages(&config.guests)? {
        Some(packages) => Config { python: packages.guest(), ..config },
        None => config,
    })
}

/// Refuses to begin what could not run its code here: the packages of the project are not built.
pub(crate) fn check(project: &Project, bundle: &Bundle) -> Result<(), Failure> {
    if languages(bundle).contains(&Language::Python) && !is_elsewhere(project)? {
        config(project)?;
    }
    Ok(())
}

/// Whether code of a project runs in another sandbox, which has its own packages.
pub(crate) fn is_elsewhere(project: &Project) -> Result<bool, Failure> {
    Ok(matches!(place(project, setting)?, Place::Remote { .. }))
}

/// The languages of the code in a bundle.
pub(crate) fn languages(bundle: &Bundle) -> Vec<Language> {
    let mut found = Vec::new();
    for definition in bundle.workflows.values() {
        gather(&serde_json::to_value(definition).unwrap_or_default(), &mut found);
    }
    found
}

fn gather(value: &Json, found: &mut Vec<Language>) {
    if value.get("type").and_then(Json::as_str) == Some("code") {
        let language = value.get("language").and_then(Json::as_str).and_then(|name| name.parse().ok());
        found.extend(language.filter(|language| !found.contains(language)));
    }
    match value {
        Json::Object(members) => members.values().for_each(|member| gather(member, found)),
        Json::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

/// Where code of a project runs.
pub(crate) fn place(project: &Project, setting: impl Fn(&str) -> Option<String>) -> Result<Place, Failure> {
    let endpoint = setting("SANDBOX_ENDPOINT");
    let wrong = |what: String| Failure::usage(codes::SANDBOX_SETTINGS, what);
    let is_remote = match setting("SANDBOX_MODE").as_deref() {
        None => endpoint.is_some(),
        Some("local") => false,
        Some("remote") => true,
        Some(mode) => {
            return Err(wrong(format!("`SANDBOX_MODE`: expected `local` or `remote`, found `{mode}`"))
                .hint("set it to `local` to run code on this machine"));
        }
    };
    if !is_remote {
        return Ok(if is_production(setting)? { Place::Children(processes(project)) } else { Place::Here });
    }
    let missing =
        |name: &str, hint: &str| Err(wrong(format!("`SANDBOX_MODE` is `remote`, and `{name}` is not set")).hint(hint));
    let Some(endpoint) = endpoint else {
        return missing("SANDBOX_ENDPOINT", "set it to the address of the sandbox, such as `http://sandbox:8194`");
    };
    let Some(key) = setting("SANDBOX_API_KEY") else {
        return missing(
            "SANDBOX_API_KEY",
            "set it to the key of the sandbox: `liteagent sandbox` says where it keeps its own",
        );
    };
    Ok(Place::Remote { endpoint, key })
}

/// Whether this is the platform at work, and not a developer's machine.
pub(crate) fn is_production(setting: impl Fn(&str) -> Option<String>) -> Result<bool, Failure> {
    match setting("LITEAGENT_ENV").as_deref() {
        // Machines that share a database are no developer's.
        None | Some("development") => Ok(Database::of(setting)?.is_shared()),
        Some("production") => Ok(true),
        Some(name) => {
            let message = format!("`LITEAGENT_ENV`: expected `development` or `production`, found `{name}`");
            Err(Failure::usage(codes::SANDBOX_SETTINGS, message).hint("unset it on the machine of a developer"))
        }
    }
}

/// How many child processes there are to be.
pub(crate) fn processes(project: &Project) -> usize {
    let config = &project.config.sandbox;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    config.processes.or(config.threads).unwrap_or_else(cores)
}

/// Starts what runs code on this machine. The first time on it compiles the interpreters.
pub(crate) async fn start(config: Config, place: &Place) -> Result<Arc<dyn Runner>, Fault> {
    let Place::Children(count) = place else { return Ok(Arc::new(Sandbox::new(config)?)) };
    let (part, count) = config.divided(*count);
    let compiled = part.clone();
    let compiled = tokio::task::spawn_blocking(move || Sandbox::compile(&compiled)).await;
    compiled.unwrap_or_else(|error| Err(Fault::new(Kind::Sandbox, error.to_string())))?;
    // This program itself, also when its file has been replaced since it was started.
    let program = Program { path: "/proc/self/exe".into(), arguments: vec![CHILD.into()] };
    Ok(Arc::new(Children::start(program, &part, count)?))
}

fn remote(endpoints: &str, key: &str, wall: Duration) -> Result<Pool, Failure> {
    Pool::new(endpoints, key, wall).map_err(|error| {
        Failure::usage(codes::SANDBOX_SETTINGS, format!("`SANDBOX_ENDPOINT` or `SANDBOX_API_KEY`: {error}"))
            .hint("set them to the address and the key of a running `liteagent sandbox`")
    })
}

/// A runner that is started by its first call: most commands run no code.
struct Lazy {
    /// Why there can be no sandbox is told to whom wants one.
    config: Result<Config, Fault>,
    place: Place,
    started: OnceCell<Arc<dyn Runner>>,
}

impl Lazy {
    fn new(config: Result<Config, Fault>, place: Place) -> Self {
        Self { config, place, started: OnceCell::new() }
    }

    async fn started(&self) -> Result<&Arc<dyn Runner>, Fault> {
        let config = self.config.clone()?;
        self.started.get_or_try_init(|| start(config, &self.place)).await
    }
}

#[async_trait]
impl Runner for Lazy {
    async fn run(&self, request: Request) -> Reply {
        match self.started().await {
            Ok(runner) => runner.run(request).await,
            Err(fault) => Err(Box::new(CallFailure::before(fault))),
        }
    }

    async fn ready(&self) -> Result<(), Fault> {
        self.started().await?.ready().await
    }

    async fn load(&self) -> Load {
        match self.started.get() {
            Some(runner) => runner.load().await,
            None => Load::default(),
        }
    }

    fn describe(&self) -> String {
        match (self.started.get(), &self.place) {
            (Some(runner), _) => runner.describe(),
            (None, Place::Children(_)) => "in child processes".to_owned(),
            (None, _) => "in this process".to_owned(),
        }
    }
}

/// Says on stderr what takes long. Nobody may be there to read it.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(settings: &[(&str, &str)]) -> Result<Place, String> {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::around(folder.path()).unwrap();
        let setting =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        place(&project, setting).map_err(|failure| failure.message)
    }

    #[test]
    fn code_runs_here_unless_told_otherwise() {
        assert_eq!(place_of(&[]), Ok(Place::Here));
        assert_eq!(place_of(&[("SANDBOX_MODE", "local"), ("SANDBOX_ENDPOINT", "http://x")]), Ok(Place::Here));
        assert!(matches!(place_of(&[("LITEAGENT_ENV", "production")]), Ok(Place::Children(1..))));
        let remote = Place::Remote { endpoint: "http://x".into(), key: "k".into() };
        assert_eq!(place_of(&[("SANDBOX_ENDPOINT", "http://x"), ("SANDBOX_API_KEY", "k")]), Ok(remote));
    }

    #[test]
    fn settings_that_do_not_go_together_are_named() {
        let wrong = |settings: &[(&str, &str)]| place_of(settings).unwrap_err();
        assert_eq!(
            wrong(&[("SANDBOX_MODE", "docker")]),
            "`SANDBOX_MODE`: expected `local` or `remote`, found `docker`"
        );
        assert_eq!(
            wrong(&[("SANDBOX_MODE", "remote")]),
            "`SANDBOX_MODE` is `remote`, and `SANDBOX_ENDPOINT` is not set"
        );
        assert_eq!(
            wrong(&[("SANDBOX_ENDPOINT", "http://x")]),
            "`SANDBOX_MODE` is `remote`, and `SANDBOX_API_KEY` is not set"
        );
        assert_eq!(
            wrong(&[("LITEAGENT_ENV", "prod")]),
            "`LITEAGENT_ENV`: expected `development` or `production`, found `prod`"
        );
        let failure = remote("sandbox:8194", "k", Duration::ZERO).err().unwrap();
        assert!(failure.message.contains("expected an address such as `http://sandbox:8194`"), "{}", failure.message);
    }
}
