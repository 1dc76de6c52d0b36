//! The sandbox as this process runs code: embedded, made at the first call.

use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use liteagent_engine::{bundle::Bundle, capability::Code};
use liteagent_nodes::code::Sandboxed;
use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Class, Failure as CallFailure, Fault, Kind, Language, Reply, Request},
};
use serde_json::Value as Json;

use crate::{config::setting, failure::Failure, project::Project};

/// A sandbox that nobody needed so far costs nothing. It is that of the project around the current folder.
static SANDBOX: OnceLock<Result<Sandbox, Fault>> = OnceLock::new();

/// Runs the code of `code` nodes.
pub(crate) fn code() -> Arc<dyn Code> {
    Arc::new(Sandboxed::new(run))
}

async fn run(request: Request) -> Reply {
    sandbox().map_err(CallFailure::before)?.run(request).await
}

/// Loads the interpreters of these languages, so that no call waits for them.
pub(crate) fn prepare(languages: impl IntoIterator<Item = Language>) -> impl Future<Output = Result<(), Fault>> {
    let languages: Vec<_> = languages.into_iter().collect();
    async move {
        for language in languages {
            sandbox()?.prepare(language).await?;
        }
        Ok(())
    }
}

/// The folder of the guests.
pub(crate) fn guests() -> PathBuf {
    Config::of_cache(setting).guests
}

/// The configuration of the sandbox of a project.
pub(crate) fn config(project: &Project) -> Result<Config, Failure> {
    let config = Config { progress: say, ..Config::of_cache(setting) };
    Ok(match project.packages(&config.guests)? {
        Some(packages) => Config { python: packages.guest(), ..config },
        None => config,
    })
}

/// Refuses to begin what could not run its code: the packages of the project are not built.
pub(crate) fn check(project: &Project, bundle: &Bundle) -> Result<(), Failure> {
    if languages(bundle).contains(&Language::Python) { config(project).map(drop) } else { Ok(()) }
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

fn sandbox() -> Result<&'static Sandbox, Fault> {
    let make = || Sandbox::new(Project::here().and_then(|project| config(&project)).map_err(fault)?);
    SANDBOX.get_or_init(make).as_ref().map_err(Clone::clone)
}

/// A failure of the configuration, as a call of the sandbox tells it: trying again gives the same.
fn fault(failure: Failure) -> Fault {
    let hint = failure.hint.map(Into::into);
    Fault { class: Class::Invalid, hint, ..Fault::new(Kind::Sandbox, failure.message) }
}

/// Nobody may be there to read it, and that is no failure.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
