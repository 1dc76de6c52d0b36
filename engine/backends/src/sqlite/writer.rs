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

use super::{db::Db, error::Error};

/// At most so many writes share a commit.
const GROUP: usize = 512;

/// The way to the writing thread; it ends when the last of these is dropped.
#[derive(Clone)]
pub(super) enum Writer {
    Thread(Sender<Box<dyn Job>>),
    /// The store can only be read, and why.
    Nobody(Arc<str>),
}

/// A write. It is done again from the start when a neighbour in its group made the transaction fail, so it keeps
/// what it was given.
pub(super) trait Job: Send {
    fn run(&mut self, db: &Db) -> Result<(), Error>;
    /// Tells the caller; called once, after the commit.
    fn acknowledge(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Call<W, T> {
    work: W,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Job for Call<W, T>
where
    W: FnMut(&Db) -> Result<T, Error> + Send,
    T: Send,
{
    fn run(&mut self, db: &Db) -> Result<(), Error> {
        self.done = Some((self.work)(db)?);
        Ok(())
    }

    fn acknowledge(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        // A caller that has gone away needs no answer.
        let _ = reply.send(outcome.and_then(|()| done.ok_or_else(stopped)));
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(db: Db) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel();
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(&db, &inbox))
            .map_err(|error| StoreError::Failed(format!("the writing thread did not start: {error}")))?;
        Ok(Self::Thread(jobs))
    }

    /// Does work in a transaction, shared with others, and returns when it is durable. Work that refuses something
    /// must do so before it changes anything, and say so in `T`; an error undoes it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Db) -> Result<T, Error> + Send + 'static,
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

fn serve(db: &Db, inbox: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = inbox.recv() {
        let mut group = vec![first];
        match run_group(db, &mut group, inbox) {
            Ok(()) => acknowledge(group, &db.commit()),
            Err(error) => {
                db.rollback();
                apart(db, group, error);
            }
        }
    }
}

/// Runs the group and whatever arrives meanwhile.
fn run_group(db: &Db, group: &mut Vec<Box<dyn Job>>, inbox: &Receiver<Box<dyn Job>>) -> Result<(), Error> {
    db.begin()?;
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
fn apart(db: &Db, group: Vec<Box<dyn Job>>, error: Error) {
    if group.len() == 1 {
        return acknowledge(group, &Err(error.into()));
    }
    for mut job in group {
        let outcome = db.begin().and_then(|()| job.run(db)).map_err(StoreError::from).and_then(|()| db.commit());
        if outcome.is_err() {
            db.rollback();
        }
        job.acknowledge(outcome);
    }
}

fn acknowledge(group: Vec<Box<dyn Job>>, outcome: &Result<(), StoreError>) {
    for job in group {
        job.acknowledge(outcome.clone());
    }
}
