//! The connection to one child: many calls at once, each with its number.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use liteagent_sandbox_protocol::{Load, Reply, Request};
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, oneshot, watch},
};

use crate::{
    wire::{self, FromChild, Locked, ToChild},
    work,
};

/// A child that is up, until its connection is closed.
pub(super) struct Connection {
    /// The id of its process.
    pub(super) id: u32,
    pub(super) locked: Locked,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
    numbers: AtomicU64,
    closed: watch::Receiver<bool>,
}

/// Who waits for an answer.
#[derive(Default)]
struct Pending {
    asked: HashMap<u64, oneshot::Sender<Answer>>,
    /// Nothing can be asked any more.
    closed: bool,
    /// Why nothing will be answered any more.
    why: String,
}

enum Answer {
    Reply(Reply),
    Load(Load),
}

/// Why a call has no reply.
pub(super) enum Lost {
    /// It never left this process: here it is.
    Before(Request),
    /// The child ended while it had the call.
    During(String),
}

impl Connection {
    pub(super) fn new(id: u32, locked: Locked, reader: BufReader<OwnedReadHalf>, writer: OwnedWriteHalf) -> Self {
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (outgoing, frames) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(false);
        tokio::spawn(write(writer, frames));
        let answered = Arc::clone(&pending);
        tokio::spawn(async move {
            if let Err(error) = read(reader, &answered).await {
                tracing::error!(id, %error, "a child process of the sandbox cannot be understood");
            }
            lock(&answered).closed = true;
            close.send_replace(true);
        });
        Self { id, locked, outgoing, pending, numbers: AtomicU64::new(0), closed }
    }

    /// Runs a call there.
    pub(super) async fn call(&self, request: Request) -> Result<Reply, Lost> {
        let Some(asked) = self.ask() else { return Err(Lost::Before(request)) };
        let size = request.code.len() + request.inputs.get().len();
        let message = ToChild::Call { id: asked.id, request };
        let frame = work(size, move || wire::frame(&message)).await;
        let frame = frame.map_err(|error| Lost::During(error.to_string()))?;
        match asked.answer(frame).await {
            Some(Answer::Reply(reply)) => Ok(reply),
            Some(Answer::Load(_)) => Err(Lost::During("it answered something else".to_owned())),
            None => Err(Lost::During(lock(&self.pending).why.clone())),
        }
    }

    /// How much it has to do; `None` when it has ended.
    pub(super) async fn load(&self) -> Option<Load> {
        let asked = self.ask()?;
        let frame = wire::frame(&ToChild::Load { id: asked.id }).ok()?;
        match asked.answer(frame).await? {
            Answer::Load(load) => Some(load),
            Answer::Reply(_) => None,
        }
    }

    /// How many answers are waited for.
    pub(super) fn calls(&self) -> usize {
        lock(&self.pending).asked.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns when the child says nothing any more.
    pub(super) async fn closed(&self) {
        // An error means that the reader has gone, which is the same.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }

    /// Tells everyone who waits that there will be no answer, and why.
    pub(super) fn end(&self, why: &str) {
        let mut pending = lock(&self.pending);
        why.clone_into(&mut pending.why);
        pending.asked.clear();
    }

    fn ask(&self) -> Option<Asked<'_>> {
        let id = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let mut pending = lock(&self.pending);
        if pending.closed {
            return None;
        }
        pending.asked.insert(id, sender);
        Some(Asked { id, connection: self, answer })
    }
}

/// A question whose answer is waited for. Dropped before, it is taken back.
struct Asked<'a> {
    id: u64,
    connection: &'a Connection,
    answer: oneshot::Receiver<Answer>,
}

impl Asked<'_> {
    /// Sends the question. `None` when there will be no answer.
    async fn answer(mut self, frame: Vec<u8>) -> Option<Answer> {
        self.connection.outgoing.send(frame).ok()?;
        (&mut self.answer).await.ok()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let unanswered = lock(&self.connection.pending).asked.remove(&self.id).is_some();
        if unanswered && let Ok(frame) = wire::frame(&ToChild::Cancel { id: self.id }) {
            // Without a writer the child has ended, and what it ran too.
            let _ = self.connection.outgoing.send(frame);
        }
    }
}

/// Passes answers on until the child closes the connection.
async fn read(mut reader: BufReader<OwnedReadHalf>, pending: &Arc<Mutex<Pending>>) -> io::Result<()> {
    while let Some(json) = wire::read(&mut reader).await? {
        let pending = Arc::clone(pending);
        work(json.len(), move || pass_on(&json, &pending)).await?;
    }
    Ok(())
}

fn pass_on(json: &[u8], pending: &Mutex<Pending>) -> io::Result<()> {
    let (id, answer) = match wire::parse(json)? {
        FromChild::Reply { id, reply } => (id, Answer::Reply(reply)),
        FromChild::Load { id, load } => (id, Answer::Load(load)),
        FromChild::Ready(_) | FromChild::Failed(_) => return Err(io::Error::other("it said twice how it started")),
    };
    if let Some(asked) = lock(pending).asked.remove(&id) {
        let _ = asked.send(answer); // whoever asked may have gone
    }
    Ok(())
}

async fn write(mut writer: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if writer.write_all(&frame).await.is_err() {
            return; // the reader sees the end too, and tells
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
