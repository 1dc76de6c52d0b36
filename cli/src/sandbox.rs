//! The sandbox as this process runs code: embedded, made at the first call.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use liteagent_engine::capability::Code;
use liteagent_nodes::code::Sandboxed;
use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Failure, Fault, Language, Reply, Request},
};

use crate::config::setting;

/// A sandbox that nobody needed so far costs nothing.
static SANDBOX: OnceLock<Result<Sandbox, Fault>> = OnceLock::new();

/// Runs the code of `code` nodes.
pub(crate) fn code() -> Arc<dyn Code> {
    Arc::new(Sandboxed::new(run))
}

async fn run(request: Request) -> Reply {
    sandbox().map_err(Failure::before)?.run(request).await
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

fn sandbox() -> Result<&'static Sandbox, Fault> {
    let make = || Sandbox::new(Config { progress: say, ..Config::of_cache(setting) });
    SANDBOX.get_or_init(make).as_ref().map_err(Clone::clone)
}

/// Nobody may be there to read it, and that is no failure.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
