//! What every queue must do.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    id::RunId,
    queue::{Back, DeadLetter, Depth, Group, Job, Leased, Pointer, Queue, QueueRules},
    time::{Clock, SystemClock, VirtualClock},
    units::{self, Millis},
};

/// A fresh queue, and how to do to it what time and accidents do.
pub struct Tried {
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Its rules: a job is a dead letter after three attempts.
    pub rules: QueueRules,
    /// Its clock; none when it has the clock of the machine. Then leases and times are waited for, so they should be short.
    pub clock: Option<Arc<VirtualClock>>,
    /// Makes the queue lose everything.
    pub wipe: Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>,
}

/// How long a queue that has the clock of the machine may take.
const PATIENCE: Duration = Duration::from_mins(1);
const GROUP: Group = Group::Workflow;

impl Tried {
    fn now(&self) -> Millis {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    async fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.queue.push(GROUP, jobs.into_iter().collect()).await.unwrap();
    }

    async fn pop(&self, most: usize) -> Vec<Leased> {
        self.queue.pop(GROUP, "one", most, Duration::ZERO).await.unwrap()
    }

    /// The one job that waits.
    async fn pop_one(&self) -> Leased {
        let mut popped = self.pop(2).await;
        assert_eq!(popped.len(), 1);
        popped.remove(0)
    }

    /// The next job, which comes at a time.
    async fn pop_at(&self, due: Millis) -> Leased {
        if let Some(clock) = &self.clock {
            clock.advance_to(due - 1);
            assert_eq!(self.pop(1).await, [], "a job came before its time");
            clock.advance_to(due);
        }
        let popped = self.queue.pop(GROUP, "one", 1, PATIENCE).await.unwrap();
        assert!(self.now() >= due, "a job came before its time");
        popped.into_iter().next().unwrap()
    }

    /// What another consumer claims as soon as leases have ended that began at `begun` or later; at least one job.
    async fn claim_after_the_lease(&self, begun: Millis) -> Vec<Leased> {
        if let Some(clock) = &self.clock {
            let end = clock.now() + self.lease();
            clock.advance_to(end - 1);
            assert_eq!(self.claim().await, [], "a lease ended too early");
            clock.advance_to(end);
        }
        let claimed = self.until(async || Some(self.claim().await).filter(|claimed| !claimed.is_empty())).await;
        assert!(self.now() >= begun + self.lease(), "a lease ended too early");
        claimed
    }

    fn lease(&self) -> Millis {
        units::Duration(self.rules.lease).millis()
    }

    async fn claim(&self) -> Vec<Leased> {
        self.queue.claim(GROUP, "two", 10).await.unwrap()
    }

