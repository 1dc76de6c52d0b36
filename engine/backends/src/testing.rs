//! What tests of stores need. Only with the feature `testing`.

pub use self::{pooler::Pooler, postgres::PostgresServer};

mod pooler;
mod postgres;
