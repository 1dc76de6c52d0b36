//! PostgreSQL does what every store must do.

use liteagent_backends::{
    Backends, open_postgres,
    testing::{Pooler, PostgresServer},
};
use liteagent_engine::{
    cache_conformance, files_conformance, journal_conformance, kv_conformance,
    testing::conformance::model::a_journal_follows_the_model,
};
use proptest::prelude::*;

use crate::{Fresh, open, options};

#[tokio::test]
async fn it_does_what_every_journal_must_do() {
    let fresh = Fresh::new().await;
    journal_conformance!(fresh.emptied(), here);
}

#[tokio::test]
async fn it_does_what_stores_of_values_must_do() {
    let fresh = Fresh::new().await;
    kv_conformance!(fresh.emptied(), here);
    cache_conformance!(fresh.emptied(), here);
    let folder = tempfile::tempdir().unwrap();
    let Backends { files, .. } = open_postgres(fresh.url(), folder.path(), options(), None).await.unwrap();
    files_conformance!(files.clone(), here);
}

#[tokio::test]
async fn it_does_so_through_a_pooler_that_gives_each_transaction_another_connection() {
    let fresh = Fresh::new().await;
    let pooler = Pooler::before(&PostgresServer::shared());
    let store = open(&pooler.url(fresh.url())).await;
    let emptied = || {
        fresh.emptied();
        &store
    };
    journal_conformance!(emptied(), here);
    kv_conformance!(emptied(), here);
    cache_conformance!(emptied(), here);
}

#[test]
fn any_interleaving_follows_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fresh = runtime.block_on(Fresh::new());
    proptest!(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() },
    |(script in prop::collection::vec(any::<[u8; 3]>(), 0..60))| {
        runtime.block_on(a_journal_follows_the_model(fresh.emptied(), &script));
    });
}
