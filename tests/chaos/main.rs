//! Many processes on one machine, and everything that can happen to them; then the books.
//!
//! Two servers, three workers and two sandboxes share a PostgreSQL and a Redis. Callers start runs with effects on a counting
//! server. Meanwhile processes are killed, stopped, and put to sleep for longer than their lease, Redis forgets everything,
//! Redis and PostgreSQL are restarted, and the ways of single processes to them are cut, slow or dead. In the end every run
//! that was accepted has ended once and as it would have without faults; every effect has happened, and again only where its
//! node was lost while it ran, under the same key; no finished node ran again; no journal has a gap.
//!
//! `LITEAGENT_CHAOS_FAULTS` says how many faults (50 by default), `LITEAGENT_CHAOS_SEED` which ones. With the same seed the
//! same faults come in the same order; what they hit depends on the machine.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod draw;
mod faults;
mod http;
mod installation;
mod link;
mod load;

use std::{collections::HashSet, sync::Arc, time::Duration};

use liteagent_engine::{
    store::Stores,
    time::{Clock as _, SystemClock},
};
use liteagent_tests::books;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    draw::Draw,
    faults::Fault,
    installation::{Installation, PATIENCE},
    load::Load,
};

/// The time between two faults, in milliseconds.
const PAUSES: (u64, u64) = (200, 1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_books_are_right() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (faults, seed) = (number("LITEAGENT_CHAOS_FAULTS", 50), number("LITEAGENT_CHAOS_SEED", 1));
    println!("{faults} faults of the seed {seed}");
    let installation = Arc::new(Installation::start().await);
    let stores = installation.stores().await.stores;
    let load = Arc::new(Load::default());
    let (stop, stopped) = watch::channel(false);
    let calls = tokio::spawn(load.clone().go_on(installation.clone(), seed, stopped));
    let counted = tokio::spawn(count(stores.clone(), load.clone()));

    let supervised = tokio::spawn(supervise(installation.clone()));

    let mut draw = Draw::of(seed);
    let mut happening = JoinSet::new();
    for number in 1..=faults {
        tokio::time::sleep(Duration::from_millis(draw.between(PAUSES.0, PAUSES.1))).await;
        let fault = Fault::drawn(&mut draw, &installation);
        println!("{number}: {fault:?}, {} runs accepted", load.accepted().len());
        let (installation, draw) = (installation.clone(), Draw::of(draw.next()));
        happening.spawn(async move {
            let what = format!("{number}: {fault:?}");
            let happened = tokio::time::timeout(PATIENCE, fault.happen(installation, draw)).await;
            assert!(happened.is_ok(), "{what} does not end");
        });
    }
    while let Some(happened) = happening.join_next().await {
        happened.unwrap();
    }
    stop.send_replace(true);
    calls.await.unwrap();
    let accepted = load.accepted();
    println!("{} runs accepted; now they end", accepted.len());
    let all_end = async {
        while going_on(&stores).await != Some(0) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all_end).await.is_ok(), "runs do not end\n{}", installation.said());
    counted.abort();
    supervised.abort();

    let books = books::audit(&stores, &installation.effects).await;
    let known: HashSet<_> = books.runs.iter().copied().collect();
    let lost: Vec<_> = accepted.iter().filter(|run| !known.contains(run)).collect();
    assert!(lost.is_empty(), "runs that were accepted and are gone: {lost:?}");
    println!(
        "{} runs, {} of them accepted; {} nodes lost, {} effects repeated",
        books.runs.len(),
        accepted.len(),
        books.lost,
        books.repeated
    );
    assert!(accepted.len() as u64 >= faults, "hardly anything was going on");
}

/// Starts again what ended by itself.
async fn supervise(installation: Arc<Installation>) {
    loop {
        for member in &installation.members {
            if let Ok(_hands_on) = member.hands_on.try_lock() {
                member.start_if_ended();
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Tells the callers how much goes on.
async fn count(stores: Stores, load: Arc<Load>) {
    loop {
        if let Some(open) = going_on(&stores).await {
            load.are_open(open);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How many runs have not ended; `None` when the database does not answer.
async fn going_on(stores: &Stores) -> Option<usize> {
    let backlog = stores.journal.backlog(SystemClock.now()).await.ok()?;
    Some((backlog.queued + backlog.running + backlog.waiting) as usize)
}
