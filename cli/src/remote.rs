//! A server that the command line talks to.
//!
//! - `choice`: which server is meant
//! - `address`: where it is
//! - `client`: requests, and what is answered; every failure is told as one of ours
//! - `sessions`: what `login` keeps in the folder of the user
//! - `api`: what the server's JSON says
//! - `beside`: the process that serves the data folder of a project
//! - `events`, `follow`: what goes out of a run, and its end
//! - `folder`: the workflows of a folder beside those of a server

pub(crate) use self::{
    address::Address,
    choice::Choice,
    client::{Client, segment},
};

mod address;
pub(crate) mod api;
pub(crate) mod beside;
mod choice;
mod client;
mod events;
pub(crate) mod folder;
pub(crate) mod follow;
mod problem;
pub(crate) mod sessions;
