//! What knowledge bases promise, catalog and store together.

use std::sync::Arc;

use futures::{FutureExt as _, future::join_all};
use liteagent_engine::{
    capability::knowledge::{Chunk, DocumentStatus, Filter, Knowledge, Mark, NewBase, Search, SearchMode},
    error::{ErrorClass, NodeError},
    value::{Object, Value},
};

use super::{DIMENSIONS, Place, TestModels, document, vector_of};
use crate::{ChunkEdit, DocumentQuery, KnowledgeBases};

pub fn new_base(name: &str) -> NewBase {
    NewBase { name: name.to_owned(), model: "test/embed".to_owned(), dimensions: DIMENSIONS, language: "en".to_owned() }
}

pub(super) fn search(text: &str, dimensions: u32) -> Search {
    let model = if dimensions == DIMENSIONS { "test/embed" } else { "test/large" };
    Search {
        mode: SearchMode::Hybrid,
        text: text.to_owned(),
        vector: Some((model.to_owned(), vector_of(text, dimensions))),
        top_k: 100,
        score_threshold: None,
        weights: (1.0, 1.0),
        filter: None,
    }
}

/// The texts that any search finds, in the order of their documents.
pub async fn texts(bases: &KnowledgeBases, base: &str) -> Vec<String> {
    let dimensions = bases.base(base).await.unwrap().dimensions;
    let hits = bases.search(base, &search("anything", dimensions)).await.unwrap();
    let mut found: Vec<_> = hits.iter().map(|hit| (&hit.document, hit.position, &hit.chunk.text)).collect();
    found.sort();
    found.into_iter().map(|(document, _, text)| format!("{document}: {text}")).collect()
}

fn code<T>(outcome: Result<T, NodeError>) -> &'static str {
    outcome.err().map_or("none", |error| error.code.0)
}

pub async fn names_models_and_vectors_are_checked(place: &dyn Place) {
    let bases = place.bases().await;
    let made = bases.create(new_base("b")).await.unwrap();
    assert_eq!(code(bases.create(new_base("b")).await), "LA2602");
    let other = NewBase { model: "test/large".to_owned(), ..new_base("b") };
    assert_eq!(bases.ensure(other).await.unwrap(), made, "it stays as it was made");
    for name in ["", "a b", "ü", &"x".repeat(101)] {
        assert_eq!(code(bases.ensure(new_base(name)).await), "LA2606", "{name}");
    }
    assert_eq!(code(bases.create(NewBase { language: "English".to_owned(), ..new_base("l") }).await), "LA2606");
    assert_eq!(code(bases.create(NewBase { dimensions: 0, ..new_base("l") }).await), "LA2606");

    assert_eq!(code(bases.base("none").await), "LA2601");
    assert_eq!(code(bases.search("none", &search("x", DIMENSIONS)).await), "LA2601");
    assert_eq!(code(bases.delete("none", &[]).await), "LA2601");
    assert_eq!(code(bases.write("none", document("d", &["x"])).await), "LA2601");
    assert_eq!(code(bases.remove("none").await), "LA2601");

    let mut wrong = document("d", &["x"]);
    "test/large".clone_into(&mut wrong.model);
    assert_eq!(code(bases.write("b", wrong).await), "LA2603");
    let mut wrong = document("d", &["x"]);
    wrong.vectors[0].pop();
    assert_eq!(code(bases.write("b", wrong).await), "LA2603");
    let mut wrong = document("d", &["x"]);
    wrong.vectors[0][0] = f32::NAN;
    assert_eq!(code(bases.write("b", wrong).await), "LA2603");
    let mut wrong = document("d", &["x"]);
    wrong.vectors.clear();
    assert_eq!(code(bases.write("b", wrong).await), "LA2603");
    let mut wrong = document("d", &["x"]);
    wrong.metadata.insert("author".into(), Value::object());
    assert_eq!(code(bases.write("b", wrong).await), "LA2606");
    for id in ["", "a\nb", &"x".repeat(1025)] {
        assert_eq!(code(bases.write("b", document(id, &["x"])).await), "LA2606", "{id}");
    }
    assert!(bases.list_documents("b", &DocumentQuery::default()).await.unwrap().is_empty());

    bases.write("b", document("d", &["x"])).await.unwrap();
    assert_eq!(code(bases.search("b", &search("x", DIMENSIONS * 2)).await), "LA2603");
    assert_eq!(code(bases.search("b", &Search { vector: None, ..search("x", DIMENSIONS) }).await), "LA2603");
    let keyword = Search { vector: None, mode: SearchMode::Keyword, ..search("x", DIMENSIONS) };
    assert_eq!(bases.search("b", &keyword).await.unwrap().len(), 1);
    assert!(bases.search("b", &Search { top_k: 0, ..keyword }).await.unwrap().is_empty());
    assert_eq!(code(bases.set_enabled("b", "none", true).await), "LA2606");
    assert_eq!(code(bases.remove_chunk("b", "d", 7).await), "LA2606");
}

