//! Who becomes the owner of a run.

use liteagent_engine::store::{RunPhase, StoreError, Take, Taken};

use super::{group::Stage, queue::Taking, session::not_open};

impl Stage<'_> {
    pub(super) fn take(&mut self, taking: &Taking) -> Result<Take, StoreError> {
        let Taking { run, session, at } = *taking;
        if !self.is_open(session) {
            return Err(not_open(session));
        }
        let Some(locked) = self.runs.get(run) else { return Ok(Take::Unknown) };
        if locked.row.phase == RunPhase::Ended {
            return Ok(Take::Ended);
        }
        if locked.row.phase == RunPhase::Held {
            return Ok(Take::Held);
        }
        if let Some(owner) = locked.row.owner.filter(|owner| *owner != session)
            && self.sessions.is_alive(self.db, owner, at)
        {
            return Ok(Take::Owned(owner));
        }
        if locked.waits && locked.row.epoch == 0 && !self.stopping.contains(&locked.number) {
            let ahead = self.lines.ahead(locked.number);
            if !ahead.is_empty() {
                return Ok(Take::Full(ahead));
            }
            self.lines.hold(locked.number);
            self.changes.hold(run);
        }
        let Some(locked) = self.runs.get_mut(run) else { return Ok(Take::Unknown) };
        locked.touch();
        let (before, row) = (locked.row.clone(), &mut locked.row);
        row.epoch += 1;
        row.phase = RunPhase::Running;
        row.owner = Some(session);
        row.wake_at = None;
        row.updated_at = at;
        Ok(Take::Taken(Box::new(Taken { epoch: row.epoch, row: before })))
    }
}
