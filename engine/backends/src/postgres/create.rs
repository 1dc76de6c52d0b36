//! Whether a run begins to exist, and what comes with it.

use std::collections::{HashMap, HashSet};

use liteagent_engine::{
    id::{RunId, SessionId},
    store::{Created, Hold, IDEMPOTENCY_WINDOW, NewRun, Release, RunPhase, RunRow, StoreError, Take, Taken, hold},
    units::Millis,
    usage::Usage,
};
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    changes::column,
    db::{Tx, sql},
    failure::Failure,
    group::Stage,
    locked::{Change, Locked},
    queue::{Begun, Creation},
    session::not_open,
    stored::{decoded, stored},
};
use crate::{database::Error, row::hash};

/// A run that shall begin to exist.
#[derive(Clone, Copy)]
pub(super) struct Born<'a> {
    pub(super) new: &'a NewRun,
    /// It ends at once.
    pub(super) end: Option<&'a Release>,
    /// It is taken at once.
    pub(super) taker: Option<SessionId>,
}

impl<'a> Born<'a> {
    pub(super) fn asked(creation: &'a Creation) -> Self {
        Self { new: &creation.new, end: creation.end.as_ref(), taker: creation.taker }
    }
}

/// Caller, workflow and key.
type StartKey = (String, String, String);

/// What must be known before runs are created; it is kept up while they are.
#[derive(Default)]
pub(super) struct Known {
    existing: HashSet<RunId>,
    /// Fresh ones, the highest first.
    numbers: Vec<i64>,
    /// What start keys gave: the body, the run, and when.
    keys: HashMap<StartKey, (Vec<u8>, RunId, Millis)>,
    /// The keys of the runs above new ones.
    above: HashMap<RunId, HashSet<String>>,
}

impl Known {
    pub(super) async fn read<'a>(tx: &mut Tx<'_>, new: impl Iterator<Item = &'a NewRun>) -> Result<Self, Error> {
        let new: Vec<&NewRun> = new.collect();
        let mut known = Self::default();
        if new.is_empty() {
            return Ok(known);
        }
        let text = "SELECT asked.id, EXISTS (SELECT FROM runs WHERE runs.id = asked.id), nextval('run_numbers') \
                    FROM unnest($1::uuid[]) AS asked (id)";
        for row in tx.rows(sql(text).bind(column(&new, |new| new.id.0))).await? {
            known.numbers.push(row.try_get(2)?);
            if row.try_get(1)? {
                known.existing.insert(RunId(row.try_get(0)?));
            }
        }
        known.numbers.sort_unstable_by(|one, other| other.cmp(one));
        known.read_keys(tx, &new).await?;
        known.read_above(tx, &new).await?;
        Ok(known)
    }

    async fn read_keys(&mut self, tx: &mut Tx<'_>, new: &[&NewRun]) -> Result<(), Error> {
        let places: Vec<StartKey> = new.iter().filter_map(|new| place(new)).collect();
        if places.is_empty() {
            return Ok(());
        }
        let text = "SELECT caller, workflow, key, body, run, at FROM start_keys WHERE (caller, workflow, key) IN \
                    (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))";
        let query = sql(text)
            .bind(column(&places, |(caller, ..)| stored(caller)))
            .bind(column(&places, |(_, workflow, _)| stored(workflow)))
            .bind(column(&places, |(.., key)| stored(key)));
        for row in tx.rows(query).await? {
            let place = (decoded(row.try_get(0)?), decoded(row.try_get(1)?), decoded(row.try_get(2)?));
            self.keys.insert(place, (row.try_get(3)?, RunId(row.try_get(4)?), row.try_get(5)?));
        }
        Ok(())
    }

    async fn read_above(&mut self, tx: &mut Tx<'_>, new: &[&NewRun]) -> Result<(), Error> {
        let below = new.iter().filter(|new| !new.holds.is_empty());
        let below: Vec<(Uuid, Uuid)> =
            below.filter_map(|new| new.parent.as_ref().map(|parent| (new.id.0, parent.run.0))).collect();
        if below.is_empty() {
            return Ok(());
        }
        let text = "WITH RECURSIVE above (child, run) AS (SELECT * FROM unnest($1::uuid[], $2::uuid[]) \
                    UNION SELECT child, runs.parent_run FROM above JOIN runs ON runs.id = above.run \
                    WHERE runs.parent_run IS NOT NULL) \
                    SELECT child, key FROM above JOIN holds ON holds.id = above.run";
        let (children, parents): (Vec<Uuid>, Vec<Uuid>) = below.into_iter().unzip();
        for row in tx.rows(sql(text).bind(children).bind(parents)).await? {
            self.above.entry(RunId(row.try_get(0)?)).or_default().insert(decoded(row.try_get(1)?));
        }
        Ok(())
    }

    /// What the start key of a run gave before.
    fn given(&self, new: &NewRun) -> Option<Created> {
        let (body, run, at) = self.keys.get(&place(new)?)?;
        if *at <= new.at.saturating_sub(IDEMPOTENCY_WINDOW) {
            return None;
        }
        let is_same = new.idempotency.as_ref().is_some_and(|key| hash(&key.body) == *body);
        Some(if is_same { Created::Existing(*run) } else { Created::Conflict(*run) })
    }

    /// What a new run is counted under: not what a run above it is.
    fn counted(&self, new: &NewRun) -> Vec<Hold> {
        let above = self.above.get(&new.id);
        new.holds.iter().filter(|hold| !above.is_some_and(|keys| keys.contains(&hold.key))).cloned().collect()
    }
}