pub async fn a_document_is_replaced_as_a_whole(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["old one", "old two"])).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: old one", "d: old two"]);
    for _ in 0..2 {
        bases.write("b", document("d", &["new"])).await.unwrap();
        assert_eq!(texts(&bases, "b").await, ["d: new"]);
    }
    let known = bases.documents("b", &["none".to_owned(), "d".to_owned()]).await.unwrap();
    assert_eq!(known[0], None);
    let known = known[1].clone().unwrap();
    assert_eq!((known.hash.as_str(), known.chunks, known.tokens), ("new", 1, 3));
    assert_eq!((known.status, known.updated_at), (DocumentStatus::Ready, 1_000));
    let base = bases.base("b").await.unwrap();
    assert_eq!((base.documents, base.chunks), (1, 1));
    let hit = bases.search("b", &search("new", DIMENSIONS)).await.unwrap().remove(0);
    assert_eq!((hit.title.as_str(), hit.metadata), ("title of d", known.metadata));
    assert!(
        hit.score > 0.999 && hit.scores.vector.unwrap() > 0.999 && hit.scores.keyword.is_some(),
        "{:?}",
        hit.scores
    );
}

pub async fn who_is_disabled_or_deleted_is_not_found(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    for id in ["a", "d", "e"] {
        bases.write("b", document(id, &["x"])).await.unwrap();
    }
    assert!(!bases.set_enabled("b", "a", false).await.unwrap().enabled);
    assert_eq!(texts(&bases, "b").await, ["d: x", "e: x"]);
    bases.write("b", document("a", &["y"])).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: x", "e: x"], "a write does not enable it");
    bases.set_enabled("b", "a", true).await.unwrap();
    assert_eq!(bases.delete("b", &["d".to_owned(), "none".to_owned(), "d".to_owned()]).await.unwrap(), 1);
    assert_eq!(bases.delete("b", &["d".to_owned()]).await.unwrap(), 0);
    assert_eq!(texts(&bases, "b").await, ["a: y", "e: x"]);
    assert_eq!(bases.ids("b", "", Some("a"), 9).await.unwrap(), ["e"]);

    let metadata: Object = [("year".into(), Value::from(2024_i64))].into_iter().collect();
    bases.set_metadata("b", "e", metadata).await.unwrap();
    let filter = Filter::read(&Value::from_pairs([("year", Value::from(2024_i64))])).unwrap();
    let hits = bases.search("b", &Search { filter: Some(filter), ..search("x", DIMENSIONS) }).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.document.as_str()).collect::<Vec<_>>(), ["e"]);
    let nested: Object = [("a".into(), Value::object())].into_iter().collect();
    assert_eq!(code(bases.set_metadata("b", "e", nested).await), "LA2606");
}

pub async fn a_mark_keeps_what_is_found(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["x"])).await.unwrap();
    let mark = |id: &str, status| Mark { id: id.to_owned(), title: Some("T".to_owned()), status, error: None };
    let marks = [mark("d", DocumentStatus::Parsing), mark("new", DocumentStatus::Queued)];
    bases.mark("b", &marks).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: x"]);
    let known = bases.documents("b", &["d".to_owned(), "new".to_owned()]).await.unwrap();
    let known: Vec<_> = known.into_iter().map(|known| known.map(|k| (k.title, k.hash, k.status))).collect();
    let expected = [
        Some(("title of d".to_owned(), "x".to_owned(), DocumentStatus::Parsing)),
        Some(("T".to_owned(), String::new(), DocumentStatus::Queued)),
    ];
    assert_eq!(known, expected);
    assert_eq!(code(bases.mark("b", &[mark("d", DocumentStatus::Ready)]).await), "LA2606");
}

pub async fn chunks_are_edited_one_by_one(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["a", "b", "c"])).await.unwrap();
    let chunk = Chunk { text: "better".to_owned(), tokens: 5, ..Chunk::default() };
    let edit = ChunkEdit { vector: vector_of("better", DIMENSIONS), model: "test/embed".to_owned(), chunk };
    assert_eq!(
        code(bases.replace_chunk("b", "d", 1, ChunkEdit { model: "x".to_owned(), ..edit.clone() }).await),
        "LA2603"
    );
    bases.replace_chunk("b", "d", 1, edit).await.unwrap();
    bases.remove_chunk("b", "d", 0).await.unwrap();
    assert_eq!(texts(&bases, "b").await, ["d: better", "d: c"]);
    let page = bases.chunks("b", "d", None, 1).await.unwrap();
    assert_eq!((page.len(), page[0].position), (1, 1));
    let known = bases.documents("b", &["d".to_owned()]).await.unwrap().remove(0).unwrap();
    assert_eq!((known.chunks, known.tokens, known.hash.as_str()), (2, 8, "abc"));
    assert_eq!(bases.base("b").await.unwrap().chunks, 2);
}

