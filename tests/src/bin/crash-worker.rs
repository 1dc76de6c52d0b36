//! A process that the crash tests kill: it starts runs, executes whatever someone should take, and ends when all
//! have ended. `crash-worker FOLDER SERVER BATCH [--stay]`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use liteagent_backends::{Reserve, SqliteOptions};
use liteagent_engine::{
    capability::Capabilities,
    engine::{Engine, EngineConfig, Start},
    id::Digest,
    store::{Idempotency, RunFilter, RunPhase},
    time::SystemClock,
    units,
    value::Value,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_tests::crash;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, server, batch, ..] = arguments.as_slice() else {
        panic!("usage: crash-worker FOLDER SERVER BATCH")
    };
    let options = SqliteOptions { lease: crash::LEASE, reserve: Reserve::NONE };
    let backends = liteagent_backends::open(&PathBuf::from(folder), options).await.expect("the store opens");
    let policy = EgressPolicy::parse([server.as_str()]).expect("the server's address is well-formed");
    let caps = Capabilities {
        http: Some(Arc::new(Egress::new(policy))),
        files: Some(backends.files.clone()),
        kv: Some(backends.kv.clone()),
        ..Capabilities::default()
    };
    let engine = Engine::open(EngineConfig {
        registry: liteagent_nodes::registry(),
        stores: backends.stores.clone(),
        caps: Arc::new(caps),
        clock: Arc::new(SystemClock),
        observer: None,
        hold: units::Duration::from_secs(10),
    })
    .await
    .expect("the engine opens");

    for (name, bundle) in crash::workflows(server) {
        // The same key for every life of this process: a run is started once, however often it is killed.
        let idempotency = Idempotency {
            caller: "crash-worker".to_owned(),
            key: format!("{name}-{batch}"),
            body: Digest::of(name.as_bytes()),
        };
        let trigger = Value::from_pairs([("type", Value::from("test"))]);
        let start = Start { idempotency: Some(idempotency), ..Start::new(bundle, Value::object(), trigger) };
        engine.start(start).await.expect("the run starts");
    }
    loop {
        engine.poll().await.expect("the store answers");
        let mut open = 0;
        for phase in [RunPhase::Queued, RunPhase::Running, RunPhase::Waiting] {
            let filter = RunFilter { phase: Some(phase), ..RunFilter::default() };
            open += backends.stores.journal.runs(filter).await.expect("the store answers").len();
        }
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.close().await.expect("the session closes");
}