/// Where a start key stands.
fn place(new: &NewRun) -> Option<StartKey> {
    new.idempotency.as_ref().map(|key| (key.caller.clone(), new.workflow.clone(), key.key.clone()))
}

impl<'a> Stage<'a> {
    /// Creates a run, ends it or takes it.
    pub(super) fn create(&mut self, born: Born<'a>, known: &mut Known) -> Result<Begun, Failure> {
        let new = born.new;
        if !known.existing.insert(new.id) {
            return Ok(Begun { created: Created::Existing(new.id), take: None });
        }
        let counted = known.counted(new);
        let in_the_way = known.given(new).or_else(|| self.lines.refused(&counted).map(Created::Full));
        if let Some(created) = in_the_way {
            known.existing.remove(&new.id);
            return Ok(Begun { created, take: None });
        }
        if let (Some(place), Some(key)) = (place(new), &new.idempotency) {
            known.keys.insert(place, (hash(&key.body), new.id, new.at));
            self.changes.claim_key(new);
        }
        let number = known.numbers.pop().ok_or_else(|| StoreError::Failed("a run has no number".to_owned()))?;
        let replaced: Vec<RunId> = counted.iter().flat_map(|hold| self.lines.replaced(hold)).collect();
        for run in replaced {
            if self.runs.get(run).is_none() {
                // It came into the line after the rows were locked.
                return Err(Failure::overtaken());
            }
            self.send_later(run, hold::cancelled_for(new.id, new.at));
        }
        let has_room = self.lines.stand(number, new.id, &counted);
        let account = new.account.clone();
        let run = Locked { number, row: row(new), account, is_current: true, waits: !has_room, change: Change::New };
        self.changes.record(number, &new.records);
        self.changes.name_blobs(new.id, &new.blobs);
        self.changes.stand(&run, counted, has_room);
        self.changes.talk.say(new);
        self.runs.0.insert(new.id, run);
        if let Some(end) = born.end {
            self.release(new.id, end);
        }
        let take = born.taker.map(|session| self.take_new(new, session));
        Ok(Begun { created: Created::New, take })
    }

    /// Creates a child; when it is rejected, its parent is told.
    pub(super) fn create_child(&mut self, new: &'a NewRun, known: &mut Known) -> Result<(), Failure> {
        let begun = self.create(Born { new, end: None, taker: None }, known)?;
        if let (Created::Full(ahead), Some(parent)) = (begun.created, &new.parent) {
            self.send_later(parent.run, hold::rejected_child(new, parent, &ahead));
        }
        Ok(())
    }

    fn take_new(&mut self, new: &NewRun, session: SessionId) -> Result<Take, StoreError> {
        if !self.is_open(session) {
            return Err(not_open(session));
        }
        let Some(run) = self.runs.get_mut(new.id) else { return Ok(Take::Unknown) };
        if run.waits {
            return Ok(Take::Full(self.lines.ahead(run.number)));
        }
        let row = run.row.clone();
        run.row.epoch = 1;
        run.row.phase = RunPhase::Running;
        run.row.owner = Some(session);
        Ok(Take::Taken(Box::new(Taken { epoch: 1, row })))
    }
}

fn row(new: &NewRun) -> RunRow {
    RunRow {
        id: new.id,
        workflow: new.workflow.clone(),
        digest: new.digest.clone(),
        phase: RunPhase::Queued,
        status: None,
        epoch: 0,
        seq: new.records.len() as u64,
        owner: None,
        wake_at: None,
        parent: new.parent.clone(),
        trigger: new.trigger.clone(),
        conversation: new.conversation.clone(),
        subject: new.subject.clone(),
        error: None,
        usage: Usage::default(),
        created_at: new.at,
        updated_at: new.at,
    }
}
