//! One transaction: locks what a group of works touches, decides on each work as if they came one after the other (appends,
//! creations, takes, messages), and writes what came of it. Whatever is refused changes nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use liteagent_engine::{
    definition::WhenFull,
    id::{RunId, SessionId},
    store::{Hold, Message, Release, RunPhase},
};
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    append::rests,
    changes::{Changes, column},
    create::{Born, Known},
    db::{Db, Tx, sql},
    failure::Failure,
    lines::Lines,
    locked::{Names, Runs, Sessions},
    queue::{Group, Outcomes},
    stored::stored,
};
use crate::database::Error;

/// What the works of a group are decided with.
pub(super) struct Stage<'a> {
    pub(super) db: &'a Db,
    pub(super) runs: Runs,
    pub(super) sessions: Sessions,
    pub(super) lines: Lines,
    /// Messages that runs which want to rest have not answered.
    pub(super) open: HashMap<i64, Vec<i64>>,
    /// Runs that wait for room and are asked to stop.
    pub(super) stopping: HashSet<i64>,
    pub(super) changes: Changes<'a>,
    messages: Vec<(RunId, Message)>,
}

/// Does it, but for the commit.
pub(super) async fn run<'a>(tx: &mut Tx<'_>, db: &'a Db, group: &'a Group) -> Result<Outcomes, Failure> {
    let all = || group.creations.iter().map(|asked| Born::asked(&asked.work)).chain(children(group));
    let mut stage = Stage::set(tx, db, group, &all().collect::<Vec<_>>()).await?;
    let mut known = Known::read(tx, all().map(|born| born.new)).await?;
    stage.changes.talk.read(tx, all().map(|born| born.new)).await?;

    let appends: Vec<_> = group.appends.iter().map(|asked| stage.append(&asked.work)).collect();
    let mut creations = Vec::with_capacity(group.creations.len());
    for asked in &group.creations {
        creations.push(stage.create(Born::asked(&asked.work), &mut known)?);
    }
    for (asked, _) in group.appends.iter().zip(&appends).filter(|(_, appended)| appended.is_ok()) {
        for child in &asked.work.children {
            stage.create_child(child, &mut known)?;
        }
    }
    let takes = group.takes.iter().map(|asked| stage.take(&asked.work)).collect();
    for (run, message) in std::mem::take(&mut stage.messages) {
        stage.deliver(run, message);
    }
    let sends = group.sends.iter().map(|asked| stage.deliver(asked.work.0, asked.work.1.clone())).collect();
    stage.changes.write(tx, db, &stage.runs).await?;
    Ok(Outcomes { appends, creations, takes, sends })
}

fn children(group: &Group) -> impl Iterator<Item = Born<'_>> {
    group.appends.iter().flat_map(|asked| &asked.work.children).map(|new| Born { new, end: None, taker: None })
}

impl<'a> Stage<'a> {
    async fn set(tx: &mut Tx<'_>, db: &'a Db, group: &'a Group, births: &[Born<'a>]) -> Result<Self, Error> {
        let takers =
            group.takes.iter().map(|asked| asked.work.session).chain(births.iter().filter_map(|born| born.taker));
        let mut sessions = Sessions::lock(tx, takers.map(|session| session.0).collect()).await?;
        let replaced = replaceable(tx, births).await?;
        let runs = Runs::lock(tx, db, touched(group, births).chain(replaced).collect()).await?;
        sessions.also(tx, owners(group, &runs)).await?;

        let taken = group.takes.iter().filter_map(|asked| runs.get(asked.work.run));
        let waiting: Vec<_> = taken.filter(|run| run.waits).map(|run| (run.row.id.0, run.number)).collect();
        let (lines, stopping) = lock_names(tx, group, births, &waiting).await?;
        let open = open_messages(tx, group, &runs).await?;
        let (changes, messages) = (Changes::default(), Vec::new());
        Ok(Self { db, runs, sessions, lines, open, stopping, changes, messages })
    }

    /// Puts a message into the inbox of a run, unless that has ended or is not there.
    pub(super) fn deliver(&mut self, run: RunId, message: Message) -> bool {
        let Some(run) = self.runs.get(run).filter(|run| run.row.phase != RunPhase::Ended) else { return false };
        self.changes.send(run.number, message);
        true
    }

    /// Sends a message when everything else is decided.
    pub(super) fn send_later(&mut self, run: RunId, message: Message) {
        self.messages.push((run, message));
    }

    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.sessions.is_open(session)
    }
}

