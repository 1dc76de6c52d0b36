//! The process of a child.

use std::{io, os::fd::OwnedFd, process::Stdio, time::Duration};

use liteagent_sandbox_protocol::Fault;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, Command},
};

use super::{Program, connection::Connection, could_not_start};
use crate::wire::{self, FromChild};

/// How long a start may take: the first on a machine compiles.
const START: Duration = Duration::from_mins(3);
/// How long a child may take to end after it closed its socket.
const END: Duration = Duration::from_secs(2);
/// What is kept of what a child prints while it starts.
const MOST_SAID: usize = 4 * 1024;

/// A child process. It is killed when this is dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts a child and waits until it serves.
    pub(super) async fn start(program: &Program, configuration: &[u8]) -> Result<(Self, Connection), Fault> {
        let failed = |error: &dyn std::fmt::Display| could_not_start(program, error);
        let (socket, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let theirs = theirs.into_std().map_err(|error| failed(&error))?;
        let mut child = spawn(program, theirs.into()).map_err(|error| failed(&error))?;
        let said = tokio::spawn(listen(child.stderr.take()));
        let id = child.id().unwrap_or_default();

        let (reader, mut writer) = socket.into_split();
        let mut reader = BufReader::new(reader);
        let handshake = async {
            writer.write_all(configuration).await?;
            let Some(json) = wire::read(&mut reader).await? else { return Ok(None) };
            wire::parse::<FromChild>(&json).map(Some)
        };
        let answer = match tokio::time::timeout(START, handshake).await {
            Ok(answer) => answer,
            Err(_) => return Err(failed(&format_args!("it said nothing for {} s", START.as_secs()))),
        };
        match answer {
            Ok(Some(FromChild::Ready(locked))) => Ok((Self(child), Connection::new(id, locked, reader, writer))),
            Ok(Some(FromChild::Failed(fault))) => Err(fault),
            Ok(Some(_)) => Err(failed(&"it said something else than how it started")),
            Ok(None) | Err(_) => {
                let status = Self(child).end().await;
                let said = said.await.unwrap_or_default();
                Err(failed(&format_args!("{status}{}{said}", if said.is_empty() { "" } else { ": " })))
            }
        }
    }

    /// Waits for the end of a child that has closed its socket, or ends it. Says how it ended.
    pub(super) async fn end(mut self) -> String {
        let ended = match tokio::time::timeout(END, self.0.wait()).await {
            Ok(status) => status,
            Err(_) => match self.0.kill().await {
                Ok(()) => return "it was killed, because it did not end by itself".to_owned(),
                Err(error) => Err(error),
            },
        };
        match ended {
            Ok(status) => status.to_string(),
            Err(error) => format!("how it ended is not known: {error}"),
        }
    }

    /// Ends a child that does not answer any more.
    pub(super) fn kill(&mut self) {
        if let Err(error) = self.0.start_kill() {
            tracing::error!(%error, "a child process of the sandbox cannot be ended");
        }
    }
}

/// A process with a socket as its standard input, and nothing else.
fn spawn(program: &Program, socket: OwnedFd) -> io::Result<Child> {
    // Descriptors of ours are closed by `exec`; so shall be those that whoever started this process left open.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C is for the process that a person looks at.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Passes on what a child prints while it starts; keeps the end of it.
async fn listen(stderr: Option<ChildStderr>) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!("a child process of the sandbox says: {line}");
        if said.len() + line.len() < MOST_SAID {
            said.push_str(&line);
            said.push('\n');
        }
    }
    said.trim_end().to_owned()
}
