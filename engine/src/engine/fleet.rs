//! This process among others: where work waits for workers, and what of it this process takes.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::queue::{Group, Queue, Wakes};

/// This process among others.
#[derive(Clone)]
pub struct Fleet {
    /// Where work waits.
    pub queue: Arc<dyn Queue>,
    /// Tells the others at once that something happened.
    pub wakes: Arc<dyn Wakes>,
    /// The groups whose work is done here; none where others do it all.
    pub serves: BTreeSet<Group>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("serves", &self.serves).finish_non_exhaustive()
    }
}
