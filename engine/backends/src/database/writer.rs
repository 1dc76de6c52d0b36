//! The one thread that writes: what arrives while a commit is under way shares the next one.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use liteagent_engine::store::StoreError;
use tokio::sync::oneshot;

use super::{Database, error::Error};

/// At most so many writes share a commit.
const GROUP: usize = 512;

/// What the thread works with: a database, and what is remembered of it.
pub trait Writes: Send + 'static {
    /// The database.
    fn database(&self) -> &Database;
    /// A transaction was undone: what was remembered of it is not so.
    fn rolled_back(&self) {}
}

impl Writes for Database {
    fn database(&self) -> &Database {
        self
    }
}

/// The way to the writing thread; it ends when the last of these is dropped.
pub enum Writer<D> {
    /// The way to it.
    Thread(Jobs<D>),
    /// The store can only be read, and why.
    Nobody(Arc<str>),
}

/// What is given to the thread.
type Jobs<D> = Sender<Box<dyn Job<D>>>;

impl<D> Clone for Writer<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Thread(jobs) => Self::Thread(jobs.clone()),
            Self::Nobody(why) => Self::Nobody(why.clone()),
        }
    }
}

/// A write. It is done again from the start when a neighbour in its group made the transaction fail, so it keeps
/// what it was given.
pub trait Job<D>: Send {
    /// Does it, in a transaction.
    fn run(&mut self, db: &D) -> Result<(), Error>;
    /// Tells the caller; called once, after the commit.
    fn acknowledge(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Call<W, T> {
    work: W,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<D, W, T> Job<D> for Call<W, T>
where
    W: FnMut(&D) -> Result<T, Error> + Send,
    T: Send,
{
    fn run(&mut self, db: &D) -> Result<(), Error> {
        self.done = Some((self.work)(db)?);
        Ok(())
    }

    fn acknowledge(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        // A caller that has gone away needs no answer.
        let _ = reply.send(outcome.and_then(|()| done.ok_or_else(stopped)));
    }
}

impl<D: Writes> Writer<D> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(db: D) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(&db, &inbox))
            .map_err(|error| StoreError::Failed(format!("the writing thread did not start: {error}")))?;
        Ok(Self::Thread(jobs))
    }

    /// Does work in a transaction, shared with others, and returns when it is durable. Work that refuses something
    /// must do so before it changes anything, and say so in `T`; an error undoes it.
    ///
    /// # Errors
    /// Those of the work; [`StoreError::ReadOnly`] where nobody writes.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&D) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let jobs = match self {
            Self::Thread(jobs) => jobs,
            Self::Nobody(why) => return Err(StoreError::ReadOnly(why.to_string())),
        };
        let (reply, answer) = oneshot::channel();
        jobs.send(Box::new(Call { work, done: None, reply })).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Failed("the writing thread has stopped".to_owned())
}

fn serve<D: Writes>(db: &D, inbox: &Receiver<Box<dyn Job<D>>>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        match run_group(db, &mut group, inbox) {
            Ok(()) => acknowledge(group, &commit(db)),
            Err(error) => {
                rollback(db);
                apart(db, group, error);
            }
        }
    }
}

/// Runs the group and whatever arrives meanwhile.
fn run_group<D: Writes>(
    db: &D,
    group: &mut Vec<Box<dyn Job<D>>>,
    inbox: &Receiver<Box<dyn Job<D>>>,
) -> Result<(), Error> {
    begin(db)?;
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        job.run(db)?;
        next += 1;
        if next == group.len() && next < GROUP {
            group.extend(inbox.try_iter().take(GROUP - next));
        }
    }
    Ok(())
}

/// Something in the group failed, and took the transaction with it: each one alone shows which.
fn apart<D: Writes>(db: &D, group: Vec<Box<dyn Job<D>>>, error: Error) {
    if group.len() == 1 {
        return acknowledge(group, &Err(error.into()));
    }
    for mut job in group {
        let outcome = begin(db).and_then(|()| job.run(db)).map_err(StoreError::from).and_then(|()| commit(db));
        if outcome.is_err() {
            rollback(db);
        }
        job.acknowledge(outcome);
    }
}

fn acknowledge<D>(group: Vec<Box<dyn Job<D>>>, outcome: &Result<(), StoreError>) {
    for job in group {
        job.acknowledge(outcome.clone());
    }
}

fn begin<D: Writes>(db: &D) -> Result<(), Error> {
    rollback(db);
    db.database().begin()
}

fn commit<D: Writes>(db: &D) -> Result<(), StoreError> {
    db.database().commit().map_err(|error| {
        rollback(db);
        error.into()
    })
}

fn rollback<D: Writes>(db: &D) {
    if db.database().rollback() {
        db.rolled_back();
    }
}
