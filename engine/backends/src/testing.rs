//! What tests of stores need. Only with the feature `testing`.

pub use self::{objects::ObjectServer, pooler::Pooler, postgres::PostgresServer};

mod objects;
mod pooler;
mod postgres;
