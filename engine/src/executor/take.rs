//! Becoming the owner of a run: its journal is read back, and what older owners left is settled.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{
    beside::Beside,
    owner::{Owner, OwnerError, Taking},
    policy, replay, stream,
};
use crate::{
    codes,
    definition::OnLost,
    engine::{AppendOutcome, Inner, LossCause},
    error::{ErrorClass, NodeError},
    event::{AfterFailure, Event, Record},
    id::RunId,
    run::{Addr, Deaths, Verdict, Ward, path},
    store::{Append, AppendError, Release, RunPhase, StoreError, StoredRecord, Take, Taken},
    usage::Spent,
};

/// So often may a node be lost with a process that executed nothing else; then it fails.
const MOST_LOSSES: u32 = 5;

impl Owner {
    /// Takes a run and replays its journal.
    pub(crate) async fn take(engine: Arc<Inner>, run: RunId, wake: Arc<Notify>) -> Result<Taking, OwnerError> {
        let now = engine.clock.now();
        let taken = match engine.stores.journal.take(run, engine.session, now).await? {
            Take::Taken(taken) => taken,
            Take::Full(ahead) => return Err(OwnerError::Full(ahead)),
            Take::Held => return Err(OwnerError::Held),
            Take::Ended => return Ok(Taking::Ended),
            Take::Owned(_) => return Err(OwnerError::Owned),
            Take::Unknown => return Err(OwnerError::Unknown),
        };
        let mut records = replay::load_records(&engine.stores, run, 0).await?;
        let newest = records.last().map_or(0, |record| record.seq);
        if newest > taken.row.seq {
            // It took so long that this process was believed to be dead: another one has gone on with the run.
            return Err(OwnerError::Owned);
        }
        if newest < taken.row.seq {
            let what = format!("the journal of {run} ends at record {newest}, and has {}", taken.row.seq);
            return Err(StoreError::Damaged(what).into());
        }
        let is_first = !records.iter().any(|record| matches!(record.event, Event::RunTaken { .. }));
        let mut deaths = Deaths::of(&records);
        // Who gives a run back lets it be queued or wait; only a death leaves it running.
        let died = taken.row.phase == RunPhase::Running && taken.row.owner != Some(engine.session);
        let event = Event::RunTaken {
            epoch: taken.epoch,
            owner: engine.session,
            deaths: deaths.in_a_row + u32::from(died),
            alone: engine.alone.is_some(),
        };
        deaths.apply(&event);
        let verdict = deaths.verdict(ward(&engine));
        let first = Record { seq: taken.row.seq + 1, at: records.last().map_or(now, |last| now.max(last.at)), event };
        let known = deaths.in_a_row > 0;
        if known {
            // Before anything is done that may be what the others died of.
            append(&engine, run, &taken, &first, verdict).await?;
            match verdict {
                Verdict::Isolate => return Ok(Taking::Suspect(taken.epoch)),
                Verdict::Leave => return Err(OwnerError::Deadly(deaths.alone)),
                Verdict::GoOn | Verdict::Fail => records.push(first.clone()),
            }
        }

        let plan = engine.plan(&taken.row.digest, &taken.row.workflow).await?;
        let (parent, seq) = (taken.row.parent, records.last().map_or(0, |last| last.seq));
        let outlet = stream::outlet(&engine, &plan, run, parent.as_ref(), (taken.epoch, seq), &records);
        let state = replay::fold(&plan, records)?;
        let mut owner = Self::new(engine, plan, run, state, wake, outlet);
        owner.parent = parent;
        if !known {
            owner.record(first.event.map(|_| Addr { frame: 0, node: 0 }));
        }
        if is_first {
            owner.begin(taken.row.seq == 1).await?;
        }
        let lost = owner.settle_lost(if died { LossCause::Death } else { LossCause::HandOver });
        if verdict == Verdict::Fail {
            owner.fail_deadly(&deaths, &lost);
        }
        owner.read_inbox().await?;
        owner.push_open_jobs();
        Ok(Taking::Taken(Box::new(owner)))
    }

