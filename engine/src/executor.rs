//! The shell: takes a run, replays its journal, and then decides, acts and appends until it ends or waits.
//!
//! * [`Owner`] is the loop (`owner.rs`); it is the only one that appends to its run. `take.rs` makes a process the owner.
//! * `act.rs` carries out what [`crate::run::decide`] says, `attempt.rs` runs attempts of nodes, `child.rs` starts runs for them,
//!   `jobs.rs` lets other processes run them, `texts.rs` shows what those give out; `once.rs` is one attempt, wherever it runs.
//! * `inbox.rs` journals what others sent to the run.
//! * `budget.rs` says what happens when a budget is used up.
//! * `journal.rs` encodes records and makes them durable, `replay.rs` reads them back.
//! * `stream.rs` gives out what happens.
//! * `scope.rs` builds what templates see, `policy.rs` decides on retries, `redact.rs` hides secrets, `beside.rs` is what an
//!   attempt used and printed.

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::replay::fold;
pub(crate) use self::{
    beside::shortened,
    budget::refused,
    journal::{INLINE_BYTES, Outsourced, outsource},
    once::{attempted, run, stand_in},
    owner::{Exit, Owner, OwnerError, Taking},
    replay::{address, decode, load_payloads, load_records, payloads, read_all},
    scope::{Names, Sight, roots},
};

mod act;
mod attempt;
mod beside;
mod budget;
mod cache;
mod child;
mod inbox;
mod jobs;
mod journal;
mod once;
mod owner;
mod policy;
mod replay;
mod scope;
mod stream;
mod take;
mod texts;