/// The runs whose rows the works may change.
fn touched<'g>(group: &'g Group, births: &'g [Born<'_>]) -> impl Iterator<Item = RunId> + 'g {
    let appends = group.appends.iter().flat_map(|asked| {
        let others = asked.work.send.iter().map(|(run, _)| *run);
        others.chain([asked.work.run])
    });
    // A parent is told of a child that is rejected.
    let parents = births.iter().filter_map(|born| born.new.parent.as_ref().map(|parent| parent.run));
    let takes = group.takes.iter().map(|asked| asked.work.run);
    appends.chain(parents).chain(takes).chain(group.sends.iter().map(|asked| asked.work.0))
}

/// The owners of runs that others want to take.
fn owners(group: &Group, runs: &Runs) -> BTreeSet<Uuid> {
    let taken = group.takes.iter().filter_map(|asked| runs.get(asked.work.run));
    taken.filter_map(|run| run.row.owner).map(|owner| owner.0).collect()
}

fn holds<'b>(births: &'b [Born<'_>]) -> impl Iterator<Item = &'b Hold> {
    births.iter().flat_map(|born| &born.new.holds)
}

/// The runs that new ones may replace.
async fn replaceable(tx: &mut Tx<'_>, births: &[Born<'_>]) -> Result<Vec<RunId>, Error> {
    let replacing = holds(births).filter(|hold| hold.when_full == WhenFull::Replace);
    let keys: Vec<_> = replacing.map(|hold| stored(&hold.key)).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.rows(sql("SELECT DISTINCT id FROM holds WHERE key = ANY($1)").bind(keys)).await?;
    rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
}

/// Locks what has no row of its own; the lines that matter, and which of the waiting runs are asked to stop.
async fn lock_names(
    tx: &mut Tx<'_>,
    group: &Group,
    births: &[Born<'_>],
    waiting: &[(Uuid, i64)],
) -> Result<(Lines, HashSet<i64>), Error> {
    let waiting_ids = column(waiting, |(id, _)| *id);
    let mut keys: BTreeSet<String> = holds(births).map(|hold| hold.key.clone()).collect();
    let mut stopping = HashSet::new();
    if !waiting.is_empty() {
        keys.extend(Lines::keys_of(tx, waiting_ids.clone()).await?);
        let text = "SELECT DISTINCT run FROM inbox WHERE run = ANY($1) AND body IS NOT NULL AND cancels";
        for row in tx.rows(sql(text).bind(column(waiting, |(_, number)| *number))).await? {
            stopping.insert(row.try_get(0)?);
        }
    }
    let mut names = Names::default();
    for key in &keys {
        names.line(key);
    }
    for new in births.iter().map(|born| born.new) {
        names.start_key(new);
        if let (Some(conversation), Some(_)) = (&new.conversation, &new.turn) {
            names.conversation(conversation);
        }
    }
    let ends = group.appends.iter().filter_map(|asked| asked.work.release.as_ref());
    for end in ends.chain(births.iter().filter_map(|born| born.end)) {
        if let Release::Ended { conversation: Some(conversation), .. } = end {
            names.conversation(&conversation.id);
        }
    }
    names.lock(tx).await?;
    let is_whole = holds(births).any(|hold| hold.when_full == WhenFull::Replace);
    Ok((Lines::read(tx, keys, is_whole, waiting_ids).await?, stopping))
}

/// The open messages of the runs that want to rest.
async fn open_messages(tx: &mut Tx<'_>, group: &Group, runs: &Runs) -> Result<HashMap<i64, Vec<i64>>, Error> {
    let resting = group.appends.iter().map(|asked| &asked.work).filter(|append| rests(append));
    let numbers: Vec<i64> = resting.filter_map(|append| runs.get(append.run)).map(|run| run.number).collect();
    let mut open: HashMap<i64, Vec<i64>> = HashMap::new();
    if !numbers.is_empty() {
        let text = "SELECT run, number FROM inbox WHERE run = ANY($1) AND body IS NOT NULL";
        for row in tx.rows(sql(text).bind(numbers)).await? {
            open.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
        }
    }
    Ok(open)
}
