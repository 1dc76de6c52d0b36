//! PostgreSQL does what every store must do.

use liteagent_backends::{Backends, open_postgres, testing::PostgresServer};
use liteagent_engine::{
    cache_conformance, files_conformance, journal_conformance, kv_conformance, store::Files,
    testing::conformance::model::a_journal_follows_the_model,
};
use proptest::prelude::*;

use crate::{fresh, options};

#[tokio::test]
async fn it_does_what_every_journal_must_do() {
    let server = PostgresServer::shared();
    journal_conformance!(fresh(&server).await, here);
}

#[tokio::test]
async fn it_does_what_stores_of_values_must_do() {
    let server = PostgresServer::shared();
    kv_conformance!(fresh(&server).await, here);
    cache_conformance!(fresh(&server).await, here);
    let folder = tempfile::tempdir().unwrap();
    let files = async || -> std::sync::Arc<dyn Files> {
        let opened = open_postgres(&server.database(None), folder.path(), options()).await;
        let Backends { files, .. } = opened.unwrap();
        files
    };
    files_conformance!(files().await, here);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_follows_the_model(script in prop::collection::vec(any::<[u8; 3]>(), 0..60)) {
        let server = PostgresServer::shared();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { a_journal_follows_the_model(&*fresh(&server).await, &script).await });
    }
}