    /// R9: whoever takes a run first settles what older owners left running. Gives the paths of what was lost.
    fn settle_lost(&mut self, cause: LossCause) -> Vec<String> {
        let mut lost = Vec::new();
        for at in self.state.lost() {
            lost.push(path::path(&self.plan, &self.state, at).to_string());
            self.lose(at, Spent::default(), cause, false);
        }
        lost
    }

    /// Journals that an attempt was lost, and what follows from it; `handed_over` where who had taken its job gave that back.
    pub(super) fn lose(&mut self, at: Addr, usage: Spent, cause: LossCause, handed_over: bool) {
        let Some(attempt) = self.state.node(at).map(|node| node.attempt) else { return };
        if !self.may_start(at) {
            // Nothing starts there any more, so it is not tried again.
            return self.record(Event::NodeCancelled { node: at, usage });
        }
        if let Some(observer) = &self.engine.observer {
            observer.lost(self.run, cause);
        }
        let plan = self.plan.clone();
        let node = self.node(&plan, at);
        self.record(Event::NodeLost { node: at, attempt, usage, handed_over });
        let too_often = self.state.node(at).is_some_and(|node| node.losses >= MOST_LOSSES);
        if too_often || node.on_lost == OnLost::Fail {
            let then = if too_often { AfterFailure::Fail } else { policy::unhandled(node) };
            let error = NodeError::new(codes::NODE_LOST, ErrorClass::Unavailable, "the process that ran it died")
                .hint("look whether its effect happened, then restart the run from this node");
            self.record_failure(at, attempt, &error, then, Beside::default());
        }
    }

    /// Fixes the result of a run that ends the processes which execute it.
    fn fail_deadly(&mut self, deaths: &Deaths, lost: &[String]) {
        let running = match lost {
            [] => String::new(),
            nodes => {
                format!(", while {} ran", nodes.iter().map(|node| format!("`{node}`")).collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!(
            "{} processes died in a row of executing it, {} of them alone with it{running}",
            deaths.in_a_row, deaths.alone
        );
        let hint = "look at the output of the processes that died, mend the node, then fork the run";
        let mut report = NodeError::new(codes::RUN_DEADLY, ErrorClass::Internal, message).hint(hint).report("");
        report.node = match lost {
            [node] => Some(node.clone()),
            _ => None,
        };
        self.record(Event::RunStopping { error: report });
    }
}

fn ward(engine: &Inner) -> Ward {
    match (engine.alone, &engine.quarantine) {
        (Some(_), _) => Ward::Alone,
        (None, Some(_)) => Ward::Near,
        (None, None) => Ward::None,
    }
}

/// Makes the first record of this owner durable; with it the run is given back when it must be executed alone.
async fn append(engine: &Inner, run: RunId, taken: &Taken, first: &Record, verdict: Verdict) -> Result<(), OwnerError> {
    let body = serde_json::to_string(first).expect("an event has only string keys and finite numbers");
    let append = Append {
        run,
        epoch: taken.epoch,
        session: engine.session,
        expected: taken.row.seq,
        records: vec![StoredRecord { seq: first.seq, at: first.at, body: body.into() }],
        consumed: Vec::new(),
        blobs: Vec::new(),
        children: Vec::new(),
        send: Vec::new(),
        release: (verdict == Verdict::Isolate).then_some(Release::Queued),
        at: engine.clock.now(),
    };
    let begun = engine.stopwatch();
    let appended = engine.stores.journal.append(append).await;
    engine.appended(begun, outcome_of(&appended));
    appended?;
    if let Some(observer) = &engine.observer {
        observer.record(run, first);
    }
    Ok(())
}

/// What became of an append, for those who watch.
pub(super) fn outcome_of(appended: &Result<(), AppendError>) -> AppendOutcome {
    match appended {
        Ok(()) | Err(AppendError::InboxNotEmpty) => AppendOutcome::Done,
        Err(AppendError::Fenced) => AppendOutcome::Refused,
        Err(AppendError::Store(_)) => AppendOutcome::Failed,
    }
}
