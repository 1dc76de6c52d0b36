//! What a catalog promises.

use liteagent_engine::{
    capability::knowledge::{DocumentStatus, Mark, NewBase},
    value::{Object, Value},
};

use super::Place;
use crate::{
    catalog::{BaseRow, Begin, Catalog, DocumentQuery, DocumentRow, Finish, Finished, Setting},
    store::Counts,
};

fn new_base(name: &str) -> NewBase {
    NewBase { name: name.to_owned(), model: "test/embed".to_owned(), dimensions: 4, language: "en".to_owned() }
}

async fn begin(catalog: &dyn Catalog, base: &BaseRow, id: &str) -> DocumentRow {
    let begin = Begin { id: id.to_owned(), title: id.to_owned(), url: None, metadata: Object::default() };
    catalog.begin(base.id, &begin, 5).await.unwrap()
}

fn finish(base: &BaseRow, begun: &DocumentRow, hash: &str) -> Finish {
    Finish {
        id: begun.document.id.clone(),
        revision: begun.revision,
        settings: begun.settings,
        collection: base.collection.clone(),
        hash: hash.to_owned(),
        chunks: 3,
        tokens: 30,
    }
}

async fn one(catalog: &dyn Catalog, base: &BaseRow, id: &str) -> Option<DocumentRow> {
    catalog.documents(base.id, &[id.to_owned()]).await.unwrap().remove(0)
}

pub async fn a_write_takes_the_hash_away_and_brings_it_when_it_is_done(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    assert_eq!(catalog.create(&new_base("b"), 2).await.unwrap(), None, "the name is taken");
    let mark = Mark { id: "a".to_owned(), title: None, status: DocumentStatus::Failed, error: Some("no".to_owned()) };
    catalog.mark(base.id, &[mark], 2).await.unwrap();
    for (hash, at) in [("one", 10), ("two", 20)] {
        let begun = begin(&*catalog, &base, "a").await;
        assert_eq!(begun.document.hash, "");
        assert_eq!(begun.document.error, None);
        assert_eq!(catalog.finish(base.id, &finish(&base, &begun, hash), at).await.unwrap(), Finished::Done);
        let done = one(&*catalog, &base, "a").await.unwrap();
        assert_eq!((done.document.hash.as_str(), done.document.status), (hash, DocumentStatus::Ready));
        assert_eq!((done.document.chunks, done.document.tokens, done.document.updated_at), (3, 30, at));
        assert!(done.changed > begun.changed);
    }
}

pub async fn a_write_that_was_overtaken_says_nothing(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    let (first, second) = (begin(&*catalog, &base, "a").await, begin(&*catalog, &base, "a").await);
    assert!(second.revision > first.revision);
    for _ in 0..2 {
        let late = catalog.finish(base.id, &finish(&base, &first, "first"), 6).await.unwrap();
        assert_eq!(late, Finished::Overtaken);
        assert_ne!(one(&*catalog, &base, "a").await.unwrap().document.hash, "first");
        catalog.finish(base.id, &finish(&base, &second, "second"), 7).await.unwrap();
    }
}

pub async fn settings_that_changed_meanwhile_are_told_first(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    let begun = begin(&*catalog, &base, "a").await;
    let set = catalog.set(base.id, "a", &Setting::Enabled(false), 6).await.unwrap().unwrap();
    let Finished::Settings(now) = catalog.finish(base.id, &finish(&base, &begun, "h"), 7).await.unwrap() else {
        panic!("the settings are newer");
    };
    assert_eq!(*now, set);
    assert!(!now.document.enabled);
    let again = Finish { settings: now.settings, ..finish(&base, &begun, "h") };
    assert_eq!(catalog.finish(base.id, &again, 8).await.unwrap(), Finished::Done);
    assert!(!one(&*catalog, &base, "a").await.unwrap().document.enabled, "a write keeps it");
    assert_eq!(catalog.set(base.id, "none", &Setting::Enabled(true), 9).await.unwrap(), None);
}

pub async fn a_document_that_was_deleted_is_not_made_again_by_its_end(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    let begun = begin(&*catalog, &base, "a").await;
    let ids = ["a".to_owned(), "none".to_owned()];
    let gone = catalog.withdraw(base.id, &ids, 6).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].1 > begun.revision);
    assert_eq!(
        catalog.remove_documents(base.id, &[("a".to_owned(), begun.revision)]).await.unwrap(),
        0,
        "an older one"
    );
    assert_eq!(catalog.remove_documents(base.id, &gone).await.unwrap(), 1);
    assert_eq!(catalog.finish(base.id, &finish(&base, &begun, "h"), 7).await.unwrap(), Finished::Gone);
    assert_eq!(one(&*catalog, &base, "a").await, None);
}

