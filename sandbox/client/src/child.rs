//! What a child process does: it loads what it needs, gives up everything else for good, and runs calls.
//!
//! Its socket is its standard input. It ends when that is closed, so it never outlives its parent.

use std::{
    cell::OnceCell,
    collections::HashMap,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream as StdStream},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use liteagent_sandbox_lock as lock;
use liteagent_sandbox_protocol::{Fault, Kind, Runner};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::AbortHandle,
};

use crate::wire::{self, FromChild, Locked, ToChild};

/// Gives up files and the network on the thread that calls it, and on every thread that this one starts from then on.
pub struct Seal(Rc<OnceCell<String>>);

impl Seal {
    /// Seals this thread. What was opened before stays open.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn seal(self) -> Result<(), Fault> {
        // What was printed until here was about loading; from now on there is nobody to print for.
        rustix::stdio::dup2_stderr(io::stdout()).map_err(|error| cannot("seal itself", &error))?;
        let landlock = lock::seal().map_err(|error| cannot("seal itself", &error))?;
        self.0.set(landlock).map_err(|_| cannot("seal itself", &"it is sealed already"))
    }
}

/// Serves the parent of this process until it closes the socket. `open` makes the runner of the parent's configuration; it
/// must call [`Seal::seal`] when it has loaded everything and has not started a thread.
///
/// # Errors
/// When this process cannot serve, which the parent is told too.
pub fn serve<C, R>(open: impl FnOnce(C, Seal) -> Result<R, Fault>) -> Result<(), Fault>
where
    C: DeserializeOwned,
    R: Runner + 'static,
{
    let socket = socket().map_err(|error| {
        cannot("start", &error).hint("this command is for the sandbox itself: use `liteagent sandbox`")
    })?;
    let (runtime, runner, locked) = match prepare(&socket, open) {
        Ok(prepared) => prepared,
        Err(fault) => {
            let frame = wire::frame(&FromChild::Failed(fault.clone())).map_err(|error| cannot("speak", &error))?;
            // A parent that has gone knows without being told.
            let _ = (&socket).write_all(&frame);
            return Err(fault);
        }
    };
    runtime.block_on(go_on(socket, Arc::new(runner), locked)).map_err(|error| cannot("go on", &error))
}

fn socket() -> io::Result<StdStream> {
    let socket = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn prepare<C: DeserializeOwned, R>(
    socket: &StdStream,
    open: impl FnOnce(C, Seal) -> Result<R, Fault>,
) -> Result<(Runtime, R, Locked), Fault> {
    lock::begin(socket).map_err(|error| cannot("give up what it inherited", &error))?;
    let config = configuration(socket).map_err(|error| cannot("read its configuration", &error))?;
    let sealed = Rc::new(OnceCell::new());
    let runner = open(config, Seal(Rc::clone(&sealed)))?;
    let landlock = sealed.get().cloned().ok_or_else(|| cannot("serve", &"it was not sealed"))?;

    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot("start", &error))?;
    runtime.block_on(async { deaf() }).map_err(|error| cannot("start", &error))?;
    // The last change of a descriptor: the lock refuses the call.
    socket.set_nonblocking(true).map_err(|error| cannot("start", &error))?;
    lock::finish().map_err(|error| cannot("lock itself", &error))?;
    let refused = lock::prove().map_err(|open| cannot("be trusted: it could still", &open))?;
    Ok((runtime, runner, Locked { landlock, refused }))
}

fn configuration<C: DeserializeOwned>(mut socket: &StdStream) -> io::Result<C> {
    use std::io::Read as _;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut json = Vec::new();
    socket.take(u32::from_le_bytes(length).into()).read_to_end(&mut json)?;
    wire::parse(&json)
}

/// Signals to a whole group, of Ctrl-C or of an init system, are for the parent: it says when to stop.
fn deaf() -> io::Result<()> {
    let _ = signal(SignalKind::interrupt())?;
    let _ = signal(SignalKind::terminate())?;
    Ok(())
}

async fn go_on(socket: StdStream, runner: Arc<dyn Runner>, locked: Locked) -> io::Result<()> {
    let (reader, writer) = UnixStream::from_std(socket)?.into_split();
    let (outgoing, frames) = mpsc::unbounded_channel();
    say(&outgoing, &FromChild::Ready(locked));
    tokio::select! {
        ended = read(reader, runner, outgoing) => ended,
        ended = write(writer, frames) => ended,
    }
}

async fn read(
    reader: OwnedReadHalf,
    runner: Arc<dyn Runner>,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let calls = Arc::new(Mutex::new(HashMap::<u64, AbortHandle>::new()));
    while let Some(json) = wire::read(&mut reader).await? {
        match wire::parse(&json)? {
            ToChild::Call { id, request } => {
                let (runner, outgoing, ended) = (Arc::clone(&runner), outgoing.clone(), Arc::clone(&calls));
                let call = tokio::spawn(async move {
                    let reply = runner.run(request).await;
                    ended.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    say(&outgoing, &FromChild::Reply { id, reply });
                });
                calls.lock().unwrap_or_else(PoisonError::into_inner).insert(id, call.abort_handle());
            }
            ToChild::Cancel { id } => {
                if let Some(call) = calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
                    call.abort();
                }
            }
            ToChild::Load { id } => say(&outgoing, &FromChild::Load { id, load: runner.load().await }),
        }
    }
    Ok(())
}

async fn write(mut writer: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        writer.write_all(&frame).await?;
    }
    Ok(())
}

fn say(outgoing: &mpsc::UnboundedSender<Vec<u8>>, message: &FromChild) {
    let frame = wire::frame(message).or_else(|error| match message {
        FromChild::Reply { id, .. } => {
            let fault = cannot("pass the reply on", &error);
            wire::frame(&FromChild::Reply {
                id: *id,
                reply: Err(Box::new(liteagent_sandbox_protocol::Failure::before(fault))),
            })
        }
        _ => Err(error),
    });
    if let Ok(frame) = frame {
        // Without a writer the connection is gone, and this process is about to end.
        let _ = outgoing.send(frame);
    }
}

fn cannot(what: &str, why: &dyn std::fmt::Display) -> Fault {
    Fault::new(Kind::Sandbox, format!("a child process of the sandbox cannot {what}: {why}"))
}
