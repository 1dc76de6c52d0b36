//! The store in PostgreSQL, on a server that the tests start.
#![expect(clippy::unwrap_used, reason = "these are tests: a failure says where")]

use std::{ops::Deref, sync::Arc};

use liteagent_backends::{LeaseClock, PostgresOptions, PostgresStore, testing::PostgresServer};
use url::Url;

mod broken;
mod conformance;
mod proxy;
mod schema;
mod several;

/// A store in a database of its own, which is empty whenever it is asked for; its sessions live by the times of tests.
pub(crate) struct Fresh {
    server: Arc<PostgresServer>,
    url: Url,
    store: PostgresStore,
}

impl Fresh {
    pub(crate) async fn new() -> Self {
        let server = PostgresServer::shared();
        let url = server.database();
        Self { store: open(&url).await, server, url }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The store of another process.
    pub(crate) async fn again(&self, options: PostgresOptions) -> PostgresStore {
        PostgresStore::open(&self.url, options).await.unwrap()
    }

    /// The store, after everything in it was deleted.
    pub(crate) fn emptied(&self) -> &PostgresStore {
        let tables = "SELECT string_agg(format('DELETE FROM %I', tablename), ';') FROM pg_tables \
                      WHERE schemaname = 'public' AND tablename NOT IN ('schema_version', 'installation', 'ends')";
        let delete = self.execute(tables);
        self.execute(&format!("{delete}; UPDATE ends SET place = 0"));
        &self.store
    }

    pub(crate) fn execute(&self, statement: &str) -> String {
        self.server.execute(name(&self.url), statement)
    }
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

pub(crate) fn name(url: &Url) -> &str {
    url.path().trim_start_matches('/')
}
