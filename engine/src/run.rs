//! The pure core: a run's state is a fold of its records, and what to do next is a function of it.
//!
//! Nothing here is asynchronous, reads a clock, draws a random number or renders a template.
//!
//! * [`RunState::apply`] folds a record (`apply.rs`, with `container.rs` for frames, `stop.rs` for ends, `said.rs` for what it says and `usage.rs` for what was
//!   used);
//! * [`decide`] says what to do next;
//! * `answer.rs` says when the text of an answer begins to be shown;
//! * `budget.rs` says which limit stands in the way of a node;
//! * [`gate`] is the rule that says whether a node runs;
//! * [`path`] turns addresses into paths such as `each[3].fetch` and `agent[2].tools.refund[0].call`, and back.

pub(crate) use self::{
    apply::apply_writes,
    budget::spent,
    container::{calls_output, items_output},
};
pub use self::{
    budget::{Limit, Overrun},
    container::ContainerEnd,
    deaths::{Deaths, Verdict, Ward},
    decide::{Command, decide},
    jobs::OpenJob,
    state::{Addr, Ending, Frame, FrameId, NodeState, OpenContainer, Phase, RunState, Status},
};

mod answer;
mod apply;
mod budget;
mod container;
mod deaths;
mod decide;
pub mod gate;
mod jobs;
pub mod path;
mod said;
pub mod state;
mod stop;
mod usage;
