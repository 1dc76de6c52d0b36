//! How much there is to execute, for those who watch over an installation.

use super::{Journal, RunFilter, RunPhase, RunRow, StoreError};
use crate::units::Millis;

/// The most runs that are looked at.
const MOST: u32 = 10_000;

/// How much there is to execute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Runs that may be taken, or that wait for room.
    pub queued: u64,
    /// Runs that a session owns.
    pub running: u64,
    /// Runs that wait for a time or a message.
    pub waiting: u64,
    /// Runs that someone should take.
    pub runnable: u64,
    /// Since when the one of them could be taken that could first.
    pub runnable_since: Option<Millis>,
    /// When the waiting run should have been woken that is overdue the longest.
    pub overdue_since: Option<Millis>,
}

impl Backlog {
    /// Since when a run that someone should take could be taken.
    fn since(row: &RunRow, at: Millis) -> Millis {
        row.wake_at.filter(|wake_at| row.phase == RunPhase::Waiting && *wake_at <= at).unwrap_or(row.updated_at)
    }
}

/// Counts with what every journal can.
pub(super) async fn count(journal: &(impl Journal + ?Sized), at: Millis) -> Result<Backlog, StoreError> {
    let rows = async |phase| journal.runs(RunFilter { phase: Some(phase), limit: MOST, ..RunFilter::default() }).await;
    let waiting = rows(RunPhase::Waiting).await?;
    let overdue = waiting.iter().filter_map(|row| row.wake_at).filter(|wake_at| *wake_at <= at);
    let mut backlog = Backlog {
        queued: rows(RunPhase::Queued).await?.len() as u64,
        running: rows(RunPhase::Running).await?.len() as u64,
        waiting: waiting.len() as u64,
        overdue_since: overdue.min(),
        ..Backlog::default()
    };
    for run in journal.runnable(at, MOST).await? {
        backlog.runnable += 1;
        let since = journal.run(run).await?.map(|row| Backlog::since(&row, at));
        backlog.runnable_since = backlog.runnable_since.into_iter().chain(since).min();
    }
    Ok(backlog)
}
