//! Runs, inboxes and sessions: the contract of [`Journal`](crate::store::Journal) in plain collections.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use super::{line::Lines, operation::Operation, talk::Talks, usage::Daily};
use crate::{
    event::{RunStatus, Seq},
    id::{Digest, RunId, SessionId},
    store::{
        Append, AppendError, Created, EndPlace, Forgotten, IDEMPOTENCY_WINDOW, Idempotency, InboxMessage, Message,
        MessageBody, NewRun, Release, RunFilter, RunPhase, RunRow, StoreError, StoredRecord, Take, Taken,
    },
    units::{self, Millis},
    usage::Usage,
};

/// Everything that a journal knows.
pub(super) struct Runs {
    lease: Millis,
    sessions: HashMap<SessionId, Millis>,
    pub(super) by_id: HashMap<RunId, Run>,
    /// Every run by order of creation.
    pub(super) order: BTreeMap<u64, RunId>,
    /// Those that have not ended, by order of creation: what [`Runs::runnable`] looks at.
    pub(super) open: BTreeSet<u64>,
    /// Those that have ended, in the order of their ends.
    ends: BTreeMap<EndPlace, RunId>,
    pub(super) created: u64,
    sent: i64,
    keys: HashMap<(String, String, String), Key>,
    blobs: HashMap<Digest, HashSet<RunId>>,
    pub(super) lines: Lines,
    pub(super) bundles: HashMap<Digest, Arc<str>>,
    pub(super) talks: Talks,
    pub(super) daily: Daily,
    pub(super) operation: Operation,
}

pub(super) struct Run {
    pub(super) order: u64,
    pub(super) row: RunRow,
    account: Option<String>,
    records: Vec<StoredRecord>,
    inbox: Vec<InboxMessage>,
    seen: HashSet<String>,
}

/// What an idempotency key gave.
struct Key {
    body: Digest,
    run: RunId,
    at: Millis,
}

