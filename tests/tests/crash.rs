//! kill -9 at random moments: no run is lost, no finished node runs again, no record is missing or doubled.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{path::Path, process::Stdio, time::Duration};

use liteagent_backends::{FILE, Reserve, SqliteOptions};
use liteagent_engine::{event::RunStatus, view::RunView};
use liteagent_tests::{
    books::{self, Books, all_runs},
    counting::CountingServer,
    crash,
};
use tokio::process::{Child, Command};

/// How many kills one run of the test makes.
const KILLS: u32 = 200;

fn worker(folder: &Path, server: &CountingServer, batch: u32) -> Child {
    Command::new(env!("CARGO_BIN_EXE_crash-worker"))
        .args([folder.to_str().unwrap(), &server.address, &batch.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A fixed sequence that looks random: a failure can be repeated.
fn draw(kill: u32) -> u64 {
    u64::from(kill).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) >> 7
}

/// Returns at a random moment: after some effects, on a machine however slow, and a little later. Sometimes nothing can
/// finish first: then the runs are executed alone, and go on all the same.
async fn moment(kill: u32, server: &CountingServer) {
    let seen = server.effects().len();
    let effects = if kill.is_multiple_of(6) { 0 } else { 4 + (draw(kill) % 6) as usize };
    until(|| server.effects().len() >= seen + effects).await;
    tokio::time::sleep(Duration::from_micros(draw(kill + 1_000) % 12_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_and_repeats_nothing_that_finished() {
    let folder = tempfile::tempdir().unwrap();
    let server = CountingServer::start(Duration::from_millis(4)).await;
    let (mut kills, mut batch) = (0, 0);
    while kills < KILLS {
        let mut child = worker(folder.path(), &server, batch);
        tokio::select! {
            status = child.wait() => {
                assert!(status.unwrap().success(), "the worker fails by itself");
                batch += 1;
            }
            () = moment(kills, &server) => {
                child.kill().await.unwrap();
                kills += 1;
            }
        }
    }
    let status = worker(folder.path(), &server, batch).wait().await.unwrap();
    assert!(status.success());

    let books = audit(folder.path(), &server).await;
    println!("{kills} kills, {} batches, {} runs, {} nodes lost", batch + 1, books.runs.len(), books.lost);
    assert!(books.lost > 0, "no kill ever hit a node that ran: the test shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_that_wakes_up_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let server = CountingServer::start(Duration::from_millis(250)).await;
    let mut first = worker(folder.path(), &server, 0);
    until(|| !server.effects().is_empty()).await;
    stop_outside_of_writes(&first, folder.path()).await;
    // Its heartbeat grows old; its lock is still held, for it is not dead.
    tokio::time::sleep(crash::LEASE + Duration::from_millis(500)).await;
    let mut second = worker(folder.path(), &server, 0);
    let before = server.effects().len();
    until(|| server.effects().len() > before + 2).await;
    signal(&first, "-CONT").await;

    assert!(second.wait().await.unwrap().success());
    // The first one sees that it lost its runs, and that all have ended.
    assert!(first.wait().await.unwrap().success());
    let books = audit(folder.path(), &server).await;
    assert_eq!(books.runs.len(), 4);
    assert!(books.lost > 0, "the first process ran nodes when it was stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_its_process_poisons_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = CountingServer::start(Duration::from_millis(4)).await;
    let mut deaths = 0;
    while !poisoned(folder.path(), &server).wait().await.unwrap().success() {
        deaths += 1;
        assert!(deaths < 9, "the poison is never found");
    }
    assert_eq!(deaths, 2, "the third process lets others die of it");

    let backends = liteagent_backends::open(folder.path(), SqliteOptions::default()).await.unwrap();
    let (poison, others): (Vec<_>, Vec<_>) =
        all_runs(&backends.stores).await.into_iter().partition(|run| run.workflow == "poison");
    assert_eq!(others.len(), 4);
    assert!(others.iter().all(|run| run.status == Some(RunStatus::Succeeded)), "{others:#?}");
    let [poison] = poison.as_slice() else { panic!("{poison:#?}") };
    let view = RunView::load(&backends.stores, poison.id).await.unwrap();
    let error = view.end.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!((error.code.as_ref(), error.node.as_deref()), ("LA2020", Some("die")), "{error}");
    assert_eq!(view.nodes["die"].losses, 4, "two deaths among others, two alone");
    let calls = server.by_path();
    assert_eq!(calls[&format!("/{}/before", poison.id)].len(), 1, "what finished is not done again");
    assert_eq!(calls[&format!("/{}/LA2020", poison.id)].len(), 1, "`on_failure` runs");
}

fn poisoned(folder: &Path, server: &CountingServer) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-worker"));
    command.args([folder.to_str().unwrap(), &server.address, "poison"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

async fn until(holds: impl Fn() -> bool) {
    const TOO_LONG: Duration = Duration::from_mins(2);
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TOO_LONG, wait).await.expect("the worker acts");
}

/// Stops a process. One that is stopped in the middle of a write shuts out every other, as SQLite has it: then it goes on
/// for a moment.
async fn stop_outside_of_writes(child: &Child, folder: &Path) {
    let stat = format!("/proc/{}/stat", child.id().expect("the process has not ended"));
    let is_stopped = || std::fs::read_to_string(&stat).unwrap().contains(") T ");
    let is_free = || {
        let database = rusqlite::Connection::open(folder.join(FILE)).unwrap();
        database.busy_timeout(Duration::ZERO).unwrap();
        let turnstile = std::fs::File::open(folder.join(FILE).with_extension("lock")).unwrap();
        turnstile.try_lock().is_ok() && database.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    };
    loop {
        signal(child, "-STOP").await;
        until(is_stopped).await;
        if is_free() {
            return;
        }
        signal(child, "-CONT").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn signal(child: &Child, signal: &str) {
    let id = child.id().expect("the process has not ended").to_string();
    assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
}

/// The books of a folder.
async fn audit(folder: &Path, server: &CountingServer) -> Books {
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    let backends = liteagent_backends::open(folder, options).await.unwrap();
    books::audit(&backends.stores, server).await
}
