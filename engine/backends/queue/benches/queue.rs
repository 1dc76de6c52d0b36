//! The queue on Redis beside a plain loop over a stream, in the same run: how long a job takes from push to pop when nothing
//! else goes on, and how many jobs that do nothing go through in a second.
//!
//! Every figure is the median of some rounds; the kinds take turns, so that a busy machine touches all of them alike.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
use liteagent_engine::{
    queue::{Depth, Group, Job, Queue},
    testing::conformance::queue::pointer,
};
use liteagent_queue::{Intake, IntakeBackend, IntakeOptions, RedisOptions, RedisQueue, testing::RedisServer};
use redis::{AsyncConnectionConfig, Client, Value, aio::MultiplexedConnection, cmd, streams::StreamReadReply};
use tokio::sync::{mpsc, oneshot};

const ROUNDS: u64 = 5;
const JOBS: u64 = 20_000;
const HOPS: u64 = 300;
const GROUP: Group = Group::Workflow;
const LEASE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let server = RedisServer::start();
    let queue = Arc::new(RedisQueue::connect(RedisOptions::new(server.address())).await.unwrap());
    let plain = Plain::new(&server).await;

    let mut rates: [Vec<f64>; 3] = Default::default();
    let mut hops: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        rates[0].push(plain.rate().await);
        rates[1].push(rate(&queue, round, Kind::Intake).await);
        rates[2].push(rate(&queue, round, Kind::Apalis).await);
        hops[0].extend(plain.hops().await);
        hops[1].extend(pop_hops(&queue, round).await);
        hops[2].extend(intake_hops(&queue, round).await);
    }
    println!("{:<34} {:>10} {:>12} {:>12}", "", "jobs/s", "hop p50", "hop p99");
    for ((name, mut rates), mut hops) in ["plain stream", "queue", "queue and apalis"].into_iter().zip(rates).zip(hops)
    {
        rates.sort_by(f64::total_cmp);
        hops.sort();
        let at = |share: f64| hops[(hops.len() as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("{name:<34} {:>10.0} {:>9.3} ms {:>9.3} ms", rates[rates.len() / 2], at(0.5), at(0.99));
    }
    println!("(the hops of the last line are those of an intake without apalis)");
}

enum Kind {
    Intake,
    Apalis,
}

fn jobs(round: u64) -> impl Iterator<Item = Job> {
    (0..JOBS).map(move |number| Job::new(pointer(round * JOBS + number), 1).key((number % 10).to_string()))
}

fn intake(queue: &Arc<RedisQueue>) -> (IntakeOptions, Intake) {
    let options = IntakeOptions { group: GROUP, consumer: "bench".into(), hold: 1_000, lease: LEASE };
    (options.clone(), Intake::start(queue.clone(), options))
}

/// Jobs a second, pushed in batches while they are taken, until the last one is acknowledged.
async fn rate(queue: &Arc<RedisQueue>, round: u64, kind: Kind) -> f64 {
    let all: Vec<Job> = jobs(round).collect();
    let (options, mut intake) = intake(queue);
    let settle = intake.settle();
    let begun = Instant::now();
    let push = {
        let queue = queue.clone();
        tokio::spawn(async move {
            for batch in all.chunks(250) {
                queue.push(GROUP, batch.to_vec()).await.unwrap();
            }
        })
    };
    let all_settled = {
        let queue = queue.clone();
        async move {
            while queue.depth(GROUP).await.unwrap() != Depth::default() {}
            begun.elapsed()
        }
    };
    let took = match kind {
        Kind::Intake => {
            for _ in 0..JOBS {
                settle.done(intake.next().await.unwrap());
            }
            let took = all_settled.await;
            intake.stop().await;
            took
        }
        Kind::Apalis => {
            let (done, mut count) = mpsc::unbounded_channel();
            let handler = move |_: Job| {
                let done = done.clone();
                async move {
                    done.send(())?;
                    Ok::<(), BoxDynError>(())
                }
            };
            let worker = WorkerBuilder::new("bench").backend(IntakeBackend::new(intake, options)).build(handler);
            let (tell, told) = oneshot::channel();
            let all_done = async move {
                for _ in 0..JOBS {
                    count.recv().await;
                }
                tell.send(all_settled.await).unwrap();
                settle.close();
                Ok::<(), std::io::Error>(())
            };
            worker.run_until(all_done).await.unwrap();
            told.await.unwrap()
        }
    };
    push.await.unwrap();
    JOBS as f64 / took.as_secs_f64()
}

/// From the push of one job to the answer of who waits for it.
async fn pop_hops(queue: &Arc<RedisQueue>, round: u64) -> Vec<Duration> {
    let (send, mut popped) = mpsc::unbounded_channel();
    let reader = {
        let queue = queue.clone();
        tokio::spawn(async move {
            for _ in 0..HOPS {
                let leased = queue.pop(GROUP, "bench", 1, Duration::from_secs(10)).await.unwrap();
                send.send(Instant::now()).unwrap();
                queue.ack(GROUP, &leased).await.unwrap();
            }
        })
    };
    let mut hops = Vec::new();
    for number in 0..HOPS {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let begun = Instant::now();
        queue.push(GROUP, vec![Job::new(pointer(u64::MAX / 2 + round * HOPS + number), 1)]).await.unwrap();
        hops.push(popped.recv().await.unwrap() - begun);
    }
    reader.await.unwrap();
    hops
}

/// The same through an intake.
async fn intake_hops(queue: &Arc<RedisQueue>, round: u64) -> Vec<Duration> {
    let (_, mut intake) = intake(queue);
    let settle = intake.settle();
    let mut hops = Vec::new();
    for number in 0..HOPS {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let begun = Instant::now();
        queue.push(GROUP, vec![Job::new(pointer(u64::MAX / 4 + round * HOPS + number), 1)]).await.unwrap();
        let leased = intake.next().await.unwrap();
        hops.push(begun.elapsed());
        settle.done(leased);
    }
    intake.stop().await;
    hops
}

/// A stream without anything: the floor.
struct Plain {
    commands: MultiplexedConnection,
    blocking: MultiplexedConnection,
}

impl Plain {
    async fn new(server: &RedisServer) -> Self {
        let client = Client::open(("127.0.0.1", server.port)).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connect = || client.get_multiplexed_async_connection_with_config(&config);
        let (mut commands, blocking) = (connect().await.unwrap(), connect().await.unwrap());
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg("plain").arg("workers").arg("0").arg("MKSTREAM");
        let () = create.query_async(&mut commands).await.unwrap();
        Self { commands, blocking }
    }

    async fn read(mut connection: MultiplexedConnection, count: usize) -> Vec<String> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg("workers").arg("bench").arg("COUNT").arg(count).arg("BLOCK").arg(10_000);
        read.arg("STREAMS").arg("plain").arg(">");
        let found: StreamReadReply = read.query_async(&mut connection).await.unwrap();
        found.keys.into_iter().flat_map(|stream| stream.ids).map(|entry| entry.id).collect()
    }

    async fn ack(&self, ids: &[String]) {
        let mut pipe = redis::pipe();
        pipe.cmd("XACK").arg("plain").arg("workers").arg(ids).cmd("XDEL").arg("plain").arg(ids);
        let _: Value = pipe.query_async(&mut self.commands.clone()).await.unwrap();
    }

    async fn push(mut connection: MultiplexedConnection, count: u64) {
        let mut pipe = redis::pipe();
        for number in 0..count {
            pipe.cmd("XADD").arg("plain").arg("*").arg("job").arg(format!("5 0 1 {} 1", pointer(number))).ignore();
        }
        let () = pipe.query_async(&mut connection).await.unwrap();
    }

    async fn rate(&self) -> f64 {
        let begun = Instant::now();
        let push = {
            let connection = self.commands.clone();
            tokio::spawn(async move {
                for _ in 0..JOBS / 250 {
                    Self::push(connection.clone(), 250).await;
                }
            })
        };
        let mut taken = 0;
        while taken < JOBS {
            let ids = Self::read(self.blocking.clone(), 250).await;
            self.ack(&ids).await;
            taken += ids.len() as u64;
        }
        let rate = JOBS as f64 / begun.elapsed().as_secs_f64();
        push.await.unwrap();
        rate
    }

    async fn hops(&self) -> Vec<Duration> {
        let mut hops = Vec::new();
        for _ in 0..HOPS {
            let reader = tokio::spawn(Self::read(self.blocking.clone(), 1));
            tokio::time::sleep(Duration::from_millis(3)).await;
            let begun = Instant::now();
            Self::push(self.commands.clone(), 1).await;
            let ids = reader.await.unwrap();
            hops.push(begun.elapsed());
            self.ack(&ids).await;
        }
        hops
    }
}
