//! Suspects: runs that seem to end the processes which execute them are executed alone, in a process of their own.

use async_trait::async_trait;

use super::{Engine, EngineConfig, EngineError, Inner};
use crate::{
    executor::{Exit, OwnerError},
    id::RunId,
    store::RunPhase,
};

/// Executes one run in a process of its own, so that it can take no other with it.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Starts a process that opens [`Engine::open_alone`] on the same stores and resumes the run, and returns when
    /// that process has gone, however it went. When this is dropped, the process must give the run back and end.
    ///
    /// # Errors
    /// Why there was no such process.
    async fn execute(&self, run: RunId) -> Result<(), String>;
}

impl Engine {
    /// Opens a session that executes one run and nothing else: what a [`Quarantine`] starts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_alone(config: EngineConfig, run: RunId) -> Result<Self, EngineError> {
        Self::with(config, None, Some(run)).await
    }
}

impl Inner {
    /// Lets a run that was given back be executed alone, and says what came of it.
    pub(super) async fn execute_alone(&self, run: RunId, epoch: u64) -> Result<Exit, OwnerError> {
        let Some(quarantine) = &self.quarantine else {
            return Err(OwnerError::Quarantine("this process has no way to start another one".to_owned()));
        };
        tracing::warn!(%run, "the processes that executed the run died; it is executed alone");
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return Ok(Exit::Closed),
            gone = quarantine.execute(run) => gone.map_err(OwnerError::Quarantine)?,
        }
        let row = self.stores.journal.run(run).await?.ok_or(OwnerError::Unknown)?;
        match row.phase {
            RunPhase::Ended => Ok(Exit::Ended(None)),
            RunPhase::Waiting | RunPhase::Held => Ok(Exit::Released),
            RunPhase::Queued | RunPhase::Running if row.epoch > epoch => Ok(Exit::Died),
            RunPhase::Queued | RunPhase::Running => {
                Err(OwnerError::Quarantine("its process ended without taking it".to_owned()))
            }
        }
    }
}
