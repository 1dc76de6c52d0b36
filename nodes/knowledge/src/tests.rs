//! The embedded store does what every store must do, and treats its file as the other stores do theirs.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Knowledge, SearchMode},
    error::ErrorClass,
    store::StoreError,
    testing::VirtualClock,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    FILE, KnowledgeBases, Options,
    catalog::Catalog,
    embedded::Embedded,
    store::VectorStore,
    testing::{
        Place, document,
        reference::{Act, Ask, compare},
        together::{a_document_is_replaced_as_a_whole, new_base, texts},
    },
};

/// A data folder that goes away with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        // Letters that mean something in a URI.
        Self(tempfile::Builder::new().prefix("a %20#?b").tempdir().unwrap())
    }
}

#[async_trait]
impl Place for Folder {
    async fn open(&self) -> (Arc<dyn Catalog>, Arc<dyn VectorStore>) {
        let embedded = Arc::new(Embedded::open(self.0.path(), 1 << 20).await.unwrap());
        (embedded.clone(), embedded)
    }
}

mod conformance {
    use super::Folder;

    crate::knowledge_conformance!(Folder::new());
}

fn asks() -> impl Strategy<Value = Act> {
    let mode = prop_oneof![Just(SearchMode::Vector), Just(SearchMode::Keyword), Just(SearchMode::Hybrid)];
    let words = prop::collection::btree_set(0_u8..6, 0..4);
    let rest = (1_usize..9, prop::option::of(-8_i8..8), (0_u8..3, 0_u8..3), prop::option::of(0_u8..4));
    (mode, words, any::<bool>(), vector(), rest).prop_map(|(mode, words, all, vector, rest)| {
        let (top_k, threshold, weights, year) = rest;
        Act::Ask(Ask { mode, words, all, vector, top_k, threshold, weights, year })
    })
}

fn vector() -> impl Strategy<Value = [i8; 4]> {
    prop::array::uniform4(-3_i8..=3)
}

fn acts() -> impl Strategy<Value = Act> {
    let chunk = (prop::collection::vec(0_u8..6, 0..8), vector(), 0_u8..4);
    let put = (0_u8..5, any::<bool>(), 0_u8..4, prop::collection::vec(chunk, 0..6));
    prop_oneof![
        4 => put.prop_map(|(document, enabled, year, chunks)| Act::Put { document, enabled, year, chunks }),
        1 => (0_u8..5).prop_map(|document| Act::Delete { document }),
        1 => (0_u8..5, any::<bool>()).prop_map(|(document, enabled)| Act::Enable { document, enabled }),
        1 => (0_u8..5, 0_u8..6).prop_map(|(document, position)| Act::Cut { document, position }),
        6 => asks(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn a_search_is_that_of_the_plainest_one(acts in prop::collection::vec(acts(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            compare(&*folder.store().await, &acts).await;
        });
    }
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused() {
    let folder = Folder::new();
    drop(folder.bases().await);
    let file = rusqlite::Connection::open(folder.0.path().join(FILE)).unwrap();
    file.execute_batch("UPDATE schema_version SET version = 99").unwrap();
    let refused = KnowledgeBases::open(folder.0.path(), Options::default()).await.err();
    assert!(matches!(refused, Some(StoreError::Newer { found: 99, .. })), "{refused:?}");
    let refused = KnowledgeBases::open_read_only(folder.0.path(), Options::default()).await.err();
    assert!(matches!(refused, Some(StoreError::Newer { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.0.path().join(FILE), [b'x'; 5000]).unwrap();
    let refused = KnowledgeBases::open(folder.0.path(), Options::default()).await.err();
    assert!(matches!(refused, Some(StoreError::Damaged(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_only_be_read_is_searched_and_not_changed() {
    let folder = Folder::new();
    a_document_is_replaced_as_a_whole(&folder).await;
    let bases = KnowledgeBases::open_read_only(folder.0.path(), Options::default()).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: new"]);
    let refused = bases.write("b", document("d", &["x"])).await.unwrap_err();
    assert_eq!(refused.code.0, "LA5003");
    let nothing = tempfile::tempdir().unwrap();
    assert!(KnowledgeBases::open_read_only(nothing.path(), Options::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_does_not_fit_and_loses_nothing() {
    let folder = Folder::new();
    let embedded = Arc::new(Embedded::open(folder.0.path(), 1 << 20).await.unwrap());
    let bases = KnowledgeBases::new(embedded.clone(), embedded.clone(), Arc::new(VirtualClock::at(1_000)));
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["old"])).await.unwrap();
    let pages = async |most: u32| {
        let pragma = format!("PRAGMA max_page_count = {most}");
        embedded.write(move |db| db.first(&pragma, (), |row| row.get::<_, i64>(0))).await.unwrap()
    };
    pages(60).await;
    let large = "many words ".repeat(50_000);
    let refused = bases.write("b", document("d", &[&large])).await.unwrap_err();
    assert_eq!((refused.code.0, refused.class), ("LA5002", ErrorClass::LimitExceeded));
    assert_eq!(texts(&bases, "b").await, ["d: old"]);
    pages(100_000).await;
    bases.write("b", document("d", &["new"])).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_is_as_new_as_the_file_after_many_changes() {
    let folder = Folder::new();
    let (busy, idle) = (folder.bases().await, folder.bases().await);
    busy.create(new_base("b")).await.unwrap();
    busy.write("b", document("stays", &["stays"])).await.unwrap();
    assert_eq!(texts(&idle, "b").await, ["stays: stays"]);
    // Enough to purge tombstones that the idle one has not seen, and to read the memory of the busy one anew.
    let ids: Vec<String> = (0..1_200).map(|number| format!("gone{number}")).collect();
    for id in &ids[..30] {
        busy.write("b", document(id, &["x"; 50])).await.unwrap();
    }
    assert_eq!(texts(&idle, "b").await.len(), 100);
    for id in &ids[..30] {
        busy.delete("b", std::slice::from_ref(id)).await.unwrap();
    }
    let (catalog, store) = folder.open().await;
    let collection = catalog.base("b").await.unwrap().unwrap().collection;
    let all: Vec<_> = ids.iter().map(|id| (id.clone(), 1_000_000)).collect();
    store.delete(&collection, &all).await.unwrap();
    for _ in 0..110 {
        store.delete(&collection, &[("one more".to_owned(), 1_000_001)]).await.unwrap();
    }
    assert_eq!(texts(&busy, "b").await, ["stays: stays"]);
    assert_eq!(texts(&idle, "b").await, ["stays: stays"]);
    busy.write("b", document("stays", &["changed"])).await.unwrap();
    assert_eq!(texts(&idle, "b").await, ["stays: changed"]);
}
