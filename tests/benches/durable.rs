//! Durable steps through the whole engine, on SQLite with a full sync and on PostgreSQL, beside bare commit loops on the
//! same disk.
//!
//! `cargo bench -p liteagent-tests --bench durable`. A step is one node with an effect: its two records, and its own
//! acknowledgement before the next one starts. The kinds take turns; each figure is a median.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{sync::Arc, time::Instant};

use liteagent_backends::testing::PostgresServer;
use liteagent_engine::{bundle::Bundle, engine::Engine};
use liteagent_tests::bench::{self, median};
use rusqlite::Connection;

const ROUNDS: usize = 5;
const BARE: usize = 2_000;
const ONE_CHAIN: usize = 2_000;
const RUNS: usize = 50;
const EACH: usize = 400;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bare = Connection::open(folder.path().join("bare.db")).expect("the database opens");
        bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (body TEXT)")
            .expect("the table is made");
        let server = PostgresServer::start();
        server.execute("postgres", "CREATE TABLE t (body TEXT)");

        let engines = [
            bench::engine_on_disk(folder.path()).await,
            bench::engine_on_postgres(&server.database(), folder.path()).await,
        ];
        let mut figures: [[Vec<f64>; 3]; 2] = Default::default();
        for _ in 0..ROUNDS {
            figures[0][0].push(per_second(BARE, Instant::now(), || commits(&bare, BARE)));
            figures[1][0].push(per_second(BARE, Instant::now(), || commits_of_server(&server, BARE)));
            for (engine, figures) in engines.iter().zip(&mut figures) {
                figures[1].push(chains(engine, 1, ONE_CHAIN).await);
                figures[2].push(chains(engine, RUNS, EACH).await);
            }
        }
        for engine in engines {
            engine.close().await.expect("the store answers");
        }
        for (name, figures) in ["SQLite", "PostgreSQL"].into_iter().zip(figures) {
            let [bare, one, fifty] = figures.map(median);
            println!("{name}");
            println!("  bare commits, one row each      {bare:>8.0} /s");
            println!("  durable steps, one chain        {one:>8.0} /s   {:.2} of bare", one / bare);
            println!("  durable steps, 50 runs at once  {fifty:>8.0} /s   {:.2} of bare", fifty / bare);
        }
    });
}

/// Steps per second of so many runs together.
async fn chains(engine: &Engine, runs: usize, each: usize) -> f64 {
    let bundle: Arc<Bundle> = bench::bundle(bench::effects(each));
    let began = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..runs {
        let (engine, bundle) = (engine.clone(), bundle.clone());
        all.spawn(async move { bench::run(&engine, &bundle).await });
    }
    all.join_all().await;
    (runs * each) as f64 / began.elapsed().as_secs_f64()
}

/// In the server, without ways to it and back.
fn commits_of_server(server: &PostgresServer, count: usize) {
    let text = format!(
        "DO $$ BEGIN FOR i IN 1..{count} LOOP INSERT INTO t VALUES (repeat('x', 300)); COMMIT; END LOOP; END $$"
    );
    server.execute("postgres", &text);
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
