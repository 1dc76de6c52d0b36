//! Whether an append is taken, and what comes of it.

use liteagent_engine::{
    event::Seq,
    id::RunId,
    store::{Append, AppendError, Release, RunPhase, StoreError},
};

use super::group::Stage;

/// A run has at most so many records.
const MAX_SEQ: Seq = (1 << 24) - 1;

/// Whether a release needs an empty inbox.
pub(super) const fn rests(append: &Append) -> bool {
    matches!(append.release, Some(Release::Waiting { .. } | Release::Ended { .. }))
}

/// Whether a run may have so many records.
pub(super) const fn has_room(append: &Append) -> bool {
    append.expected + append.records.len() as Seq <= MAX_SEQ
}

impl<'a> Stage<'a> {
    /// Takes an append, or refuses it; its children and messages come later.
    pub(super) fn append(&mut self, append: &'a Append) -> Result<(), AppendError> {
        let number = self.check(append)?;
        if let Some(run) = self.runs.get_mut(append.run) {
            run.grow(append.records.len() as Seq, append.at);
        }
        if let Some(open) = self.open.get_mut(&number) {
            open.retain(|message| !append.consumed.contains(message));
        }
        self.changes.record(number, &append.records);
        self.changes.consume(number, &append.consumed);
        self.changes.name_blobs(append.run, &append.blobs);
        if let Some(release) = &append.release {
            self.release(append.run, release);
        }
        for (run, message) in &append.send {
            self.send_later(*run, message.clone());
        }
        Ok(())
    }

    /// The fence, and the rule that a run rests only with an empty inbox; the number of the run.
    fn check(&self, append: &Append) -> Result<i64, AppendError> {
        let run = self.runs.get(append.run).ok_or(AppendError::Fenced)?;
        if !run.is_current || !append.fits(&run.row) {
            return Err(AppendError::Fenced);
        }
        if !has_room(append) {
            return Err(StoreError::Full(format!("a run has at most {MAX_SEQ} records")).into());
        }
        let is_left = |message: &i64| !append.consumed.contains(message);
        if rests(append) && self.open.get(&run.number).is_some_and(|open| open.iter().any(is_left)) {
            return Err(AppendError::InboxNotEmpty);
        }
        Ok(run.number)
    }

    /// Gives a run up.
    pub(super) fn release(&mut self, id: RunId, release: &'a Release) {
        let Some(run) = self.runs.get_mut(id) else { return };
        run.touch();
        (run.row.owner, run.row.wake_at) = (None, None);
        match release {
            Release::Queued => run.row.phase = RunPhase::Queued,
            Release::Waiting { wake_at } => (run.row.phase, run.row.wake_at) = (RunPhase::Waiting, *wake_at),
            Release::Ended { status, error, conversation, usage } => {
                run.row.phase = RunPhase::Ended;
                run.row.status = Some(*status);
                run.row.error = error.as_ref().map(ToString::to_string);
                run.row.usage = usage.total;
                self.changes.used.count(run, usage);
                self.changes.end(run);
                self.lines.leave(run.number);
                if let Some(end) = conversation {
                    self.changes.talk.end(id, end);
                }
            }
        }
    }
}
