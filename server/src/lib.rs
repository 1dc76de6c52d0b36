//! The server of LiteAgent: workflows, runs, chat and schedules through an API.
//!
//! # Layout
//! - [`Server`]: everything that requests share, and the router over it; [`serve`] listens until it is told to stop;
//! - `routes`: every route with who may call it, and the OpenAPI document; `access`: who calls, and what that allows;
//! - `front`, `limits`: what stands before every route;
//! - `extract`, `problem`: how requests are read, and what is said of those that cannot be;
//! - `accounts`: users, keys and what they did; `pages`: where people begin;
//! - `workflows`: the definitions of the installation, version by version;
//! - `folder`: a folder of definitions that the server follows;
//! - `runs`: starting, following and steering runs;
//! - `agents`: the workflows that people talk with;
//! - `conversations`: what was said with chat workflows, and by whom;
//! - `knowledge`: knowledge bases and their documents;
//! - `sockets`: WebSockets and the tickets that open them;
//! - `triggers`: what starts runs besides callers: schedules and webhooks;
//! - `openai`: workflows as models of OpenAI's API;
//! - `secrets`: the vault; `files`: uploads, files of runs, links to them;
//! - `models`: the language models, and what was used of them;
//! - `operation`: what is kept how long, what may be used, who is forgotten, runs that came out of a backup;
//! - `queues`: what waits for workers, and who works;
//! - `metrics`: what is counted, for Prometheus; `traces`: what is sent to a collector; `log`: a line for each request;
//! - `store`: the rows of all that; what runs leave is kept by the engine's own stores.

#![expect(unused_qualifications, reason = "what `utoipa::path` expands to has them")]
#![expect(clippy::result_large_err, reason = "a problem ends its request: it is made once, and moved a few times")]
#![expect(clippy::struct_field_names, reason = "fields of bodies have the names that the API gives them")]

mod access;
mod accounts;
mod agents;
mod app;
mod conversations;
mod docs;
mod extract;
mod files;
mod folder;
mod front;
mod health;
mod knowledge;
mod limits;
mod listen;
mod log;
mod metrics;
mod models;
mod observed;
mod openai;
mod operation;
mod pages;
mod problem;
mod queues;
mod routes;
mod runs;
mod secrets;
mod sockets;
pub mod store;
mod traces;
mod triggers;
mod workflows;

pub use self::{
    access::{Access, Role},
    accounts::{Actor, Admin, JwtSecret, Refused, random_key},
    app::{Parts, Server, Settings},
    files::Uploads,
    folder::{Folder, Synced},
    health::Dependency,
    knowledge::{KnowledgeParts, OpenBases},
    limits::Limits,
    listen::{Ended, Listeners, serve},
    metrics::{Described, Kind, Metrics},
    observed::Observed,
    operation::{Budgets, Retention},
    queues::Fleet,
    routes::{Route, document, routes},
    runs::Standing,
    secrets::{SecretChange, SecretInfo, SecretKey, SecretKeys, Set, Vault, VaultError},
    traces::{TraceSettings, Traces},
};
