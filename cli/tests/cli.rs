//! The real binary, in a folder of its own.

mod cli {
    pub(crate) mod docs;
    pub(crate) mod harness;
    mod looks;
    mod quarantine;
    mod runs;
    mod use_and_misuse;
}
