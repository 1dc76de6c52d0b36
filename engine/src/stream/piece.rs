//! What goes out of a run to the processes in which it is read but not executed.

use serde::{Deserialize, Serialize};

use super::{StreamEvent, StreamId};

/// What a run shows from one place in its stream to another. It may be lost, like every wake-up: who finds that one is
/// missing asks for everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// The epoch of the owner that shows it. What an older one shows comes too late.
    pub epoch: u64,
    /// The place that it follows on; `None` when it is everything that holds so far.
    pub after: Option<StreamId>,
    /// The place that a reader has reached with it. Its `seq` is the newest durable record.
    pub until: StreamId,
    /// Texts, each with its place. Records are read from the journal.
    pub events: Vec<(StreamId, StreamEvent)>,
}
