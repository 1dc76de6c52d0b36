//! Durable steps per second on SQLite with a full sync, beside a bare commit loop on the same disk.
//!
//! A step is one append of two records of 300 bytes with its own acknowledgement. Every figure is the median of some
//! rounds; the kinds take turns, so that a busy machine touches all of them alike.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use liteagent_backends::{Reserve, SqliteOptions, SqliteStore};
use liteagent_engine::{
    store::{Append, Journal},
    testing::conformance::samples::{Owned, open, record},
};
use rusqlite::Connection;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    let store: Arc<dyn Journal> = Arc::new(runtime.block_on(SqliteStore::open(folder.path(), options)).unwrap());
    let floor = bare(folder.path());

    let mut figures: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        figures[0].push(bare_commits(&floor));
        figures[1].push(runtime.block_on(chains(&store, 1)));
        figures[2].push(runtime.block_on(chains(&store, 50)));
    }
    let [bare, one, fifty] = figures.map(median);
    println!("bare commits, one row each     {bare:>8.0} /s");
    println!("durable steps, one chain       {one:>8.0} /s   {:.2} of bare", one / bare);
    println!("durable steps, 50 runs at once {fifty:>8.0} /s   {:.2} of bare", fifty / bare);
}

fn bare(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("bare.db")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (body TEXT)")
        .unwrap();
    connection
}

fn bare_commits(connection: &Connection) -> f64 {
    let mut insert = connection.prepare("INSERT INTO t VALUES (?1)").unwrap();
    let body = record(1).body.to_string();
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < ROUND {
        insert.execute([&body]).unwrap();
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// Steps per second of so many runs together.
async fn chains(store: &Arc<dyn Journal>, count: usize) -> f64 {
    let session = open(&**store, 1).await;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(Owned::create_in(&**store, session, 1).await);
    }
    let begun = Instant::now();
    let chains: Vec<_> = runs.into_iter().map(|run| tokio::spawn(chain(store.clone(), run, begun))).collect();
    let mut steps = 0;
    for chain in chains {
        steps += chain.await.unwrap();
    }
    f64::from(steps) / begun.elapsed().as_secs_f64()
}

async fn chain(store: Arc<dyn Journal>, mut run: Owned, begun: Instant) -> u32 {
    let template = record(1).body;
    let mut steps = 0;
    while begun.elapsed() < ROUND {
        let mut append: Append = run.append(0);
        for seq in run.seq + 1..=run.seq + 2 {
            append.records.push(liteagent_engine::store::StoredRecord { seq, at: 1, body: template.clone() });
        }
        store.append(append).await.unwrap();
        run.seq += 2;
        steps += 1;
    }
    steps
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