impl Runs {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease: units::Duration(lease).millis(),
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            order: BTreeMap::new(),
            open: BTreeSet::new(),
            ends: BTreeMap::new(),
            created: 0,
            sent: 0,
            keys: HashMap::new(),
            blobs: HashMap::new(),
            lines: Lines::default(),
            bundles: HashMap::new(),
            talks: Talks::default(),
            daily: Daily::default(),
            operation: Operation::default(),
        }
    }

    pub(super) fn open_session(&mut self, session: SessionId, at: Millis) {
        self.sessions.insert(session, at);
    }

    pub(super) fn heartbeat(&mut self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        let heartbeat = self.sessions.get_mut(&session).ok_or_else(|| not_open(session))?;
        *heartbeat = at.max(*heartbeat);
        Ok(())
    }

    pub(super) fn close_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
        for order in &self.open {
            let Some(run) = self.order.get(order).and_then(|id| self.by_id.get_mut(id)) else { continue };
            if run.row.owner == Some(session) {
                run.row.owner = None;
                run.row.phase = RunPhase::Queued;
            }
        }
    }

    pub(super) fn kill_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn is_alive(&self, session: SessionId, at: Millis) -> bool {
        self.sessions.get(&session).is_some_and(|heartbeat| at.saturating_sub(*heartbeat) <= self.lease)
    }

    pub(super) fn create(&mut self, new: NewRun, end: Option<Release>) -> Created {
        if self.by_id.contains_key(&new.id) {
            return Created::Existing(new.id);
        }
        let known = self.known_key(&new);
        if let Some(known) = known {
            return known;
        }
        let holds = self.counted(&new);
        if let Some(ahead) = self.refused(&holds) {
            return Created::Full(ahead);
        }
        self.claim_key(&new);
        let id = new.id;
        self.created += 1;
        self.stand(id, &holds, new.at);
        self.order.insert(self.created, id);
        self.open.insert(self.created);
        self.name_blobs(id, new.blobs.iter().cloned());
        self.talks.say(&new);
        self.by_id.insert(id, Run::new(self.created, new));
        if let Some(end) = end {
            self.release(id, end);
        }
        Created::New
    }

    /// What an idempotency key gave before.
    fn known_key(&self, new: &NewRun) -> Option<Created> {
        let key = new.idempotency.as_ref()?;
        let known = self.keys.get(&place(new, key))?;
        if new.at.saturating_sub(known.at) >= IDEMPOTENCY_WINDOW {
            return None;
        }
        Some(if known.body == key.body { Created::Existing(known.run) } else { Created::Conflict(known.run) })
    }

    /// Binds the idempotency key to this run.
    fn claim_key(&mut self, new: &NewRun) {
        if let Some(key) = &new.idempotency {
            self.keys.insert(place(new, key), Key { body: key.body.clone(), run: new.id, at: new.at });
        }
    }

    pub(super) fn take(&mut self, id: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError> {
        if !self.sessions.contains_key(&session) {
            return Err(not_open(session));
        }
        let Some(run) = self.by_id.get(&id) else { return Ok(Take::Unknown) };
        if run.row.phase == RunPhase::Ended {
            return Ok(Take::Ended);
        }
        if run.row.phase == RunPhase::Held {
            return Ok(Take::Held);
        }
        if let Some(owner) = run.row.owner.filter(|owner| *owner != session && self.is_alive(*owner, at)) {
            return Ok(Take::Owned(owner));
        }
        if run.row.epoch == 0 && !run.is_cancelled() {
            let ahead = self.ahead(id);
            if !ahead.is_empty() {
                return Ok(Take::Full(ahead));
            }
            self.lines.hold(run.order as i64);
        }
        let Some(run) = self.by_id.get_mut(&id) else { return Ok(Take::Unknown) };
        let before = run.row.clone();
        let row = &mut run.row;
        row.epoch += 1;
        row.phase = RunPhase::Running;
        row.owner = Some(session);
        row.wake_at = None;
        row.updated_at = at;
        Ok(Take::Taken(Box::new(Taken { epoch: row.epoch, row: before })))
    }

    pub(super) fn append(&mut self, append: Append) -> Result<(), AppendError> {
        let run = self.by_id.get_mut(&append.run).ok_or(AppendError::Fenced)?;
        run.check(&append)?;
        run.inbox.retain(|message| !append.consumed.contains(&message.row));
        run.row.seq += append.records.len() as Seq;
        run.row.updated_at = append.at;
        run.records.extend(append.records);

        self.name_blobs(append.run, append.blobs);
        for child in append.children {
            self.create_child(child);
        }
        if let Some(release) = append.release {
            self.release(append.run, release);
        }
        for (to, message) in append.send {
            self.send(to, message);
        }
        Ok(())
    }

    fn release(&mut self, id: RunId, release: Release) {
        let Some(run) = self.by_id.get_mut(&id) else { return };
        run.row.owner = None;
        match release {
            Release::Queued => run.row.phase = RunPhase::Queued,
            Release::Waiting { wake_at } => {
                run.row.phase = RunPhase::Waiting;
                run.row.wake_at = wake_at;
            }
            Release::Ended { status, error, conversation, usage } => {
                run.row.phase = RunPhase::Ended;
                run.row.usage = usage.total;
                self.daily.add(&run.row, &usage);
                self.operation.spend(&run.row, run.account.as_deref(), &usage.total);
                run.row.status = Some(status);
                run.row.error = error.map(|error| error.to_string());
                self.open.remove(&run.order);
                let newest = self.ends.last_key_value().map(|(place, _)| *place).unwrap_or_default();
                self.ends.insert(EndPlace::following(newest, run.row.updated_at), id);
                self.lines.leave(run.order as i64);
                if let Some(end) = conversation {
                    self.talks.end(id, end);
                }
            }
        }
    }

    pub(super) fn read(&self, run: RunId, after: Seq, limit: usize) -> Vec<StoredRecord> {
        let Some(run) = self.by_id.get(&run) else { return Vec::new() };
        run.records.iter().skip(after as usize).take(limit).cloned().collect()
    }

    pub(super) fn send(&mut self, run: RunId, message: Message) -> bool {
        let Some(run) = self.by_id.get_mut(&run).filter(|run| run.row.phase != RunPhase::Ended) else { return false };
        if run.seen.insert(message.id.clone()) {
            self.sent += 1;
            run.inbox.push(InboxMessage { row: self.sent, message });
        }
        true
    }

    pub(super) fn inbox(&self, run: RunId) -> Vec<InboxMessage> {
        self.by_id.get(&run).map(|run| run.inbox.clone()).unwrap_or_default()
    }

    pub(super) fn mail(&self, session: SessionId) -> Vec<RunId> {
        let open = self.open.iter().filter_map(|order| self.by_id.get(self.order.get(order)?));
        let own = open.filter(|run| run.row.phase == RunPhase::Running && run.row.owner == Some(session));
        own.filter(|run| !run.inbox.is_empty()).map(|run| run.row.id).collect()
    }

    pub(super) fn row(&self, run: RunId) -> Option<RunRow> {
        self.by_id.get(&run).map(|run| run.row.clone())
    }

    pub(super) fn list(&self, filter: &RunFilter) -> Vec<RunRow> {
        let before = match filter.before {
            None => u64::MAX,
            Some(run) => self.by_id.get(&run).map_or(0, |run| run.order),
        };
        let newest_first = self.order.range(..before).rev().filter_map(|(_, run)| self.by_id.get(run));
        let fitting = newest_first.map(|run| &run.row).filter(|row| filter.fits(row));
        fitting.take(filter.limit() as usize).cloned().collect()
    }

    pub(super) fn runnable(&self, at: Millis, limit: u32) -> Vec<RunId> {
        let oldest_first = self.open.iter().filter_map(|order| self.by_id.get(self.order.get(order)?));
        let ready = oldest_first.filter(|run| match run.row.phase {
            RunPhase::Queued => run.row.epoch > 0 || run.is_cancelled() || self.lines.is_next(run.order as i64),
            RunPhase::Running => !run.row.owner.is_some_and(|owner| self.is_alive(owner, at)),
            RunPhase::Waiting => !run.inbox.is_empty() || run.row.wake_at.is_some_and(|wake_at| wake_at <= at),
            RunPhase::Held | RunPhase::Ended => false,
        });
        ready.take(limit as usize).map(|run| run.row.id).collect()
    }

    pub(super) fn ended(&self, after: EndPlace, limit: u32) -> Vec<(EndPlace, RunRow)> {
        let following = self.ends.range((Bound::Excluded(after), Bound::Unbounded));
        let rows = following.filter_map(|(place, run)| Some((*place, self.by_id.get(run)?.row.clone())));
        rows.take(limit as usize).collect()
    }

    /// Deletes those of some runs that have ended, and returns them.
    pub(super) fn delete_some(&mut self, runs: &[RunId]) -> HashSet<RunId> {
        let found = runs.iter().filter_map(|run| self.by_id.get(run));
        let gone = found.filter(|run| run.row.phase == RunPhase::Ended).map(|run| (run.row.id, run.order)).collect();
        self.delete(gone)
    }

    /// Deletes ended runs and returns them.
    pub(super) fn delete_ended(&mut self, before: Millis, limit: u32) -> HashSet<RunId> {
        let is_old = |run: &&Run| run.row.phase == RunPhase::Ended && run.row.updated_at < before;
        let mut old: Vec<&Run> = self.by_id.values().filter(is_old).collect();
        old.sort_unstable_by_key(|run| (run.row.updated_at, run.order));
        let gone = old.iter().take(limit as usize).map(|run| (run.row.id, run.order)).collect();
        self.delete(gone)
    }

    /// Deletes the runs of a subject, unless one has not ended.
    pub(super) fn forget(&mut self, subject: &str, limit: u32) -> Result<(HashSet<RunId>, Forgotten), Vec<RunId>> {
        let all = self.by_id.values().filter(|run| run.row.subject.as_deref() == Some(subject));
        let mut all: Vec<_> = all.map(|run| run.row.id).collect();
        self.refuse_open(&mut all)?;
        all.truncate(limit as usize);
        let ids = all.iter().filter_map(|run| self.by_id.get(run)?.row.conversation.clone());
        let ids: HashSet<String> = ids.collect();
        Ok(self.forget_runs(&all, &ids))
    }

    /// Deletes a conversation, and its runs where that is wanted, unless one has not ended.
    pub(super) fn forget_conversation(
        &mut self,
        id: &str,
        with_runs: bool,
        limit: u32,
    ) -> Result<(HashSet<RunId>, Forgotten), Vec<RunId>> {
        let own = self.by_id.values().filter(|run| run.row.conversation.as_deref() == Some(id));
        let mut all: Vec<_> = own.map(|run| run.row.id).collect();
        if with_runs {
            let mut parents = all.clone();
            while let Some(parent) = parents.pop() {
                let is_child = |run: &&Run| run.row.parent.as_ref().is_some_and(|of| of.run == parent);
                let children: Vec<_> = self.by_id.values().filter(is_child).map(|run| run.row.id).collect();
                let new: Vec<_> = children.into_iter().filter(|child| !all.contains(child)).collect();
                all.extend(&new);
                parents.extend(new);
            }
        }
        self.refuse_open(&mut all)?;
        // Children are newer than their parents, which lead to them.
        all.reverse();
        all.truncate(if with_runs { limit as usize } else { 0 });
        Ok(self.forget_runs(&all, &HashSet::from([id.to_owned()])))
    }

    /// Sorts runs by age; those that have not ended, if there are any.
    fn refuse_open(&self, runs: &mut [RunId]) -> Result<(), Vec<RunId>> {
        runs.sort_unstable_by_key(|run| self.by_id.get(run).map(|run| run.order));
        let is_open = |run: &&RunId| self.by_id.get(run).is_some_and(|run| run.row.phase != RunPhase::Ended);
        let open: Vec<RunId> = runs.iter().filter(is_open).copied().collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    }

    fn forget_runs(&mut self, runs: &[RunId], conversations: &HashSet<String>) -> (HashSet<RunId>, Forgotten) {
        let gone: Vec<_> = runs.iter().filter_map(|run| Some((*run, self.by_id.get(run)?.order))).collect();
        let named = self.blobs.iter().filter(|(_, runs)| gone.iter().any(|(run, _)| runs.contains(run)));
        let mut forgotten = Forgotten { blobs: named.map(|(blob, _)| blob.clone()).collect(), ..Forgotten::default() };
        forgotten.conversations = conversations.iter().filter(|id| self.talks.forget(id)).count() as u64;
        let gone = self.delete(gone);
        forgotten.runs = gone.len() as u64;
        (gone, forgotten)
    }

    fn delete(&mut self, gone: Vec<(RunId, u64)>) -> HashSet<RunId> {
        for (id, order) in &gone {
            self.by_id.remove(id);
            self.order.remove(order);
        }
        let gone: HashSet<RunId> = gone.into_iter().map(|(id, _)| id).collect();
        self.keys.retain(|_, key| !gone.contains(&key.run));
        self.ends.retain(|_, run| !gone.contains(run));
        self.blobs.retain(|_, runs| {
            runs.retain(|run| !gone.contains(run));
            !runs.is_empty()
        });
        gone
    }

    pub(super) fn name_blobs(&mut self, run: RunId, blobs: impl IntoIterator<Item = Digest>) {
        for blob in blobs {
            self.blobs.entry(blob).or_default().insert(run);
        }
    }

    /// Forgets which blobs a run names that is not there; `false` when it is.
    pub(super) fn drop_blobs_of_none(&mut self, run: RunId) -> bool {
        if self.by_id.contains_key(&run) {
            return false;
        }
        self.blobs.retain(|_, runs| {
            runs.remove(&run);
            !runs.is_empty()
        });
        true
    }

    pub(super) fn names_blob(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }
}

