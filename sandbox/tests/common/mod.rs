//! A sandbox with the guests that `cargo xtask guests` builds.

use std::sync::OnceLock;

use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Language, Limits, Mode, Reply, Request},
};
use serde_json::Value;

/// The sandbox of this process.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(config()).expect("the usual configuration is served"))
}

/// The usual configuration.
#[expect(clippy::disallowed_methods, reason = "tests look where make puts the guests")]
pub(crate) fn config() -> Config {
    let config = Config::of_cache(|name| std::env::var(name).ok());
    let folder = &config.guests;
    assert!(folder.join("python.wasm").is_file(), "no guests in {}: run `cargo xtask guests`", folder.display());
    config
}

/// Calls `main`.
pub(crate) async fn call(language: Language, code: &str, inputs: Value, limits: Limits) -> Reply {
    let request = Request::new(language, code).with_inputs(&inputs).expect("they are JSON").with_limits(limits);
    sandbox().run(request).await
}

/// The outputs of a call that must succeed.
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) async fn outputs(language: Language, code: &str, inputs: Value) -> Value {
    match call(language, code, inputs, Limits::default()).await {
        Ok(success) => success.outputs().expect("they are any JSON"),
        Err(failure) => panic!("{failure}\n{:?}\n{code}", failure.error.traceback),
    }
}

/// Runs a whole program.
#[allow(dead_code, reason = "each test binary uses a part")]
pub(crate) async fn script(language: Language, code: &str) -> Reply {
    sandbox().run(Request::new(language, code).with_mode(Mode::Script)).await
}
