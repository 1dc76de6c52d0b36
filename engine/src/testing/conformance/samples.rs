//! What the cases are made of.

use crate::{
    event::{RunStatus, Seq, SignalTo},
    id::{Digest, RunId, SessionId},
    store::{
        Append, ConversationEnd, Idempotency, Journal, Message, MessageBody, NewRun, Parent, Release, RunPhase,
        RunUsage, StoredRecord, Take,
    },
    units::Millis,
    usage::{Spent, Usage},
    value::Value,
};

/// A record of about 300 bytes, as the benchmarks use it too.
pub fn record(seq: Seq) -> StoredRecord {
    let output = "x".repeat(180);
    let body = format!(
        r#"{{"seq":{seq},"at":{seq},"type":"node_succeeded","node":"each[3].fetch","attempt":1,"output":{{"value":{{"text":"{output}"}}}}}}"#
    );
    StoredRecord { seq, at: seq as Millis, body: body.into() }
}

pub fn records(seqs: impl IntoIterator<Item = Seq>) -> Vec<StoredRecord> {
    seqs.into_iter().map(record).collect()
}

/// A run with one record.
pub fn new_run(workflow: &str, at: Millis) -> NewRun {
    NewRun {
        id: RunId::random(),
        workflow: workflow.to_owned(),
        digest: Digest::of(b"bundle"),
        parent: None,
        trigger: "api".to_owned(),
        conversation: None,
        turn: None,
        subject: None,
        account: None,
        holds: Vec::new(),
        idempotency: None,
        at,
        records: records([1]),
        blobs: Vec::new(),
    }
}

pub fn child_of(parent: RunId, at: Millis) -> NewRun {
    NewRun {
        id: RunId::child(parent, "call", 1),
        parent: Some(Parent { run: parent, node: "call".to_owned(), attempt: 1 }),
        trigger: "parent".to_owned(),
        ..new_run("child", at)
    }
}

pub fn idempotency(caller: &str, key: &str, body: &str) -> Idempotency {
    Idempotency { caller: caller.to_owned(), key: key.to_owned(), body: Digest::of(body.as_bytes()) }
}

pub fn message(id: &str) -> Message {
    let to = SignalTo::Name("approved".to_owned());
    Message { id: id.to_owned(), at: 5, body: MessageBody::Signal { to, payload: Value::from(id), by: None } }
}

pub fn ended(status: RunStatus) -> Release {
    Release::Ended { status, error: None, conversation: None, usage: Box::default() }
}

/// What a run leaves in its conversation, without an answer.
pub fn left(id: &str, variables: impl Into<Value>) -> ConversationEnd {
    ConversationEnd { id: id.to_owned(), variables: variables.into(), answer: None }
}

/// What a run used of models, in tokens of questions.
pub fn used<'a>(models: impl IntoIterator<Item = (&'a str, u64)>) -> RunUsage {
    let mut spent = Spent::default();
    for (model, input_tokens) in models {
        spent.add(model, Usage { input_tokens, cost: 7 * input_tokens, ..Usage::default() });
    }
    RunUsage { total: spent.total(), own: spent.models }
}

pub async fn open(journal: &dyn Journal, at: Millis) -> SessionId {
    let session = SessionId::random();
    journal.open_session(session, at).await.unwrap();
    session
}

/// A run that a test owns.
#[derive(Clone, Debug)]
pub struct Owned {
    pub run: RunId,
    pub session: SessionId,
    pub epoch: u64,
    pub seq: Seq,
}

impl Owned {
    /// Creates a run and takes it, in a session of its own.
    pub async fn create(journal: &dyn Journal, at: Millis) -> Self {
        let session = open(journal, at).await;
        Self::create_in(journal, session, at).await
    }

    pub async fn create_in(journal: &dyn Journal, session: SessionId, at: Millis) -> Self {
        let new = new_run("support/answer", at);
        let run = new.id;
        journal.create(new).await.unwrap();
        Self::take(journal, run, session, at).await
    }

    pub async fn take(journal: &dyn Journal, run: RunId, session: SessionId, at: Millis) -> Self {
        let Take::Taken(taken) = journal.take(run, session, at).await.unwrap() else { panic!("{run} is not free") };
        Self { run, session, epoch: taken.epoch, seq: taken.row.seq }
    }

    /// An append of so many records.
    pub fn append(&self, count: u64) -> Append {
        Append {
            run: self.run,
            epoch: self.epoch,
            session: self.session,
            expected: self.seq,
            records: records(self.seq + 1..=self.seq + count),
            consumed: Vec::new(),
            blobs: Vec::new(),
            children: Vec::new(),
            send: Vec::new(),
            release: None,
            at: 10,
        }
    }

    pub fn release(&self, release: Release) -> Append {
        Append { release: Some(release), ..self.append(0) }
    }

    /// Ends the run at a time.
    pub async fn end(&self, journal: &dyn Journal, at: Millis) {
        let end = Append { at, ..self.release(ended(RunStatus::Succeeded)) };
        journal.append(end).await.unwrap();
    }
}

/// Everything that the journal shows of a run: a refused call must leave it as it is.
pub async fn sight(journal: &dyn Journal, run: RunId) -> String {
    let row = journal.run(run).await.unwrap();
    let records = journal.read(run, 0, 1000).await.unwrap();
    let inbox = journal.inbox(run).await.unwrap();
    format!("{row:?}\n{records:?}\n{inbox:?}")
}

pub async fn phase(journal: &dyn Journal, run: RunId) -> RunPhase {
    journal.run(run).await.unwrap().unwrap().phase
}

/// The rows of every message in an inbox.
pub async fn consumed(journal: &dyn Journal, run: RunId) -> Vec<i64> {
    journal.inbox(run).await.unwrap().iter().map(|message| message.row).collect()
}