impl Run {
    fn new(order: u64, new: NewRun) -> Self {
        let row = RunRow {
            id: new.id,
            workflow: new.workflow,
            digest: new.digest,
            phase: RunPhase::Queued,
            status: None::<RunStatus>,
            epoch: 0,
            seq: new.records.len() as Seq,
            owner: None,
            wake_at: None,
            parent: new.parent,
            trigger: new.trigger,
            conversation: new.conversation,
            subject: new.subject,
            error: None,
            usage: Usage::default(),
            created_at: new.at,
            updated_at: new.at,
        };
        Self { order, row, account: new.account, records: new.records, inbox: Vec::new(), seen: HashSet::new() }
    }

    /// Whether a message asks it to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        self.inbox.iter().any(|message| matches!(message.message.body, MessageBody::Cancel { .. }))
    }

    /// The fence, and the rule that a run rests only with an empty inbox.
    fn check(&self, append: &Append) -> Result<(), AppendError> {
        if !append.fits(&self.row) {
            return Err(AppendError::Fenced);
        }
        let is_left = |message: &InboxMessage| !append.consumed.contains(&message.row);
        match append.release {
            Some(Release::Waiting { .. } | Release::Ended { .. }) if self.inbox.iter().any(is_left) => {
                Err(AppendError::InboxNotEmpty)
            }
            _ => Ok(()),
        }
    }
}

/// Where an idempotency key stands.
fn place(new: &NewRun, key: &Idempotency) -> (String, String, String) {
    (key.caller.clone(), new.workflow.clone(), key.key.clone())
}

fn not_open(session: SessionId) -> StoreError {
    StoreError::Failed(format!("the session {session} is not open"))
}
