//! Journaling what others sent to the run.

use std::collections::HashSet;

use super::{
    child::ChildEnd,
    owner::{Owner, OwnerError},
};
use crate::{
    event::Event,
    store::{InboxMessage, MessageBody},
};

impl Owner {
    /// Journals what the inbox holds. The messages are consumed by the append that carries the records.
    pub(super) async fn read_inbox(&mut self) -> Result<(), OwnerError> {
        if self.detached.is_some() {
            return Ok(());
        }
        let mut inbox = self.engine.stores.journal.inbox(self.run).await?;
        inbox.retain(|message| !self.seen.contains(&message.row));
        // Who has taken what is over need not be known.
        let ended = inbox.iter().filter_map(|message| match &message.message.body {
            MessageBody::StepEnded { node, attempt, .. } => Some((node.clone(), *attempt)),
            _ => None,
        });
        let ended: HashSet<(String, u32)> = ended.collect();
        for mut message in inbox {
            if let MessageBody::StepEnded { result, .. } = &mut message.message.body {
                self.load_result(result).await?;
            }
            self.seen.insert(message.row);
            self.receive(message, &ended);
        }
        Ok(())
    }

    fn receive(&mut self, InboxMessage { row, message }: InboxMessage, ended: &HashSet<(String, u32)>) {
        self.pending.consumed.push(row);
        match message.body {
            MessageBody::Signal { to, payload, by } => {
                let payload = self.redactor.value(payload);
                self.record(Event::SignalReceived { id: message.id, to, payload, by });
            }
            MessageBody::Cancel { by } => self.record(Event::CancelRequested { by }),
            MessageBody::ChildEnded { node, attempt, status, outputs, error, usage } => {
                self.child_ended(&node, ChildEnd { attempt, usage, status, outputs, error });
            }
            MessageBody::JobTaken { node, job, session } => {
                let is_over = |attempt| ended.contains(&(node.clone(), attempt));
                self.job_taken(&node, job, session, is_over);
            }
            MessageBody::JobGivenBack { node, job, session, usage } => {
                self.job_given_back(&node, job, session, usage);
            }
            MessageBody::StepEnded { node, attempt, result, usage, log } => {
                self.step_ended(&node, attempt, result, usage, log);
            }
        }
    }
}
