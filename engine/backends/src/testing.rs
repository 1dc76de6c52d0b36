//! What tests of stores need. Only with the feature `testing`.

pub use self::postgres::PostgresServer;

mod postgres;
