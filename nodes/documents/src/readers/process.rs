//! A child process.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use liteagent_engine::capability::documents::{DocumentText, FileToRead};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use super::{Program, unusable};
use crate::{
    Locked,
    limits::{Limits, size},
    trouble::{Kind, Trouble},
    wire::{self, FromChild, Hello, Request},
};

/// How long a start may take.
const START: Duration = Duration::from_secs(30);
/// How long a child may take to end after it closed its socket.
const END: Duration = Duration::from_secs(2);
/// What is read of what a child printed before it died.
const MOST_SAID: u64 = 4 * 1024;
/// JSON of a text takes six bytes for each of it at most; and there are headings and pages.
const MOST_JSON: u64 = 8;
const MOST_BESIDE: u64 = 64 << 20;

/// A child process. It is killed when this is dropped.
pub(super) struct Process {
    child: Child,
    socket: UnixStream,
    pub(super) locked: Locked,
}

/// Why a child cannot be used any more.
pub(super) enum Lost {
    /// It died.
    Died(Trouble),
    /// It has said why it ends, or was ended.
    Ended(Trouble),
}

impl Process {
    /// Starts a child and waits until it has given up everything.
    pub(super) async fn start(program: &Program, limits: &Limits) -> Result<Self, Trouble> {
        let failed = |error: &dyn std::fmt::Display| {
            unusable(&format_args!("`{}` did not start: {error}", program.path.display()))
        };
        let (mut socket, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let theirs = theirs.into_std().map_err(|error| failed(&error))?;
        let mut child = spawn(program, theirs.into()).map_err(|error| failed(&error))?;
        let hello = wire::frame(&Hello { limits: *limits }).map_err(|error| failed(&error))?;
        let handshake = async {
            socket.write_all(&hello).await?;
            wire::parse(&wire::receive_from(&mut socket, MOST_BESIDE).await?)
        };
        match timeout(START, handshake).await {
            Ok(Ok(FromChild::Ready(locked))) => Ok(Self { child, socket, locked }),
            Ok(Ok(FromChild::Failed(why))) => Err(failed(&why)),
            Ok(Ok(_)) => Err(failed(&"it said something else than that it is ready")),
            Ok(Err(error)) => {
                let said = said(child.stderr.take()).await;
                Err(failed(&format_args!("{error}{}{said}", if said.is_empty() { "" } else { ": " })))
            }
            Err(_) => Err(failed(&format_args!("it said nothing for {} s", START.as_secs()))),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Has a file read.
    pub(super) async fn read(
        &mut self,
        file: &FileToRead,
        limits: &Limits,
    ) -> Result<Result<DocumentText, Trouble>, Lost> {
        let most = limits.text.saturating_mul(MOST_JSON).saturating_add(MOST_BESIDE);
        let exchange = async {
            let request = wire::frame(&Request { name: file.name.clone() })?;
            self.socket.write_all(&request).await?;
            self.socket.write_all(&wire::length(file.content.len())?).await?;
            self.socket.write_all(&file.content).await?;
            let json = wire::receive_from(&mut self.socket, most).await?;
            parse(json).await
        };
        match timeout(limits.time, exchange).await {
            Ok(Ok(FromChild::Read(read))) => Ok(read),
            Ok(Ok(FromChild::Panicked(why))) => {
                Err(Lost::Ended(Trouble::broken(format_args!("its reader broke off: {why}"))))
            }
            Ok(Ok(FromChild::Ready(_) | FromChild::Failed(_))) => {
                Err(Lost::Ended(unusable(&"a child process answered something else")))
            }
            Ok(Err(error)) => Err(Lost::Died(self.how_it_died(&error, limits).await)),
            Err(_) => {
                let time = liteagent_engine::units::Duration(limits.time);
                Err(Lost::Ended(Trouble::limit(
                    "time",
                    format!("takes longer to read than the {time} that are allowed"),
                )))
            }
        }
    }

    /// What became of a child that closed its socket.
    async fn how_it_died(&mut self, error: &io::Error, limits: &Limits) -> Trouble {
        let Ok(Ok(status)) = timeout(END, self.child.wait()).await else {
            return unusable(&format_args!("a child process cannot be understood: {error}"));
        };
        let said = said(self.child.stderr.take()).await;
        verdict(status, &said, limits)
    }
}

/// Why a child died, by what the system and its last words say.
fn verdict(status: ExitStatus, said: &str, limits: &Limits) -> Trouble {
    const KILL: i32 = 9;
    if said.contains("memory allocation of") {
        let message = format!("takes more memory to read than the {} that are allowed", size(limits.memory));
        return Trouble::limit("memory", message);
    }
    if said.contains("overflowed its stack") {
        return Trouble::new(Kind::Limit, "nests its parts too deep", "make the file simpler");
    }
    if status.signal() == Some(KILL) {
        return unusable(&"it was killed from outside, as the system does when memory is short");
    }
    Trouble::broken(format_args!("its reader ended ({status})"))
}

/// Parses a message: on a thread of its own where that takes long.
async fn parse(json: Vec<u8>) -> io::Result<FromChild> {
    const HEAVY: usize = 256 * 1024;
    if json.len() < HEAVY {
        return wire::parse(&json);
    }
    tokio::task::spawn_blocking(move || wire::parse(&json)).await.map_err(io::Error::other)?
}

/// A process with a socket as its standard input, and nothing else.
fn spawn(program: &Program, socket: OwnedFd) -> io::Result<Child> {
    // Descriptors of ours are closed by `exec`; so shall be those that whoever started this process left open.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        // What the allocator sets aside at the start would count as used before any file is read.
        .env("MIMALLOC_ARENA_RESERVE", "0")
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C is for the process that a person looks at.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The last words of a child that has ended.
async fn said(stderr: Option<ChildStderr>) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let mut said = Vec::new();
    // What cannot be read was not said.
    let _ = timeout(END, stderr.take(MOST_SAID).read_to_end(&mut said)).await;
    String::from_utf8_lossy(&said).trim().to_owned()
}
