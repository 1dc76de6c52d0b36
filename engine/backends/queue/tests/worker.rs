//! Workers over a queue: `apalis` workers with an intake as their backend.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
use liteagent_engine::{
    queue::{Depth, Group, Job, MemoryQueue, Pointer, Queue, QueueRules},
    testing::conformance::queue::pointer,
    time::SystemClock,
};
use liteagent_queue::{Intake, IntakeBackend, IntakeOptions, TryAgain};
use tokio::sync::{Notify, Semaphore};

const GROUP: Group = Group::Default;

fn queue(lease: Duration) -> Arc<MemoryQueue> {
    Arc::new(MemoryQueue::with(QueueRules { lease, attempts: 3 }, Arc::new(SystemClock)))
}

fn intake(queue: &Arc<MemoryQueue>, hold: usize, lease: Duration) -> (IntakeOptions, Intake) {
    let options = IntakeOptions { group: GROUP, consumer: "worker".into(), hold, lease };
    (options.clone(), Intake::start(queue.clone(), options))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apalis_worker_does_retries_and_buries_jobs_and_stops_with_grace() {
    let queue = queue(Duration::from_secs(30));
    queue.push(GROUP, (0..50).map(|number| Job::new(pointer(number), 1)).collect()).await.unwrap();
    let (options, intake) = intake(&queue, 8, Duration::from_secs(30));
    let settle = intake.settle();
    let calls: Arc<Mutex<BTreeMap<Pointer, u32>>> = Arc::default();
    let ended = Arc::new(Notify::new());

    let handler = {
        let (calls, ended) = (calls.clone(), ended.clone());
        move |job: Job| {
            let (calls, ended) = (calls.clone(), ended.clone());
            async move {
                let call = {
                    let mut calls = calls.lock().unwrap();
                    let call = calls.entry(job.pointer.clone()).or_default();
                    *call += 1;
                    *call
                };
                let after = Duration::ZERO;
                if job.pointer == pointer(7) {
                    // Fails every time.
                    if call == 3 {
                        ended.notify_one();
                    }
                    return Err(TryAgain { after, reason: "it never works".into() }.into());
                }
                if job.pointer == pointer(9) && call == 1 {
                    return Err(TryAgain { after, reason: "it works the second time".into() }.into());
                }
                Ok::<(), BoxDynError>(())
            }
        }
    };
    let worker = WorkerBuilder::new("worker").backend(IntakeBackend::new(intake, options)).build(handler);
    let stop = {
        let (queue, settle) = (queue.clone(), settle.clone());
        async move {
            ended.notified().await;
            while queue.depth(GROUP).await.unwrap() != (Depth { dead: 1, ..Depth::default() }) {
                tokio::task::yield_now().await;
            }
            settle.close();
            Ok::<(), std::io::Error>(())
        }
    };
    worker.run_until(stop).await.unwrap();

    let calls = std::mem::take(&mut *calls.lock().unwrap());
    assert_eq!(calls.len(), 50);
    let expected = |number| match number {
        7 => 3,
        9 => 2,
        _ => 1,
    };
    for number in 0..50 {
        assert_eq!(calls[&pointer(number)], expected(number), "{number}");
    }
    let letters = queue.dead_letters(GROUP, None, 5).await.unwrap();
    assert_eq!((letters[0].reason.as_str(), letters.len()), ("it never works", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_fails_its_job_and_no_other() {
    let queue = queue(Duration::from_secs(30));
    queue.push(GROUP, (0..3).map(|number| Job { attempt: 2, ..Job::new(pointer(number), 1) }).collect()).await.unwrap();
    let (options, intake) = intake(&queue, 1, Duration::from_secs(30));
    let settle = intake.settle();
    let handler = |job: Job| async move {
        assert!(job.pointer != pointer(1), "a fault");
        Ok::<(), BoxDynError>(())
    };
    let worker = WorkerBuilder::new("worker").backend(IntakeBackend::new(intake, options)).build(handler);
    let done = {
        let queue = queue.clone();
        async move {
            while queue.depth(GROUP).await.unwrap() != (Depth { dead: 1, ..Depth::default() }) {
                tokio::task::yield_now().await;
            }
            settle.close();
            Ok::<(), std::io::Error>(())
        }
    };
    worker.run_until(done).await.unwrap();
    let letters = queue.dead_letters(GROUP, None, 5).await.unwrap();
    assert_eq!(letters[0].job.as_ref().map(|job| &job.pointer), Some(&pointer(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_extended_while_a_job_is_worked_on_and_what_nobody_began_is_handed_over() {
    let lease = Duration::from_millis(90);
    let queue = queue(lease);
    queue.push(GROUP, (0..4).map(|number| Job::new(pointer(number), 1)).collect()).await.unwrap();
    let (_, mut intake) = intake(&queue, 3, lease);
    let (settle, held) = (intake.settle(), intake.next().await.unwrap());

    // Somebody else claims for the time of ten leases, and gets nothing.
    let until = tokio::time::Instant::now() + 10 * lease;
    while tokio::time::Instant::now() < until {
        assert_eq!(queue.claim(GROUP, "other", 9).await.unwrap(), []);
        tokio::task::yield_now().await;
    }
    assert_eq!(queue.depth(GROUP).await.unwrap().leased, 3, "no more are taken than may be held");

    let gate = Arc::new(Semaphore::new(0));
    let stopping = {
        let gate = gate.clone();
        tokio::spawn(async move {
            intake.stop().await;
            gate.add_permits(1);
        })
    };
    while queue.depth(GROUP).await.unwrap().ready < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.available_permits(), 0, "what is worked on is waited for");
    assert_eq!(held.job.attempt, 0);
    settle.done(held);
    stopping.await.unwrap();
    assert_eq!(queue.depth(GROUP).await.unwrap(), Depth { ready: 3, oldest: Some(1), ..Depth::default() });
}
