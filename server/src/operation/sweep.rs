//! What is deleted in the background: runs that ended long ago, and what nobody needs any more.

use std::time::Duration;

use liteagent_backends::clean;
use liteagent_engine::{store::StoreError, units};

use crate::app::App;

/// How long what is written about runs that went on may be without one that names it.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 200);

impl App {
    /// Deletes what is kept no longer, in batches: others read and write in between.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        self.limits.sweep();
        let retention = self.settings.retention;
        let now = self.clock.now();
        let ago = |time| now.saturating_sub(units::Duration(time).millis());
        self.accounts.sweep(retention.audit.map(ago)).await?;
        let cleaned = clean(&self.stores, now, retention.runs.unwrap_or(FOR_EVER)).await?;
        if cleaned.runs > 0 || cleaned.blobs > 0 {
            tracing::info!(runs = cleaned.runs, blobs = cleaned.blobs, "what was kept long enough was deleted");
        }
        if let Some(usage) = retention.usage {
            self.stores.journal.forget_usage(ago(usage)).await?;
        }
        Ok(())
    }
}