pub async fn documents_are_listed_in_pages(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    let mark = |id: &&str| Mark { id: (*id).to_owned(), title: None, status: DocumentStatus::Queued, error: None };
    let ids = ["a", "docs", "docs/1", "docs/2", "docs/é", "docs0", "\u{10ffff}x"];
    catalog.mark(base.id, &ids.iter().map(mark).collect::<Vec<_>>(), 2).await.unwrap();
    let failed = Mark { status: DocumentStatus::Failed, ..mark(&"docs/2") };
    catalog.mark(base.id, &[failed], 3).await.unwrap();
    let list = async |prefix: &str, after: Option<&str>, status, limit| {
        let query = DocumentQuery { prefix: prefix.to_owned(), after: after.map(str::to_owned), status, limit };
        let rows = catalog.list(base.id, &query).await.unwrap();
        rows.into_iter().map(|row| row.document.id).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, None, 100).await, ids);
    assert_eq!(list("docs/", None, None, 100).await, ["docs/1", "docs/2", "docs/é"]);
    assert_eq!(list("docs/", Some("docs/1"), None, 1).await, ["docs/2"]);
    assert_eq!(list("docs/", Some("a"), None, 1).await, ["docs/1"]);
    assert_eq!(list("", Some("docs"), Some(DocumentStatus::Failed), 9).await, ["docs/2"]);
    assert_eq!(list("\u{10ffff}", None, None, 9).await, ["\u{10ffff}x"]);
}

pub async fn bases_count_what_they_have(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    catalog.create(&new_base("a"), 1).await.unwrap().unwrap();
    let counts = async || {
        let row = catalog.base("b").await.unwrap().unwrap();
        (row.base.documents, row.base.chunks)
    };
    let begun = begin(&*catalog, &base, "x").await;
    assert_eq!(counts().await, (1, 0));
    catalog.finish(base.id, &finish(&base, &begun, "h"), 2).await.unwrap();
    assert_eq!(counts().await, (1, 3));
    assert!(catalog.edited(&base, "x", Counts { chunks: 2, tokens: 9 }, 3).await.unwrap());
    assert_eq!(counts().await, (1, 2));
    let gone = catalog.withdraw(base.id, &["x".to_owned()], 4).await.unwrap();
    catalog.remove_documents(base.id, &gone).await.unwrap();
    assert_eq!(counts().await, (0, 0));
    let names: Vec<String> = catalog.bases().await.unwrap().into_iter().map(|row| row.base.name).collect();
    assert_eq!(names, ["a", "b"]);
}

pub async fn a_base_moves_when_the_next_collection_has_everything(place: &dyn Place) {
    let (catalog, _) = place.open().await;
    let base = catalog.create(&new_base("b"), 1).await.unwrap().unwrap();
    let begun = begin(&*catalog, &base, "x").await;
    catalog.finish(base.id, &finish(&base, &begun, "h"), 2).await.unwrap();
    let other = catalog.begin_rebuild(base.id, "test/other", 5).await.unwrap();
    let next = catalog.begin_rebuild(base.id, "test/large", 6).await.unwrap();
    assert_eq!(catalog.begin_rebuild(base.id, "test/large", 6).await.unwrap(), next, "it goes on");
    assert_eq!(catalog.leftovers().await.unwrap(), [other.collection.as_str()]);
    assert!(!catalog.switch(base.id, &other).await.unwrap());

    let row = catalog.unbuilt(base.id, None, 9).await.unwrap().remove(0);
    let begun = begin(&*catalog, &base, "x").await;
    assert!(catalog.built(base.id, "x", row.changed).await.unwrap());
    assert!(!catalog.switch(base.id, &next).await.unwrap(), "a write began after it was copied");
    let row = catalog.unbuilt(base.id, None, 9).await.unwrap().remove(0);
    catalog.built(base.id, "x", row.changed).await.unwrap();
    assert!(catalog.unbuilt(base.id, None, 9).await.unwrap().is_empty());
    assert!(!catalog.built(base.id, "none", 1).await.unwrap());
    assert!(catalog.switch(base.id, &next).await.unwrap());
    assert!(!catalog.switch(base.id, &next).await.unwrap());
    let now = catalog.base("b").await.unwrap().unwrap();
    assert_eq!((now.collection.as_str(), now.base.model.as_str()), (next.collection.as_str(), "test/large"));
    assert_eq!((now.base.dimensions, now.next), (6, None));
    assert_eq!(catalog.finish(base.id, &finish(&base, &begun, "late"), 9).await.unwrap(), Finished::Moved);
    assert!(!catalog.edited(&base, "x", Counts::default(), 9).await.unwrap());

    let set = catalog.set(base.id, "x", &Setting::Metadata([("k".into(), Value::from(true))].into()), 9).await.unwrap();
    assert_eq!(set.unwrap().document.metadata["k"], Value::from(true));
    catalog.remove(base.id).await.unwrap();
    let mut left = catalog.leftovers().await.unwrap();
    left.sort();
    let mut expected = vec![base.collection.clone(), next.collection, other.collection];
    expected.sort();
    assert_eq!(left, expected);
    catalog.forget_leftover(&base.collection).await.unwrap();
    assert_eq!(catalog.leftovers().await.unwrap().len(), 2);
    let again = catalog.create(&new_base("b"), 9).await.unwrap().unwrap();
    assert!(again.id != base.id && again.collection != base.collection, "names are used again, identities never");
    assert_eq!(one(&*catalog, &again, "x").await, None);
}
