//! Durable steps through the whole engine, on SQLite with a full sync, beside a bare commit loop on the same disk.
//!
//! `cargo bench -p liteagent-tests --bench durable`. A step is one node with an effect: its two records, and its own
//! acknowledgement before the next one starts. The kinds take turns; each figure is a median.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::time::Instant;

use liteagent_tests::bench::{self, median};
use rusqlite::Connection;

const ROUNDS: usize = 5;
const ONE_CHAIN: usize = 2_000;
const RUNS: usize = 50;
const EACH: usize = 400;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = bench::engine_on_disk(folder.path()).await;
        let bare = Connection::open(folder.path().join("bare.db")).expect("the database opens");
        bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (body TEXT)")
            .expect("the table is made");
        let (one, many) = (bench::bundle(bench::effects(ONE_CHAIN)), bench::bundle(bench::effects(EACH)));

        let mut figures: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            figures[0].push(per_second(2_000, Instant::now(), || commits(&bare, 2_000)));
            let began = Instant::now();
            bench::run(&engine, &one).await;
            figures[1].push(ONE_CHAIN as f64 / began.elapsed().as_secs_f64());
            let began = Instant::now();
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..RUNS {
                let (engine, many) = (engine.clone(), many.clone());
                all.spawn(async move { bench::run(&engine, &many).await });
            }
            all.join_all().await;
            figures[2].push((RUNS * EACH) as f64 / began.elapsed().as_secs_f64());
        }
        engine.close().await.expect("the store answers");
        let [bare, one, fifty] = figures.map(median);
        println!("bare commits, one row each      {bare:>8.0} /s");
        println!("durable steps, one chain        {one:>8.0} /s   {:.2} of bare", one / bare);
        println!("durable steps, 50 runs at once  {fifty:>8.0} /s   {:.2} of bare", fifty / bare);
    });
}

fn commits(connection: &Connection, count: usize) {
    let mut insert = connection.prepare("INSERT INTO t VALUES (?1)").expect("the statement is right");
    for _ in 0..count {
        insert.execute(["x".repeat(300)]).expect("the row is written");
    }
}

fn per_second(count: usize, began: Instant, work: impl FnOnce()) -> f64 {
    work();
    count as f64 / began.elapsed().as_secs_f64()
}
