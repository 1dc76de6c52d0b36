//! The real binary, in a folder of its own.

mod cli {
    mod backup;
    mod cassettes;
    mod chat;
    mod clients;
    mod code;
    mod composites;
    pub(crate) mod docs;
    mod doctor;
    mod eval;
    pub(crate) mod fleet;
    mod full_disk;
    pub(crate) mod harness;
    mod hostile;
    mod http;
    mod knowledge;
    mod looks;
    mod models;
    mod objects;
    mod packages;
    mod postgres;
    pub(crate) mod provider;
    mod quarantine;
    mod remote;
    mod runs;
    mod secrets;
    pub(crate) mod serve;
    mod service;
    mod terminal;
    mod use_and_misuse;
}