    /// Asks again until there is an answer; with a virtual clock there must be one at once.
    async fn until<T>(&self, ask: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                match ask().await {
                    Some(answer) => return answer,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }

    async fn depth(&self) -> Depth {
        self.queue.depth(GROUP).await.unwrap()
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.queue.dead_letters(GROUP, None, 100).await.unwrap()
    }
}

/// A run with a number; greater ones sort behind.
pub fn pointer(number: u64) -> Pointer {
    Pointer::Run(RunId(Uuid::from_u128(number.into())))
}

fn job(number: u64) -> Job {
    Job::new(pointer(number), 1_000)
}

fn number(leased: &Leased) -> u64 {
    match &leased.job.pointer {
        Pointer::Run(run) => run.0.as_u128() as u64,
        Pointer::Step { .. } => panic!("no step was pushed"),
    }
}

fn numbers(leased: &[Leased]) -> Vec<u64> {
    leased.iter().map(number).collect()
}

fn failed(not_before: Option<Millis>) -> Back {
    Back::Failed { not_before, reason: "the other side is down".into() }
}

pub async fn the_first_comes_first(tried: &Tried) {
    tried.push((0..3).map(job)).await;
    tried.push((3..6).map(job)).await;
    assert_eq!(numbers(&tried.pop(4).await), [0, 1, 2, 3]);
    assert_eq!(numbers(&tried.pop(4).await), [4, 5]);
    assert_eq!(tried.pop(4).await, []);
}

pub async fn a_higher_priority_comes_first(tried: &Tried) {
    tried.push([job(0).priority(0), job(1), job(2).priority(9), job(3).priority(6), job(4).priority(9)]).await;
    assert_eq!(numbers(&tried.pop(2).await), [2, 4]);
    tried.push([job(5).priority(7)]).await;
    assert_eq!(numbers(&tried.pop(9).await), [5, 3, 1, 0]);
}

pub async fn keys_take_turns(tried: &Tried) {
    let keys = ["a", "a", "a", "a", "b", "b", "c"];
    tried.push(keys.iter().zip(0..).map(|(key, number)| job(number).key(*key))).await;
    assert_eq!(numbers(&tried.pop(5).await), [0, 4, 6, 1, 5]);
    assert_eq!(numbers(&tried.pop(5).await), [2, 3]);
}

pub async fn who_comes_late_does_not_stand_behind_everything(tried: &Tried) {
    tried.push((0..100).map(|number| job(number).key("many"))).await;
    assert_eq!(tried.pop(50).await.len(), 50);
    tried.push([job(200).key("late")]).await;
    assert!(numbers(&tried.pop(2).await).contains(&200));
    // And who was served in the meantime has no debts: both stand side by side.
    tried.push((300..303).map(|number| job(number).key("late"))).await;
    let next = numbers(&tried.pop(6).await);
    assert_eq!(next.iter().filter(|number| **number >= 300).count(), 3, "{next:?}");
}

pub async fn groups_are_apart(tried: &Tried) {
    for (number, group) in (0..).zip(Group::ALL) {
        tried.queue.push(group, vec![job(number)]).await.unwrap();
    }
    for (number, group) in (0..).zip(Group::ALL) {
        let popped = tried.queue.pop(group, "one", 9, Duration::ZERO).await.unwrap();
        assert_eq!(numbers(&popped), [number], "{group}");
    }
}

pub async fn every_job_is_read_back(tried: &Tried) {
    let run = RunId::random();
    let step = Pointer::Step { run, node: "each[3].agent[2].fetch".into(), attempt: 4 };
    let due = tried.now() - 5;
    let jobs = [
        Job { attempt: 1, ..Job::new(step, 7).priority(0) },
        Job::new(Pointer::Run(run), i64::MAX / 1_000_000).priority(9).key(" two  words\n\tand ü, { } % \u{1f600} "),
        job(3).key("\0"),
        job(4).not_before(due),
    ];
    for pushed in jobs {
        tried.push([pushed.clone()]).await;
        let popped = tried.pop_one().await;
        assert_eq!(popped.job, Job { not_before: popped.job.not_before, ..pushed });
        assert_eq!(popped.consumer, "one");
    }
}

pub async fn a_job_does_not_come_before_its_time(tried: &Tried) {
    let now = tried.now();
    let due = now + 2_000;
    tried.push([job(1).not_before(due), job(2), job(3).not_before(now - 1)]).await;
    let first = tried.pop(2).await;
    assert!(!numbers(&first).contains(&1) || tried.now() >= due, "a job came before its time");
    assert_eq!(first.len(), 2);
    assert_eq!(number(&tried.pop_at(due).await), 1);
}

pub async fn a_pointer_that_waits_is_not_added_again(tried: &Tried) {
    tried.push([job(1), job(2), job(1).priority(9), job(2).not_before(tried.now() + 60_000)]).await;
    assert_eq!(tried.depth().await, Depth { ready: 2, oldest: Some(1_000), ..Depth::default() });
    assert_eq!(numbers(&tried.pop(9).await), [1, 2]);

    // Of two times the earlier one counts.
    let now = tried.now();
    tried.push([job(3).not_before(now + 60_000), job(3).not_before(now + 90_000)]).await;
    assert_eq!((tried.depth().await.delayed, tried.pop(9).await), (1, vec![]));
    tried.push([job(3)]).await;
    assert_eq!(numbers(&tried.pop(9).await), [3]);
    assert_eq!(tried.depth().await, Depth { leased: 3, ..Depth::default() });
}

pub async fn a_pointer_that_is_leased_is_added(tried: &Tried) {
    tried.push([job(1)]).await;
    let first = tried.pop_one().await;
    tried.push([job(1)]).await;
    let second = tried.pop_one().await;
    assert_eq!(first.job, second.job);
    assert_ne!(first.id, second.id);
    tried.queue.ack(GROUP, &[first]).await.unwrap();
    assert_eq!(tried.depth().await.leased, 1);
}

pub async fn who_waits_is_given_what_is_pushed(tried: &Tried) {
    let mut waiting: JoinSet<Vec<Leased>> = ["one", "two", "three"]
        .map(|consumer| {
            let queue = tried.queue.clone();
            async move { queue.pop(GROUP, consumer, 5, PATIENCE).await.unwrap() }
        })
        .into_iter()
        .collect();
    for number in 0..3 {
        tokio::task::yield_now().await;
        tried.push([job(number)]).await;
        assert_eq!(numbers(&waiting.join_next().await.unwrap().unwrap()), [number]);
    }
}

pub async fn who_waits_for_nothing_gets_nothing(tried: &Tried) {
    let wait = Duration::from_millis(300);
    let begun = tried.now();
    let pop = tried.queue.pop(GROUP, "one", 5, wait);
    let popped = match &tried.clock {
        None => pop.await,
        Some(clock) => {
            let advance = async {
                tried.until(async || clock.next_wake()).await;
                clock.advance(wait);
            };
            tokio::join!(pop, advance).0
        }
    };
    assert_eq!(popped, Ok(vec![]));
    assert!(tried.now() >= begun + units::Duration(wait).millis() - 1);
}

pub async fn everything_comes_once_whoever_takes_it(tried: &Tried) {
    const JOBS: u64 = 2_000;
    let consumers = ["one", "two", "three", "four"].map(|consumer| {
        let queue = tried.queue.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let popped = queue.pop(GROUP, consumer, 17, PATIENCE).await.unwrap();
                queue.ack(GROUP, &popped).await.unwrap();
                taken.extend(numbers(&popped));
                // The last jobs say that it is over.
                if popped.iter().any(|leased| leased.job.priority == 0) {
                    return taken;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for hundred in 0..JOBS / 100 {
        let jobs = (0..100).map(|number| job(hundred * 100 + number).key((number % 3).to_string()));
        tried.push(jobs).await;
    }
    let mut taken = BTreeMap::<u64, u32>::new();
    for (number, consumer) in (JOBS..).zip(consumers) {
        while !consumer.is_finished() {
            tried.push([job(number).priority(0)]).await;
            tokio::task::yield_now().await;
        }
        for number in consumer.await.unwrap() {
            *taken.entry(number).or_default() += u32::from(number < JOBS);
        }
    }
    taken.retain(|number, _| *number < JOBS);
    assert_eq!(taken.len() as u64, JOBS);
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
}

pub async fn what_is_acknowledged_is_gone(tried: &Tried) {
    tried.push((0..3).map(job)).await;
    let popped = tried.pop(3).await;
    assert_eq!(tried.depth().await, Depth { leased: 3, ..Depth::default() });
    tried.queue.ack(GROUP, &popped[..2]).await.unwrap();
    tried.queue.ack(GROUP, &popped[..1]).await.unwrap();
    assert_eq!(tried.depth().await, Depth { leased: 1, ..Depth::default() });
    assert_eq!(tried.queue.extend(GROUP, &popped).await.unwrap(), [false, false, true]);
}

pub async fn a_lease_that_ended_is_claimed(tried: &Tried) {
    tried.push([job(1)]).await;
    let begun = tried.now();
    let lost = tried.pop_one().await;
    let claimed = tried.claim_after_the_lease(begun).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].job, Job { attempt: 1, ..lost.job.clone() });
    assert_eq!(claimed[0].consumer, "two");
    assert_eq!(tried.queue.extend(GROUP, &[lost]).await.unwrap(), [false]);
    assert_eq!(tried.queue.extend(GROUP, &claimed).await.unwrap(), [true]);
    tried.queue.ack(GROUP, &claimed).await.unwrap();
    assert_eq!(tried.depth().await, Depth::default());
}

pub async fn a_lease_that_is_extended_stays(tried: &Tried) {
    tried.push([job(1)]).await;
    let leased = tried.pop_one().await;
    if let Some(clock) = &tried.clock {
        clock.advance(tried.rules.lease / 2);
    }
    let begun = tried.now();
    assert_eq!(tried.queue.extend(GROUP, std::slice::from_ref(&leased)).await.unwrap(), [true]);
    let claimed = tried.claim_after_the_lease(begun).await;
    assert_eq!(claimed[0].job.attempt, 1, "an extension is no attempt");
}

pub async fn a_job_that_is_handed_over_comes_at_once(tried: &Tried) {
    tried.push([job(1), job(2)]).await;
    let popped = tried.pop(2).await;
    tried.queue.release(GROUP, &popped[..1], Back::HandedOver).await.unwrap();
    let again = tried.pop_one().await;
    assert_eq!(again.job, popped[0].job);
    // What is done is not given back.
    tried.queue.ack(GROUP, std::slice::from_ref(&again)).await.unwrap();
    tried.queue.release(GROUP, &[again], Back::HandedOver).await.unwrap();
    assert_eq!(tried.depth().await, Depth { leased: 1, ..Depth::default() });
}

pub async fn a_job_that_failed_comes_at_its_time(tried: &Tried) {
    tried.push([job(1)]).await;
    let popped = tried.pop_one().await;
    let due = tried.now() + 700;
    tried.queue.release(GROUP, &[popped], failed(Some(due))).await.unwrap();
    assert_eq!(tried.pop_at(due).await.job.attempt, 1);
}

pub async fn the_last_failure_makes_a_dead_letter(tried: &Tried) {
    tried.push([job(1)]).await;
    for attempt in 0..tried.rules.attempts {
        let popped = tried.pop_one().await;
        assert_eq!(popped.job.attempt, attempt);
        tried.queue.release(GROUP, &[popped], failed(None)).await.unwrap();
    }
    assert_eq!(tried.pop(1).await, []);
    assert_eq!(tried.depth().await, Depth { dead: 1, ..Depth::default() });
    let letters = tried.letters().await;
    assert_eq!(letters[0].job, Some(Job { attempt: 3, ..job(1) }));
    assert_eq!(letters[0].reason, "the other side is down");
}

pub async fn a_job_that_is_lost_again_and_again_is_a_dead_letter(tried: &Tried) {
    tried.push([job(1)]).await;
    let mut begun = tried.now();
    tried.pop_one().await;
    for attempt in 1..tried.rules.attempts {
        assert_eq!(tried.claim_after_the_lease(begun).await[0].job.attempt, attempt);
        begun += tried.lease();
    }
    if let Some(clock) = &tried.clock {
        clock.advance(tried.rules.lease);
    }
    let letter = tried
        .until(async || {
            assert_eq!(tried.claim().await, []);
            tried.letters().await.pop()
        })
        .await;
    assert_eq!(letter.job, Some(Job { attempt: 3, ..job(1) }));
    assert_eq!(letter.reason, "it was delivered 3 times and never finished");
    assert_eq!(tried.depth().await, Depth { dead: 1, ..Depth::default() });
}

pub async fn dead_letters_are_listed_tried_again_and_dropped(tried: &Tried) {
    tried.push((0..4).map(job)).await;
    for leased in tried.pop(4).await {
        let reason = format!("reason {}", number(&leased));
        tried.queue.dead(GROUP, &[leased], &reason).await.unwrap();
    }
    let letters = tried.letters().await;
    assert_eq!(
        letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(),
        ["reason 0", "reason 1", "reason 2", "reason 3"]
    );
    let page = tried.queue.dead_letters(GROUP, Some(&letters[0].id), 2).await.unwrap();
    assert_eq!(page, letters[1..3]);

    let ids: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
    assert_eq!(tried.queue.drop_dead(GROUP, &ids[..2]).await.unwrap(), 2);
    assert_eq!(tried.queue.drop_dead(GROUP, &ids[..2]).await.unwrap(), 0);
    assert_eq!(tried.queue.retry_dead(GROUP, &ids[1..3], 5_000).await.unwrap(), 1);
    assert_eq!(tried.queue.retry_dead(GROUP, &ids[1..3], 5_000).await.unwrap(), 0);
    assert_eq!(tried.pop_one().await.job, Job { pushed_at: 5_000, ..job(2) });
    assert_eq!(tried.letters().await, letters[3..]);
}

pub async fn depth_and_age_are_of_what_waits(tried: &Tried) {
    assert_eq!(tried.depth().await, Depth::default());
    let now = tried.now();
    let at = |number, pushed_at| Job { pushed_at, ..job(number) };
    tried.push([at(1, 3_000), at(2, 2_000).priority(0), at(3, 1_000).not_before(now + 60_000)]).await;
    tried.push([at(4, 9_000)]).await;
    let depth = tried.depth().await;
    assert_eq!(depth, Depth { ready: 3, delayed: 1, leased: 0, dead: 0, oldest: Some(1_000) });
    assert_eq!((depth.age(1_500), depth.age(500), Depth::default().age(500)), (500, 0, 0));

    tried.push([at(3, 4_000)]).await;
    tried.pop(1).await;
    let depth = tried.depth().await;
    assert_eq!((depth.ready, depth.delayed, depth.leased, depth.oldest), (3, 0, 1, Some(2_000)));
}

pub async fn a_queue_that_lost_everything_goes_on_under_another_generation(tried: &Tried) {
    let first = tried.queue.generation(GROUP).await.unwrap();
    tried.push([job(1), job(2), job(3).not_before(tried.now() + 60_000)]).await;
    let held = tried.pop(1).await;
    assert_eq!(tried.queue.generation(GROUP).await.unwrap(), first);

    (tried.wipe)().await;
    assert_eq!(tried.queue.extend(GROUP, &held).await.unwrap(), [false]);
    tried.queue.ack(GROUP, &held).await.unwrap();
    assert_eq!(tried.claim().await, []);
    assert_eq!(tried.depth().await, Depth::default());
    assert_eq!(tried.pop(1).await, []);
    let second = tried.queue.generation(GROUP).await.unwrap();
    assert_ne!(first, second);

    tried.push([job(1), job(2)]).await;
    assert_eq!(numbers(&tried.pop(3).await), [1, 2]);
    assert_eq!(tried.queue.generation(GROUP).await.unwrap(), second);
}