pub async fn two_processes_see_what_the_other_writes(place: &dyn Place) {
    let (one, other) = (place.bases().await, place.bases().await);
    one.create(new_base("b")).await.unwrap();
    for round in 0..3 {
        one.write("b", document("d", &[&format!("d{round}")])).await.unwrap();
        assert_eq!(texts(&other, "b").await, [format!("d: d{round}")]);
        other.write("b", document("e", &["e"])).await.unwrap();
        one.set_enabled("b", "d", false).await.unwrap();
        assert_eq!(texts(&other, "b").await, ["e: e"]);
        other.set_enabled("b", "d", true).await.unwrap();
        assert_eq!(texts(&one, "b").await, [format!("d: d{round}"), "e: e".to_owned()]);
        one.delete("b", &["e".to_owned()]).await.unwrap();
        assert_eq!(texts(&other, "b").await.len(), 1);
    }
}

pub async fn writers_of_one_document_leave_one_of_them_whole(place: &dyn Place) {
    let handles = [place.bases().await, place.bases().await];
    handles[0].create(new_base("b")).await.unwrap();
    for round in 0..5 {
        let written = (0..8).map(|writer| {
            let bases = handles[writer % 2].clone();
            let all: Vec<String> = (0..=writer).map(|part| format!("{round} {writer} {part}")).collect();
            async move {
                let texts: Vec<&str> = all.iter().map(String::as_str).collect();
                bases.write("b", document("d", &texts)).await.unwrap();
            }
        });
        join_all(written.map(tokio::spawn)).await.into_iter().for_each(Result::unwrap);
        let known = handles[0].documents("b", &["d".to_owned()]).await.unwrap().remove(0).unwrap();
        let stored = handles[1].chunks("b", "d", None, 99).await.unwrap();
        assert_eq!(known.hash, stored.iter().map(|stored| stored.chunk.text.as_str()).collect::<String>());
        assert_eq!((known.status, known.chunks as usize), (DocumentStatus::Ready, stored.len()));
        assert_eq!(texts(&handles[0], "b").await.len(), stored.len());
    }
}

pub async fn a_base_is_deleted_with_all_it_has(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["x"])).await.unwrap();
    bases.remove("b").await.unwrap();
    assert_eq!(code(bases.base("b").await), "LA2601");
    let (catalog, _) = place.open().await;
    assert!(catalog.leftovers().await.unwrap().is_empty());
    bases.create(new_base("b")).await.unwrap();
    assert!(texts(&bases, "b").await.is_empty());
    assert_eq!(bases.list().await.unwrap().len(), 1);
}

pub async fn a_base_gets_another_model_while_it_is_used(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    for id in ["a", "d", "e"] {
        bases.write("b", document(id, &[id, "more"])).await.unwrap();
    }
    bases.remove_chunk("b", "e", 0).await.unwrap();
    // While `d` is embedded: one that was copied is disabled, one that is being copied is written, one is deleted.
    let used = bases.clone();
    let models = TestModels(move |text: String| {
        let used = used.clone();
        async move {
            if !text.ends_with("\nd") {
                return;
            }
            assert_eq!(texts(&used, "b").await.len(), 5, "searches see the old one");
            used.set_enabled("b", "a", false).await.unwrap();
            used.write("b", document("d", &["written meanwhile"])).await.unwrap();
            used.write("b", document("f", &["f"])).await.unwrap();
            used.delete("b", &["e".to_owned()]).await.unwrap();
            used.write("b", document("e", &["again"])).await.unwrap();
        }
        .boxed()
    });
    let mut told = 0;
    let done = bases.rebuild("b", "test/large", Arc::new(models), |_| told += 1).await.unwrap();
    assert!(done.documents >= 5 && told == done.documents, "{done:?} {told}");
    let base = bases.base("b").await.unwrap();
    assert_eq!((base.model.as_str(), base.dimensions, base.documents), ("test/large", DIMENSIONS * 2, 4));
    assert_eq!(texts(&bases, "b").await, ["d: written meanwhile", "e: again", "f: f"]);
    bases.set_enabled("b", "a", true).await.unwrap();
    assert_eq!(texts(&place.bases().await, "b").await.len(), 5);
    assert_eq!(code(bases.write("b", document("d", &["x"])).await), "LA2603");
    let (catalog, _) = place.open().await;
    assert!(catalog.leftovers().await.unwrap().is_empty(), "the old collection is gone");
}

pub async fn a_rebuild_can_be_given_up(place: &dyn Place) {
    let bases = place.bases().await;
    bases.create(new_base("b")).await.unwrap();
    bases.write("b", document("d", &["x"])).await.unwrap();
    let used = bases.clone();
    let models = TestModels(move |text: String| {
        let used = used.clone();
        async move {
            if text.ends_with("\nx") {
                used.cancel_rebuild("b").await.unwrap();
            }
        }
        .boxed()
    });
    let outcome = bases.rebuild("b", "test/large", Arc::new(models), |_| {}).await;
    assert_eq!(outcome.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(bases.base("b").await.unwrap().model, "test/embed");
    assert_eq!(texts(&bases, "b").await, ["d: x"]);
    bases.cancel_rebuild("b").await.unwrap();
}
