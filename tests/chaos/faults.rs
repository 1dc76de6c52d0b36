//! What happens to the processes, their services, and the ways between them.

use std::{sync::Arc, time::Duration};

use crate::{
    draw::Draw,
    installation::{Installation, LEASE, Member, Role},
};

/// A fault, and how long it lasts.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The process dies.
    Kill(usize),
    /// The process is told to stop.
    Stop(usize),
    /// The process stands still, and does not know.
    Pause(usize),
    /// Its connections to the database, or to the queue, break.
    Cut(usize, Service),
    /// They are slow.
    Slow(usize, Service),
    /// Nothing passes them.
    Die(usize, Service),
    /// The queue forgets everything.
    Flush,
    /// The queue dies, and comes back with nothing.
    RestartRedis,
    /// The database stops, and comes back.
    RestartPostgres,
}

/// What a process talks to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Database,
    Queue,
}

impl Fault {
    /// One for this installation.
    pub(crate) fn drawn(draw: &mut Draw, installation: &Installation) -> Self {
        let all = installation.members.len() as u64 - 1;
        let platform: Vec<usize> = (0..installation.members.len())
            .filter(|member| installation.members[*member].role != Role::Sandbox)
            .collect();
        let any = draw.between(0, all) as usize;
        let one = *draw.one(&platform);
        let service = if draw.next().is_multiple_of(2) { Service::Database } else { Service::Queue };
        match draw.between(0, 99) {
            0..30 => Self::Kill(any),
            30..38 => Self::Stop(any),
            38..53 => Self::Pause(any),
            53..65 => Self::Cut(one, service),
            65..75 => Self::Slow(one, service),
            75..85 => Self::Die(one, service),
            85..92 => Self::Flush,
            92..96 => Self::RestartRedis,
            _ => Self::RestartPostgres,
        }
    }

    /// Makes it happen, and mends it.
    pub(crate) async fn happen(self, installation: Arc<Installation>, mut draw: Draw) {
        let millis = |draw: &mut Draw, least, most| Duration::from_millis(draw.between(least, most));
        let member = |index: usize| installation.members[index].clone();
        match self {
            Self::Kill(index) => {
                let member = member(index);
                let _hands_on = member.hands_on.lock().await;
                member.signal("-KILL").await;
                start_again(&member, millis(&mut draw, 0, 2_000)).await;
            }
            Self::Stop(index) => {
                let member = member(index);
                let _hands_on = member.hands_on.lock().await;
                member.signal("-TERM").await;
                start_again(&member, Duration::ZERO).await;
            }
            Self::Pause(index) => {
                let member = member(index);
                let _hands_on = member.hands_on.lock().await;
                member.signal("-STOP").await;
                // Often for so long that others take its runs.
                tokio::time::sleep(millis(&mut draw, 200, 2 * LEASE.as_millis() as u64 + 1_000)).await;
                member.signal("-CONT").await;
            }
            Self::Cut(index, service) => member(index).way(service).cut(),
            Self::Slow(index, service) => {
                let member = member(index);
                let _hands_on = member.hands_on.lock().await;
                member.way(service).slow(millis(&mut draw, 5, 80));
                tokio::time::sleep(millis(&mut draw, 500, 3_000)).await;
                member.way(service).mend();
            }
            Self::Die(index, service) => {
                let member = member(index);
                let _hands_on = member.hands_on.lock().await;
                member.way(service).die();
                tokio::time::sleep(millis(&mut draw, 200, 2 * LEASE.as_millis() as u64)).await;
                member.way(service).mend();
            }
            Self::Flush => blocking(move || installation.redis().flush()).await,
            Self::RestartRedis => {
                let pause = millis(&mut draw, 0, 2_000);
                let restart = move || {
                    let mut redis = installation.redis();
                    redis.kill();
                    std::thread::sleep(pause);
                    redis.start_again();
                };
                blocking(restart).await;
            }
            Self::RestartPostgres => {
                let pause = millis(&mut draw, 0, 1_000);
                let restart = move || {
                    // Nobody else does it meanwhile.
                    let _one_at_a_time = installation.redis();
                    installation.postgres.stop();
                    std::thread::sleep(pause);
                    installation.postgres.go_on();
                };
                blocking(restart).await;
            }
        }
    }
}

impl Member {
    fn way(&self, service: Service) -> &crate::link::Link {
        match service {
            Service::Database => &self.database,
            Service::Queue => &self.queue,
        }
    }
}

async fn start_again(member: &Member, after: Duration) {
    member.ended().await;
    tokio::time::sleep(after).await;
    member.start();
    member.ready().await;
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(work).await.unwrap();
}
