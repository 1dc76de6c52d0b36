//! What every [`Runner`] must do: [`conformance`], and what untrusted code must not, tried: [`attacks`].
//!
//! A suite takes a runner with [`PLACES`] places for calls of a language and room for [`QUEUE`] that wait.

#![expect(clippy::unwrap_used, reason = "a suite that cannot go on fails its test")]

use serde_json::{Value, json};

use crate::{Failure, Language, Limits, Mode, Reply, Request, Runner};

pub mod attacks;
pub mod conformance;

/// Calls of a language that run at once in a runner for the suites.
pub const PLACES: usize = 4;
/// Calls that wait there.
pub const QUEUE: usize = 4;

/// Calls `main`.
pub async fn call(runner: &dyn Runner, language: Language, code: &str, inputs: Value, limits: Limits) -> Reply {
    runner.run(Request::new(language, code).with_inputs(&inputs).unwrap().with_limits(limits)).await
}

/// The outputs of a call that must succeed.
pub async fn outputs(runner: &dyn Runner, language: Language, code: &str, inputs: Value) -> Value {
    match call(runner, language, code, inputs, Limits::default()).await {
        Ok(success) => success.outputs().unwrap(),
        Err(failure) => panic!("{failure}\n{:?}\n{code}", failure.error.traceback),
    }
}

/// The failure of a call that must fail.
pub async fn fails(runner: &dyn Runner, language: Language, code: &str) -> Box<Failure> {
    call(runner, language, code, json!({}), Limits::default()).await.map(|success| success.outputs).expect_err(code)
}

/// Runs a whole program.
pub async fn script(runner: &dyn Runner, language: Language, code: &str) -> Reply {
    runner.run(Request::new(language, code).with_mode(Mode::Script)).await
}

/// A call of both languages that goes on until it is stopped.
pub fn forever(language: Language) -> Request {
    let code = match language {
        Language::Python => "import time\ndef main(): time.sleep(1000)",
        Language::JavaScript => "function main() { return new Promise((done) => setTimeout(done, 1e6)) }",
    };
    Request::new(language, code)
}

/// Asserts that the next call is served.
pub async fn still_serves(runner: &dyn Runner, language: Language) {
    let code = match language {
        Language::Python => "def main(x):\n    return {'y': x + 1}",
        Language::JavaScript => "function main({ x }) { return { y: x + 1 } }",
    };
    assert_eq!(outputs(runner, language, code, json!({ "x": 1 })).await, json!({ "y": 2 }));
}
