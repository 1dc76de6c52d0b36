//! What a child process does: it gives up everything for good, and then reads one file after the other.
//!
//! Its socket is its standard input. It ends when that is closed, so it never outlives its parent.

use std::{
    alloc::{self, Layout},
    fs,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
};

use liteagent_sandbox_lock as lock;

use crate::{
    limits::Limits,
    wire::{self, FromChild, Hello, Locked, Request},
};

/// What this process cannot do.
#[derive(Debug, thiserror::Error)]
#[error("a reader of documents cannot {what}: {why}")]
pub struct Failed {
    what: &'static str,
    why: String,
}

/// Reads files for the parent of this process until it closes the socket.
///
/// # Errors
/// When this process cannot serve, which the parent is told too.
pub fn serve() -> Result<(), Failed> {
    let mut socket = socket().map_err(|error| cannot("start", &error))?;
    let (limits, locked) = match prepare(&mut socket) {
        Ok(prepared) => prepared,
        Err(failed) => {
            // A parent that has gone knows without being told.
            let _ = say(&mut socket, &FromChild::Failed(failed.to_string()));
            return Err(failed);
        }
    };
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|place| format!(" ({}:{})", file_of(place.file()), place.line()));
        let why = format!("{}{}", info.payload_as_str().unwrap_or("no reason"), place.unwrap_or_default());
        *WHY.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }));
    go_on(&mut socket, &limits, locked).map_err(|error| cannot("go on", &error))
}

/// Why the last reader broke off.
static WHY: Mutex<String> = Mutex::new(String::new());

fn file_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

fn prepare(socket: &mut UnixStream) -> Result<(Limits, Locked), Failed> {
    lock::begin(socket).map_err(|error| cannot("give up what it inherited", &error))?;
    let hello = wire::receive(socket).map_err(|error| cannot("read its limits", &error))?;
    let hello = hello.ok_or_else(|| cannot("read its limits", &"the connection is closed"))?;
    let Hello { limits } = wire::parse(&hello).map_err(|error| cannot("read its limits", &error))?;
    let taken = taken().map_err(|error| cannot("find out how large it is", &error))?;
    lock::limit_memory(taken.saturating_add(limits.memory)).map_err(|error| cannot("limit its memory", &error))?;
    let landlock = lock::seal().map_err(|error| cannot("seal itself", &error))?;
    lock::finish().map_err(|error| cannot("lock itself", &error))?;
    let refused = lock::prove().map_err(|open| cannot("be trusted: it could still", &open))?;
    Ok((limits, Locked { landlock, refused }))
}

/// The memory that this process takes already: mostly its program.
fn taken() -> io::Result<u64> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = pages.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("the kernel does not say"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

fn go_on(socket: &mut UnixStream, limits: &Limits, locked: Locked) -> io::Result<()> {
    say(socket, &FromChild::Ready(locked))?;
    while let Some(request) = wire::receive(socket)? {
        let Request { name } = wire::parse(&request)?;
        let content = match wire::receive(socket) {
            // Ends as it would have when the memory runs out later.
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => alloc::handle_alloc_error(Layout::new::<u8>()),
            content => content?.ok_or(io::ErrorKind::UnexpectedEof)?,
        };
        let read = panic::catch_unwind(AssertUnwindSafe(|| crate::read(&name, &content, limits)));
        drop(content);
        let Ok(read) = read else {
            // What it left behind is not known: the next file gets another process.
            let why = WHY.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return say(socket, &FromChild::Panicked(why));
        };
        say(socket, &FromChild::Read(read))?;
    }
    Ok(())
}

fn say(socket: &mut UnixStream, message: &FromChild) -> io::Result<()> {
    socket.write_all(&wire::frame(message)?)
}

fn cannot(what: &'static str, why: &dyn std::fmt::Display) -> Failed {
    Failed { what, why: why.to_string() }
}
