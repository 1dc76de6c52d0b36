//! Ten thousand runs that wait for a signal: small on disk, nothing in memory, and there after a restart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{path::Path, sync::Arc};

use indexmap::IndexMap;
use liteagent_backends::{Reserve, SqliteOptions};
use liteagent_engine::{
    bundle::Bundle,
    capability::Capabilities,
    definition::Definition,
    engine::{Engine, EngineConfig, Settled, Start},
    event::{RunStatus, SignalTo},
    time::SystemClock,
    units::Duration,
    value,
};
use serde_json::json;

const RUNS: usize = 10_000;
/// What a waiting run may take on disk, indexes included.
const BYTES_PER_RUN: u64 = 4_000;

async fn engine(folder: &Path) -> Engine {
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    let backends = liteagent_backends::open(folder, options).await.unwrap();
    let config = EngineConfig {
        registry: liteagent_nodes::registry(),
        stores: backends.stores,
        caps: Arc::new(Capabilities::default()),
        clock: Arc::new(SystemClock),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine: None,
        fleet: None,
    };
    Engine::open(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiting_runs_survive_a_restart_and_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let definition: Definition = serde_json::from_value(json!({
        "inputs": { "order": "integer" },
        "nodes": {
            "paid": { "type": "wait", "signal": "paid" },
            "text": { "type": "template-transform", "template": "{{ inputs.order }}: {{ paid.payload.amount }}" },
        },
        "outputs": { "text": "{{ text.text }}" },
    }))
    .unwrap();
    let bundle = Arc::new(Bundle::new("order", IndexMap::from([("order".to_owned(), definition)])));

    let first = engine(folder.path()).await;
    let mut runs = Vec::with_capacity(RUNS);
    for chunk in 0..RUNS / 100 {
        let mut started = Vec::new();
        for order in 0..100 {
            let inputs = value!({ "order": chunk * 100 + order });
            started.push(first.start(Start::new(bundle.clone(), inputs, value!({ "type": "test" }))).await.unwrap());
        }
        for run in started {
            assert!(matches!(first.settled(run).await.unwrap(), Settled::Waiting(waits) if waits.len() == 1));
            runs.push(run);
        }
    }
    assert_eq!(first.active_runs(), 0, "a waiting run is nowhere in memory");
    first.close().await.unwrap();
    drop(first);

    let bytes = std::fs::metadata(folder.path().join("liteagent.db")).unwrap().len();
    println!("{} bytes on disk for each of {RUNS} waiting runs", bytes / RUNS as u64);
    assert!(bytes / (RUNS as u64) < BYTES_PER_RUN);

    let second = engine(folder.path()).await;
    assert_eq!(second.poll().await.unwrap(), 0, "nothing may be taken before its signal");
    for (order, run) in runs.iter().enumerate().step_by(997) {
        second.signal(*run, SignalTo::Name("paid".to_owned()), value!({ "amount": 5 }), None).await.unwrap();
        let Settled::Ended(end) = second.settled(*run).await.unwrap() else { panic!("{run} still waits") };
        assert_eq!(end.status, RunStatus::Succeeded);
        assert_eq!(end.outputs, value!({ "text": format!("{order}: 5") }));
    }
    second.close().await.unwrap();
}
