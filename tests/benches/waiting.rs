//! What a run costs while it waits for a signal: bytes on disk, and memory of the process.
//!
//! `cargo bench -p liteagent-tests --bench waiting`. The memory is what the process holds more after the second half
//! of the runs than after the first: what is there once (caches, pages of the database) is not counted.

#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{fs, path::Path, sync::Arc};

use liteagent_engine::{
    bundle::Bundle,
    engine::{Engine, Settled, Start},
    value,
};
use liteagent_tests::bench;
use serde_json::json;

const HALF: usize = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = bench::engine_on_disk(folder.path()).await;
        let bundle = bench::bundle(json!({ "nodes": { "paid": { "type": "wait", "signal": "paid" } } }));
        wait(&engine, &bundle).await;
        let before = resident();
        wait(&engine, &bundle).await;
        let grown = resident().saturating_sub(before);
        println!("runs that wait                  {:>8}", 2 * HALF);
        println!("of them active in memory        {:>8}", engine.active_runs());
        engine.close().await.expect("the store answers");
        println!("memory for each waiting run     {:>8} bytes", grown / HALF as u64);
        println!("disk for each waiting run       {:>8} bytes", size(folder.path()) / (2 * HALF) as u64);
    });
}

async fn wait(engine: &Engine, bundle: &Arc<Bundle>) {
    for _ in 0..HALF / 100 {
        let mut started = Vec::new();
        for _ in 0..100 {
            let start = Start::new(bundle.clone(), value!({}), value!({ "type": "bench" }));
            started.push(engine.start(start).await.expect("the run starts"));
        }
        for run in started {
            let settled = engine.settled(run).await.expect("the run settles");
            assert!(matches!(settled, Settled::Waiting(waits) if waits.len() == 1), "the run waits");
        }
    }
}

/// What the process holds in memory.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux tells the memory of a process");
    let pages: u64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it is a number");
    pages * 4096
}

fn size(folder: &Path) -> u64 {
    fs::metadata(folder.join("liteagent.db")).expect("the database is there").len()
}
