//! What a process keeps its runs in.

use std::sync::Arc;

use super::{Blobs, Journal, OutputCache};

/// Every store that a process uses.
#[derive(Clone)]
pub struct Stores {
    /// Runs.
    pub journal: Arc<dyn Journal>,
    /// Large values.
    pub blobs: Arc<dyn Blobs>,
    /// Cached outputs.
    pub cache: Arc<dyn OutputCache>,
}
