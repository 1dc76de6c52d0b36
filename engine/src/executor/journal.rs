//! Making records: fold, encode, append.

use bytes::Bytes;

use super::{
    owner::{Flushed, Owner, OwnerError},
    replay::payloads,
    take::outcome_of,
};
use crate::{
    definition::WhenFull,
    engine::{AppendOutcome, Prepared},
    event::{Event, Payload, Record},
    id::{Digest, RunId},
    run::{Addr, path},
    store::{Append, AppendError, Message, NewRun, Release, StoredRecord},
    value::Value,
};

/// A value whose JSON is longer than this becomes a blob.
pub(crate) const INLINE_BYTES: usize = 32 * 1024;

/// What waits to become durable, all of it in one append.
#[derive(Default)]
pub(super) struct Pending {
    pub records: Vec<StoredRecord>,
    /// The same records for those who watch; empty when nobody does.
    pub shown: Vec<Record>,
    /// How many of them were given out before they are durable: `durability: end`.
    pub given: usize,
    pub blobs: Vec<(Digest, Bytes)>,
    pub consumed: Vec<i64>,
    pub children: Vec<Prepared>,
    pub send: Vec<(RunId, Message)>,
    /// Nodes whose jobs are pushed once their starts are durable.
    pub jobs: Vec<Addr>,
    /// Outputs for the cache; filled once the result is durable.
    pub fills: Vec<(Digest, Value, i64)>,
    /// Whether something is in it that must not be late: the result of an effect, a signal, a child.
    pub urgent: bool,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.consumed.is_empty() && self.send.is_empty()
    }
}

impl Owner {
    /// Folds an event and keeps its record for the next append.
    pub(super) fn record(&mut self, event: Event<Addr>) {
        let record = self.encode(event);
        self.state.apply(&self.plan, &record);
    }

    /// Encodes an event as the next record of the next append, and gives the record for folding.
    pub(super) fn encode(&mut self, event: Event<Addr>) -> Record<Addr> {
        let mut named = None;
        let event = event.map(|at| {
            named = Some(at);
            path::path(&self.plan, &self.state, at).to_string()
        });
        let at = self.engine.clock.now().max(self.state.now);
        let record = Record { seq: self.state.seq + 1, at, event };
        let Outsourced { body, blobs } = outsource(&record);
        self.pending.blobs.extend(blobs);
        self.pending.records.push(StoredRecord { seq: record.seq, at, body: body.into() });
        if self.engine.observer.is_some() || self.outlet.is_some() {
            self.pending.shown.push(record.clone());
        }
        let Record { seq, at, event } = record;
        Record { seq, at, event: event.map(|_| named.unwrap_or(Addr { frame: 0, node: 0 })) }
    }

    /// Makes everything durable that was folded, and what goes with it.
    ///
    /// # Errors
    /// When the outcome is not known: the state must then be dropped. When nothing was changed, the pending records
    /// are kept.
    pub(super) async fn flush(&mut self, release: Option<Release>) -> Result<Flushed, OwnerError> {
        self.pending.urgent = false;
        if release.is_none() && (self.pending.is_empty() || self.detached.is_some()) {
            // What is shown of a run that is durable only at its end is provisional until then.
            if self.detached.is_some() && self.outlet.is_some() {
                self.show(0, &self.pending.shown[self.pending.given..]);
                self.pending.given = self.pending.shown.len();
            }
            return Ok(Flushed::Yes);
        }
        let stores = self.engine.stores.clone();
        let of_children = self.pending.children.iter().flat_map(|child| &child.blobs);
        for (_, bytes) in self.pending.blobs.iter().chain(of_children) {
            stores.blobs.put(bytes.clone()).await?;
        }
        for child in &self.pending.children {
            self.engine.share_files(self.run, child).await?;
        }
        if let (Some(run), Some(end)) = (&self.detached, &release) {
            let records = self.pending.records.clone();
            let blobs = self.pending.blobs.iter().map(|(digest, _)| digest.clone()).collect();
            let begun = self.engine.stopwatch();
            let created = stores.journal.create_ended(NewRun { records, blobs, ..run.clone() }, end.clone()).await;
            let outcome = if created.is_ok() { AppendOutcome::Done } else { AppendOutcome::Failed };
            self.engine.appended(begun, outcome);
            created?;
            self.flushed().await?;
            return Ok(Flushed::Yes);
        }
        let append = Append {
            run: self.run,
            epoch: self.state.epoch,
            session: self.engine.session,
            expected: self.durable,
            records: self.pending.records.clone(),
            consumed: self.pending.consumed.clone(),
            blobs: self.pending.blobs.iter().map(|(digest, _)| digest.clone()).collect(),
            children: self.pending.children.iter().map(|child| child.run.clone()).collect(),
            send: self.pending.send.clone(),
            release,
            at: self.engine.clock.now(),
        };
        let begun = self.engine.stopwatch();
        let appended = stores.journal.append(append).await;
        self.engine.appended(begun, outcome_of(&appended));
        match appended {
            Ok(()) => {}
            Err(AppendError::Fenced) => return Ok(Flushed::Fenced),
            Err(AppendError::InboxNotEmpty) => return Ok(Flushed::InboxNotEmpty),
            Err(error) => return Err(error.into()),
        }
        self.flushed().await?;
        Ok(Flushed::Yes)
    }

    /// What may be seen, now that it is durable.
    async fn flushed(&mut self) -> Result<(), OwnerError> {
        let pending = std::mem::take(&mut self.pending);
        self.durable += pending.records.len() as u64;
        for row in &pending.consumed {
            self.seen.remove(row);
        }
        self.show(self.durable, &pending.shown[pending.given..]);
        if let Some(observer) = &self.engine.observer {
            for record in &pending.shown {
                observer.record(self.run, record);
            }
        }
        for child in &pending.children {
            self.engine.wake(child.run.id);
            if child.run.holds.iter().any(|hold| hold.when_full == WhenFull::Reject) {
                // It may have been rejected: the inbox says so.
                self.wake.notify_one();
            }
        }
        for (run, _) in &pending.send {
            self.engine.wake(*run);
        }
        self.push_jobs(&pending.jobs);
        self.tell_stopped();
        for (key, output, until) in &pending.fills {
            self.engine.stores.cache.fill(key, output, *until, self.run).await?;
        }
        Ok(())
    }
}

/// A record in its stored form, and the blobs that it names.
pub(crate) struct Outsourced {
    pub(crate) body: String,
    pub(crate) blobs: Vec<(Digest, Bytes)>,
}

/// Encodes a record; large values move into blobs.
pub(crate) fn outsource(record: &Record) -> Outsourced {
    const HAS_JSON: &str = "an event has only string keys and finite numbers";

    let body = serde_json::to_string(record).expect(HAS_JSON);
    if body.len() <= INLINE_BYTES {
        return Outsourced { body, blobs: Vec::new() };
    }
    let mut blobs = Vec::new();
    let mut outsourced = record.clone();
    for payload in payloads(&mut outsourced.event) {
        let Payload::Value(value) = &*payload else { continue };
        let json = serde_json::to_vec(value).expect(HAS_JSON);
        if json.len() > INLINE_BYTES {
            let digest = Digest::of(&json);
            blobs.push((digest.clone(), json.into()));
            *payload = Payload::Blob(digest);
        }
    }
    Outsourced { body: serde_json::to_string(&outsourced).expect(HAS_JSON), blobs }
}
