//! Child processes that read files: started when there is something to read, used again, replaced when they end.

mod process;

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use liteagent_engine::{
    capability::documents::{DocumentText, Documents, FileToRead},
    error::NodeError,
};
use tokio::sync::Semaphore;

use self::process::{Lost, Process};
use crate::{
    limits::{Limits, size},
    trouble::{Kind, Trouble},
};

/// How a child process is started: a program that calls [`child::serve`](crate::child::serve).
#[derive(Clone, Debug)]
pub struct Program {
    /// The program, by its absolute path.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Reads files in child processes that can do nothing but that: no file, no network, no other process, no privilege, and
/// memory up to a limit.
///
/// A child that takes too long, breaks off or dies is replaced: the file is to blame, and the next one is read. Nothing is
/// started before the first file.
pub struct Readers {
    program: Program,
    limits: Limits,
    places: Semaphore,
    idle: Mutex<Vec<Process>>,
}

impl Readers {
    /// Readers of which `count` are at work at once; at least one is.
    pub fn new(program: Program, limits: Limits, count: usize) -> Self {
        Self { program, limits, places: Semaphore::new(count.max(1)), idle: Mutex::new(Vec::new()) }
    }

    /// The ids of the processes that wait for a file.
    pub fn idle(&self) -> Vec<u32> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Process::id).collect()
    }

    /// Starts a process, if none waits, and says what it cannot do any more.
    ///
    /// # Errors
    /// Why none can be started.
    pub async fn try_out(&self) -> Result<crate::Locked, Trouble> {
        let _place = self.places.acquire().await.map_err(|error| unusable(&error))?;
        let process = match self.take() {
            Some(process) => process,
            None => Process::start(&self.program, &self.limits).await?,
        };
        let locked = process.locked.clone();
        self.give_back(process);
        Ok(locked)
    }

    async fn text(&self, file: &FileToRead) -> Result<DocumentText, Trouble> {
        let found = file.content.len() as u64;
        if found > self.limits.file {
            let (found, most) = (size(found), size(self.limits.file));
            return Err(Trouble::limit("file", format!("has {found}, more than the {most} that are allowed")));
        }
        let _place = self.places.acquire().await.map_err(|error| unusable(&error))?;
        loop {
            let used = self.take();
            let is_fresh = used.is_none();
            let mut process = match used {
                Some(process) => process,
                None => Process::start(&self.program, &self.limits).await?,
            };
            match process.read(file, &self.limits).await {
                Ok(read) => {
                    self.give_back(process);
                    return read;
                }
                // It may have died before it had this file.
                Err(Lost::Died(_)) if !is_fresh => {}
                Err(Lost::Died(how)) => return Err(how),
                Err(Lost::Ended(why)) => return Err(why),
            }
        }
    }

    fn take(&self) -> Option<Process> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, process: Process) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }
}

#[async_trait]
impl Documents for Readers {
    async fn read(&self, file: FileToRead) -> Result<DocumentText, NodeError> {
        self.text(&file).await.map_err(|trouble| trouble.error(&file.name))
    }
}

fn unusable(why: &dyn std::fmt::Display) -> Trouble {
    let message = format!("cannot be read: no child process for it can be used: {why}");
    Trouble::new(Kind::Reader, message, "run `liteagent doctor`, and look whether the machine has memory left")
}
