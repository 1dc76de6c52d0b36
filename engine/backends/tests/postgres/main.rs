//! The store in PostgreSQL, on a server that the tests start.

use std::{ops::Deref, sync::Arc};

use liteagent_backends::{LeaseClock, PostgresOptions, PostgresStore, testing::PostgresServer};
use url::Url;

mod broken;
mod conformance;
mod schema;
mod several;

/// A store whose sessions live by the times that tests give, in a database of its own.
pub(crate) struct Fresh {
    store: PostgresStore,
    pub(crate) url: Url,
    _server: Arc<PostgresServer>,
}

impl Deref for Fresh {
    type Target = PostgresStore;
    fn deref(&self) -> &PostgresStore {
        &self.store
    }
}

pub(crate) fn options() -> PostgresOptions {
    PostgresOptions { clock: LeaseClock::Callers, ..PostgresOptions::default() }
}

pub(crate) async fn open(url: &Url) -> PostgresStore {
    PostgresStore::open(url, options()).await.unwrap()
}

pub(crate) async fn fresh(server: &Arc<PostgresServer>) -> Fresh {
    let url = server.database(None);
    Fresh { store: open(&url).await, url, _server: server.clone() }
}

pub(crate) fn name(url: &Url) -> &str {
    url.path().trim_start_matches('/')
}
