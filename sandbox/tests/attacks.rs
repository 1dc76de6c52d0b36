//! What every runner promises, and everything that untrusted code must not do, against a sandbox in this process. Child
//! processes and the service have the same suites in `cli/tests/sandbox`.

mod common;

use liteagent_sandbox::{
    Config, Sandbox,
    protocol::testing::{PLACES, QUEUE, attacks, conformance},
};

fn sandbox() -> Sandbox {
    let config = Config { concurrency: PLACES as u32, queue: QUEUE, ..common::config() };
    Sandbox::new(config).expect("the configuration is served")
}

#[tokio::test]
async fn it_keeps_the_contract_of_runners() {
    conformance::all(&sandbox()).await;
}

#[tokio::test]
async fn every_attack_fails() {
    attacks::all(&sandbox()).await;
}
