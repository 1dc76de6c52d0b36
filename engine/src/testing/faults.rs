//! A journal that fails when told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    event::Seq,
    id::{Digest, RunId, SessionId},
    store::{
        Append, AppendError, Backlog, ConversationFilter, ConversationRow, Created, EndPlace, Forget, InboxMessage,
        Installation, Journal, Message, NewRun, Rating, Release, ReleaseHeld, RunFilter, RunRow, Spending, StoreError,
        StoredRecord, StoredTurn, Take, TurnPage, UsageRow,
    },
    units::Millis,
    value::Value,
};

/// What goes wrong at an append.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused with this error; nothing is changed.
    Refused(StoreError),
    /// It becomes durable, but the caller is told that the store failed.
    Unknown,
    /// The process is cut off before it; every later call fails.
    CutBefore,
    /// It becomes durable, and the process is cut off before it learns so; every later call fails.
    CutAfter,
}

/// Another journal, with faults at chosen appends.
pub struct FaultyStore {
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    appends: u64,
    faults: BTreeMap<u64, Fault>,
    stall: Option<Stall>,
    cut: bool,
}

/// A read that stands still.
#[derive(Clone, Default)]
pub struct Stall {
    /// Told when somebody reads.
    pub reached: Arc<Notify>,
    /// Lets the read go on.
    pub go_on: Arc<Notify>,
}

impl FaultyStore {
    /// A journal without faults yet.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, state: Mutex::default() }
    }

    /// Something goes wrong at the `nth` append, counted from 1 since the store was made.
    pub fn at_append(self, nth: u64, fault: Fault) -> Self {
        self.state().faults.insert(nth, fault);
        self
    }

    /// The next read of records stands still until it is told to go on.
    pub fn stall_read(&self) -> Stall {
        self.state().stall.insert(Stall::default()).clone()
    }

    /// Cuts the process off: every later call fails.
    pub fn cut(&self) {
        self.state().cut = true;
    }

    /// How many appends were asked for.
    pub fn appends(&self) -> u64 {
        self.state().appends
    }

    /// Whether the process was cut off.
    pub fn is_cut(&self) -> bool {
        self.state().cut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> Result<&dyn Journal, StoreError> {
        if self.is_cut() { Err(cut()) } else { Ok(&*self.journal) }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        state.appends += 1;
        let nth = state.appends;
        let fault = state.faults.remove(&nth);
        state.cut |= matches!(fault, Some(Fault::CutBefore | Fault::CutAfter));
        fault
    }
}

fn cut() -> StoreError {
    StoreError::Failed("the process was cut off from the store".to_owned())
}

#[async_trait]
impl Journal for FaultyStore {
    async fn append(&self, append: Append) -> Result<(), AppendError> {
        let journal = self.reach()?;
        match self.next_fault() {
            None => journal.append(append).await,
            Some(Fault::Refused(error)) => Err(error.into()),
            Some(Fault::CutBefore) => Err(cut().into()),
            Some(Fault::Unknown) => {
                journal.append(append).await?;
                Err(StoreError::Failed("the outcome is not known".to_owned()).into())
            }
            Some(Fault::CutAfter) => {
                journal.append(append).await?;
                Err(cut().into())
            }
        }
    }

