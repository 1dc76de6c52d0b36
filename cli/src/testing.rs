//! Tests of workflows: `NAME.test.yaml` files, run through the real engine with fakes and a clock of their own.
//!
//! * `file`: the types of a test file; its schema derives from them
//! * `check`: what the types cannot say
//! * `read`: from a file on disk to findings, or to tests that can run
//! * `lookup`: what a path of a test leads to in the workflow
//! * `fakes`: stands in for nodes, counts calls
//! * `computing`: code of workflows, which runs for real
//! * `models`: stands in for models
//! * `cassette`, `exchange`: what real models and services answered, as a file; `deck` plays and records it, `live` asks
//! * `seen`: what the runs of a test did; lets the engine crash
//! * `world`: an engine, its store and its clock, moved until everything rests
//! * `script`: one test, turn by turn
//! * `evaluate`: what `eval` does: a data set in the place of tests, real models in the place of fakes
//! * `expect`, `matching`: what was expected, what was found
//! * `record`: a test made from a run
//! * `report`: lines for people, JUnit for machines

pub(crate) use self::{
    cassette::Recording,
    computing::languages,
    live::Live,
    read::{Suite, read},
    record::record,
    report::{junit, lines},
    script::{Verdict, run},
};

mod cassette;
mod check;
mod computing;
mod deck;
mod ended;
pub(crate) mod evaluate;
mod exchange;
mod expect;
mod fakes;
mod file;
mod fire;
mod live;
mod lookup;
mod matching;
mod models;
mod path;
mod read;
mod record;
mod report;
mod script;
mod seen;
mod world;

/// The JSON Schema (draft 7) of test files.
pub(crate) fn schema() -> schemars::Schema {
    liteagent_engine::node::schema_of::<file::TestFile>()
}
