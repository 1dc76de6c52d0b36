//! Sessions: one life of one process. Its lock file tells at once that a process died, its heartbeat that it hangs.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use liteagent_engine::{id::SessionId, store::StoreError, units::Millis};

use crate::database::io_error;

/// The sessions of this process, by the locks that it holds.
pub(super) struct Locks {
    folder: PathBuf,
    held: Mutex<HashMap<SessionId, File>>,
}

impl Locks {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, held: Mutex::default() }
    }

    /// Must come before the row of the session: a session whose lock is free is dead.
    pub(super) fn hold(&self, session: SessionId) -> Result<(), StoreError> {
        let path = path(&self.folder, session);
        let failed = |error| io_error(&error, &path.display().to_string());
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        self.held().insert(session, file);
        Ok(())
    }

    /// Must come after the row of the session has gone.
    pub(super) fn release(&self, session: SessionId) {
        self.held().remove(&session);
        remove(&self.folder, session);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SessionId, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a session with this heartbeat lives.
pub(super) fn is_alive(folder: &Path, session: SessionId, heartbeat: Millis, lease: Millis, at: Millis) -> bool {
    at.saturating_sub(heartbeat) <= lease && is_locked(folder, session)
}

/// Whether some process holds the lock. Whoever asks shares it for a moment, so that askers do not see each other.
pub(super) fn is_locked(folder: &Path, session: SessionId) -> bool {
    let Ok(file) = File::open(path(folder, session)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Removes the lock file of a session that is gone.
pub(super) fn remove(folder: &Path, session: SessionId) {
    let path = path(folder, session);
    if let Err(error) = fs::remove_file(&path) {
        tracing::debug!(%error, path = %path.display(), "a lock file was not removed");
    }
}

fn path(folder: &Path, session: SessionId) -> PathBuf {
    folder.join(format!("{session}.lock"))
}