    async fn open_session(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.reach()?.open_session(session, at).await
    }
    async fn heartbeat(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        self.reach()?.heartbeat(session, at).await
    }
    async fn is_alive(&self, session: SessionId, at: Millis) -> Result<bool, StoreError> {
        self.reach()?.is_alive(session, at).await
    }
    async fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.reach()?.close_session(session).await
    }
    async fn put_bundle(&self, digest: &Digest, bundle: Arc<str>) -> Result<(), StoreError> {
        self.reach()?.put_bundle(digest, bundle).await
    }
    async fn bundle(&self, digest: &Digest) -> Result<Option<Arc<str>>, StoreError> {
        self.reach()?.bundle(digest).await
    }
    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        self.reach()?.create(run).await
    }
    async fn create_ended(&self, run: NewRun, end: Release) -> Result<Created, StoreError> {
        self.reach()?.create_ended(run, end).await
    }
    async fn take(&self, run: RunId, session: SessionId, at: Millis) -> Result<Take, StoreError> {
        self.reach()?.take(run, session, at).await
    }
    async fn read(&self, run: RunId, after: Seq, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let stall = self.state().stall.take();
        if let Some(stall) = stall {
            stall.reached.notify_one();
            stall.go_on.notified().await;
        }
        self.reach()?.read(run, after, limit).await
    }
    async fn send(&self, run: RunId, message: Message) -> Result<bool, StoreError> {
        self.reach()?.send(run, message).await
    }
    async fn inbox(&self, run: RunId) -> Result<Vec<InboxMessage>, StoreError> {
        self.reach()?.inbox(run).await
    }
    async fn mail(&self, session: SessionId) -> Result<Vec<RunId>, StoreError> {
        self.reach()?.mail(session).await
    }
    async fn run(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.reach()?.run(run).await
    }
    async fn runs(&self, filter: RunFilter) -> Result<Vec<RunRow>, StoreError> {
        self.reach()?.runs(filter).await
    }
    async fn runnable(&self, at: Millis, limit: u32) -> Result<Vec<RunId>, StoreError> {
        self.reach()?.runnable(at, limit).await
    }
    async fn backlog(&self, at: Millis) -> Result<Backlog, StoreError> {
        self.reach()?.backlog(at).await
    }
    async fn ahead(&self, run: RunId) -> Result<Vec<RunId>, StoreError> {
        self.reach()?.ahead(run).await
    }
    async fn first_in_line(&self, key: &str) -> Result<Option<RunId>, StoreError> {
        self.reach()?.first_in_line(key).await
    }
    async fn conversation(&self, id: &str) -> Result<Option<Value>, StoreError> {
        self.reach()?.conversation(id).await
    }
    async fn turns_before(&self, run: RunId, most: usize) -> Result<Vec<StoredTurn>, StoreError> {
        self.reach()?.turns_before(run, most).await
    }
    async fn turn(&self, run: RunId) -> Result<Option<StoredTurn>, StoreError> {
        self.reach()?.turn(run).await
    }
    async fn turns(&self, conversation: &str, page: TurnPage) -> Result<Vec<StoredTurn>, StoreError> {
        self.reach()?.turns(conversation, page).await
    }
    async fn rate(&self, run: RunId, rating: Option<Rating>) -> Result<bool, StoreError> {
        self.reach()?.rate(run, rating).await
    }
    async fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<ConversationRow>, StoreError> {
        self.reach()?.conversations(filter).await
    }
    async fn conversation_row(&self, id: &str) -> Result<Option<ConversationRow>, StoreError> {
        self.reach()?.conversation_row(id).await
    }
    async fn rename_conversation(&self, id: &str, title: &str) -> Result<bool, StoreError> {
        self.reach()?.rename_conversation(id, title).await
    }
    async fn forget_conversation(&self, id: &str, runs: bool, limit: u32) -> Result<Forget, StoreError> {
        self.reach()?.forget_conversation(id, runs, limit).await
    }
    async fn ended(&self, after: EndPlace, limit: u32) -> Result<Vec<(EndPlace, RunRow)>, StoreError> {
        self.reach()?.ended(after, limit).await
    }
    async fn delete(&self, runs: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        self.reach()?.delete(runs).await
    }
    async fn delete_ended(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        self.reach()?.delete_ended(before, limit).await
    }
    async fn forget(&self, subject: &str, limit: u32) -> Result<Forget, StoreError> {
        self.reach()?.forget(subject, limit).await
    }
    async fn usage(&self, from: Millis, until: Millis) -> Result<Vec<UsageRow>, StoreError> {
        self.reach()?.usage(from, until).await
    }
    async fn has_blob_rows(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.reach()?.has_blob_rows(digest).await
    }
    async fn forget_usage(&self, before: Millis) -> Result<(), StoreError> {
        self.reach()?.forget_usage(before).await
    }
    async fn spent(&self, account: Option<&str>, from: Millis, until: Millis) -> Result<Spending, StoreError> {
        self.reach()?.spent(account, from, until).await
    }
    async fn hold_runs(&self) -> Result<u64, StoreError> {
        self.reach()?.hold_runs().await
    }
    async fn release_held(&self, which: &ReleaseHeld, limit: u32) -> Result<Vec<RunId>, StoreError> {
        self.reach()?.release_held(which, limit).await
    }
    async fn queued(&self, most: u32) -> Result<u32, StoreError> {
        self.reach()?.queued(most).await
    }
    async fn check_room(&self) -> Result<(), StoreError> {
        self.reach()?.check_room().await
    }
    async fn installation(&self) -> Result<Installation, StoreError> {
        self.reach()?.installation().await
    }
    async fn backed_up(&self, at: Millis) -> Result<(), StoreError> {
        self.reach()?.backed_up(at).await
    }
}
