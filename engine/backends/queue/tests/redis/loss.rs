//! A Redis that loses everything in the middle of the work: nothing is lost, because the truth is elsewhere.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use liteagent_engine::{
    queue::{Group, Job, Pointer, Queue},
    testing::conformance::queue::pointer,
};
use liteagent_queue::{Intake, IntakeOptions, RedisQueue, testing::RedisServer};

const JOBS: u64 = 10_000;
const GROUP: Group = Group::Workflow;

/// What a database would know: the jobs that are not done.
struct Truth {
    open: Mutex<BTreeSet<Pointer>>,
    /// How often something was done that was done already.
    again: AtomicU64,
}

impl Truth {
    fn done(&self, pointer: &Pointer) {
        if !self.open.lock().unwrap().remove(pointer) {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn open(&self) -> Vec<Job> {
        self.open.lock().unwrap().iter().map(|pointer| Job::new(pointer.clone(), 1)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_server_is_emptied_or_restarted() {
    let mut server = RedisServer::start();
    let options = crate::options(server.address());
    let truth = Arc::new(Truth { open: Mutex::new((0..JOBS).map(pointer).collect()), again: AtomicU64::new(0) });

    let mut workers = Vec::new();
    for number in 0..3 {
        let queue = Arc::new(RedisQueue::connect(options.clone()).await.unwrap());
        let intake = IntakeOptions { group: GROUP, consumer: format!("{number}"), hold: 40, lease: crate::RULES.lease };
        let (mut intake, truth) = (Intake::start(queue, intake), truth.clone());
        let settle = intake.settle();
        workers.push((
            settle.clone(),
            tokio::spawn(async move {
                while let Some(leased) = intake.next().await {
                    truth.done(&leased.job.pointer);
                    settle.done(leased);
                }
                intake.stop().await;
            }),
        ));
    }

    // The reconciler: when the generation is another one, everything that is not done is pushed again.
    let queue = RedisQueue::connect(options).await.unwrap();
    let mut known = String::new();
    let mut accidents = [8_000, 6_000, 4_000, 2_000].into_iter().zip(["FLUSHALL", "restart"].into_iter().cycle());
    let mut next = accidents.next();
    let mut generations = 0;
    loop {
        let open = truth.open();
        if open.is_empty() {
            break;
        }
        if let Some((_, accident)) = next.filter(|(left, _)| open.len() < *left) {
            if accident == "FLUSHALL" {
                server.flush();
            } else {
                server.kill();
                server.start_again();
            }
            next = accidents.next();
        }
        let generation = queue.generation(GROUP).await.unwrap();
        if generation != known {
            known = generation;
            generations += 1;
            queue.push(GROUP, truth.open()).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    for (settle, worker) in workers {
        settle.close();
        worker.await.unwrap();
    }
    assert!(generations > 1, "the server lost nothing");
    let depth = queue.depth(GROUP).await.unwrap();
    assert_eq!((depth.delayed, depth.dead), (0, 0), "{depth:?}");
    println!("{generations} generations, {} jobs came again after they were done", truth.again.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_waited_for() {
    let server = RedisServer::start();
    let queue = RedisQueue::connect(crate::options(server.address())).await.unwrap();
    server.pause(true);
    let mut push = std::pin::pin!(queue.push(GROUP, vec![Job::new(pointer(1), 1)]));
    // Longer than one answer may take, so that the connection was given up at least once.
    tokio::time::timeout(Duration::from_secs(4), &mut push).await.unwrap_err();
    server.pause(false);
    push.await.unwrap();
    let popped = queue.pop(GROUP, "one", 5, Duration::ZERO).await.unwrap();
    assert_eq!(popped.len(), 1, "a command that was sent twice added one job");
}
