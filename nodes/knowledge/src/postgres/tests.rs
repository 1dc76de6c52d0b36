//! The catalog in PostgreSQL does what every catalog must do, with the embedded store beside it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use liteagent_backends::{
    postgres::Pool,
    testing::{Pooler, PostgresServer},
};
use tempfile::TempDir;
use url::Url;

use super::PostgresCatalog;
use crate::{
    catalog::{Begin, Catalog},
    embedded::Embedded,
    store::VectorStore,
    testing::{Place, catalogs, together::new_base},
};

/// A database and a data folder of one's own.
struct Fresh {
    // Stops when nobody has it any more.
    _server: Arc<PostgresServer>,
    url: Url,
    folder: TempDir,
}

impl Fresh {
    fn new() -> Self {
        let server = PostgresServer::shared();
        Self { url: server.database(), _server: server, folder: tempfile::tempdir().unwrap() }
    }

    async fn catalog(&self) -> PostgresCatalog {
        let pool = Pool::open(&self.url, 4, std::time::Duration::from_secs(10)).unwrap();
        PostgresCatalog::over(pool).await.unwrap()
    }
}

#[async_trait]
impl Place for Fresh {
    async fn open(&self) -> (Arc<dyn Catalog>, Arc<dyn VectorStore>) {
        (Arc::new(self.catalog().await), Arc::new(Embedded::open(self.folder.path(), 1 << 20).await.unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_catalog_must_do() {
    // One server for all of them.
    let _server = PostgresServer::shared();
    crate::knowledge_conformance!(Fresh::new(), here);
}

#[tokio::test]
async fn it_does_so_through_a_pooler_that_gives_each_transaction_another_connection() {
    let mut fresh = Fresh::new();
    let pooler = Pooler::before(&PostgresServer::shared());
    fresh.url = pooler.url(&fresh.url);
    catalogs::a_base_moves_when_the_next_collection_has_everything(&fresh).await;
}

#[tokio::test]
async fn many_writers_of_one_base_draw_different_numbers_and_it_counts_them_all() {
    let fresh = Fresh::new();
    let catalogs = join_all((0..4).map(|_| fresh.catalog())).await;
    let new = new_base("b");
    let made = join_all(catalogs.iter().map(|catalog| catalog.create(&new, 1))).await;
    let made: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    let [base] = &*made else { panic!("{made:?}") };
    let begin = |nth: usize| Begin {
        id: format!("d{nth}\0"),
        title: "a\0b".to_owned(),
        url: None,
        metadata: liteagent_engine::value::Object::default(),
    };
    let begins: Vec<Begin> = (0..40).map(begin).collect();
    let begun = begins.iter().zip(catalogs.iter().cycle()).map(|(begin, catalog)| catalog.begin(base.id, begin, 2));
    let mut revisions: Vec<i64> = join_all(begun).await.into_iter().map(|row| row.unwrap().revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
    let now = catalogs[0].base("b").await.unwrap().unwrap();
    assert_eq!(now.base.documents, 40);
    let ids: Vec<String> = begins.iter().map(|begin| begin.id.clone()).collect();
    let found = catalogs[1].documents(base.id, &ids).await.unwrap();
    assert!(found.iter().zip(&ids).all(|(row, id)| row.as_ref().is_some_and(|row| row.document.id == *id)));

    let gone = join_all(catalogs.iter().map(|catalog| catalog.withdraw(base.id, &ids, 3))).await;
    let removed =
        gone.iter().zip(&catalogs).map(|(gone, catalog)| catalog.remove_documents(base.id, gone.as_ref().unwrap()));
    let removed: u64 = join_all(removed).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(removed, 40);
    assert_eq!(catalogs[0].base("b").await.unwrap().unwrap().base.documents, 0);
}
