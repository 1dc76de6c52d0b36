//! `queue`: what waits for workers, and which of it nobody could do.

use clap::Subcommand;
use liteagent_engine::{
    queue::{DeadLetter, Depth, Group, Queue},
    time::{Clock as _, SystemClock, iso},
};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    platform::block_on,
    progress::count,
    queue::Between,
    shell::{Shell, aligned},
};

/// So many dead letters are read at once.
const PAGE: usize = 1_000;

/// Lists what waits in the queues between processes, and the jobs that nobody could do.
///
/// The queues are in the Redis of `QUEUE_REDIS_URL` or `REDIS_URL`. Jobs are pointers: whatever is dropped here, the runs are in the
/// database, and those that should go on are pushed again.
#[derive(clap::Args)]
pub(crate) struct QueueCommand {
    #[command(subcommand)]
    verb: QueueVerb,
}

#[derive(Subcommand)]
enum QueueVerb {
    /// Shows how much waits in each queue; with a queue, the jobs of it that nobody could do
    List {
        /// The queue whose dead letters are listed: `workflow`, `indexing`, `embedding` or `default`
        #[arg(value_name = "QUEUE")]
        queue: Option<Group>,
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Lets workers try dead letters again, as if they never had
    Retry(Which),
    /// Forgets dead letters
    Drop(Which),
}

/// Which dead letters.
#[derive(clap::Args)]
struct Which {
    /// Their queue
    #[arg(value_name = "QUEUE")]
    queue: Group,
    /// Their ids, as `liteagent queue list QUEUE` shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl QueueCommand {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        block_on(async {
            let queue = Between::needed("`liteagent queue`").await?.queue;
            match self.verb {
                QueueVerb::List { queue: None, json } => depths(shell, &*queue, json).await?,
                QueueVerb::List { queue: Some(group), json } => letters(shell, &*queue, group, json).await?,
                QueueVerb::Retry(which) => {
                    let (ids, now) = (which.ids(&*queue).await?, SystemClock.now());
                    let mut done = 0;
                    for ids in ids.chunks(PAGE) {
                        done += queue.retry_dead(which.queue, ids, now).await?;
                    }
                    shell.note(format!("{} will be tried again", count(done, "job")));
                }
                QueueVerb::Drop(which) => {
                    let ids = which.ids(&*queue).await?;
                    let mut done = 0;
                    for ids in ids.chunks(PAGE) {
                        done += queue.drop_dead(which.queue, ids).await?;
                    }
                    shell.note(format!("forgot {}", count(done, "job")));
                }
            }
            Ok(Exit::Done)
        })
    }
}

impl Which {
    async fn ids(&self, queue: &dyn Queue) -> Result<Vec<String>, Failure> {
        if !self.all {
            return Ok(self.ids.clone());
        }
        Ok(all(queue, self.queue).await?.into_iter().map(|letter| letter.id).collect())
    }
}

/// Every dead letter of a queue: there are at most some ten thousand.
async fn all(queue: &dyn Queue, group: Group) -> Result<Vec<DeadLetter>, Failure> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map(|letter| letter.id.clone());
        let page = queue.dead_letters(group, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        letters.extend(page);
        if is_last {
            return Ok(letters);
        }
    }
}

async fn depths(shell: &Shell, queue: &dyn Queue, as_json: bool) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut depths = Vec::new();
    for group in Group::ALL {
        depths.push((group, queue.depth(group).await?));
    }
    if as_json {
        let rows = depths.iter().map(|(group, depth)| {
            let Depth { ready, delayed, leased, dead, .. } = depth;
            json!({ "queue": group, "ready": ready, "delayed": delayed, "leased": leased, "dead": dead,
                    "age_ms": depth.age(now) })
        });
        return shell.json(&rows.collect::<Vec<_>>());
    }
    let mut rows = vec![["QUEUE", "READY", "DELAYED", "LEASED", "DEAD", "OLDEST"].map(str::to_owned)];
    rows.extend(depths.iter().map(|(group, depth)| {
        let age = format!("{:.1} s", depth.age(now) as f64 / 1_000.0);
        let numbers = [depth.ready, depth.delayed, depth.leased, depth.dead].map(|number| number.to_string());
        let [ready, delayed, leased, dead] = numbers;
        [group.to_string(), ready, delayed, leased, dead, age]
    }));
    shell.out(aligned(&rows))
}

async fn letters(shell: &Shell, queue: &dyn Queue, group: Group, as_json: bool) -> Result<(), Failure> {
    let letters = all(queue, group).await?;
    let job = |letter: &DeadLetter| letter.job.as_ref().map(|job| job.pointer.to_string());
    if as_json {
        let rows = letters.iter().map(|letter| {
            json!({ "id": letter.id, "job": job(letter), "found": letter.unreadable, "reason": letter.reason,
                    "at": iso(letter.at) })
        });
        return shell.json(&rows.collect::<Vec<_>>());
    }
    if letters.is_empty() {
        shell.note(format!("no dead letters in `{group}`"));
        return Ok(());
    }
    let mut rows = vec![["ID", "SINCE", "JOB", "REASON"].map(str::to_owned)];
    rows.extend(letters.iter().map(|letter| {
        let job = job(letter).unwrap_or_else(|| "cannot be read".to_owned());
        [letter.id.clone(), iso(letter.at), job, letter.reason.clone()]
    }));
    shell.out(aligned(&rows))
}
