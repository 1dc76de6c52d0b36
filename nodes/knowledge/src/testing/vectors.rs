//! What a vector store promises. How it searches is compared with [`super::reference`].

use std::sync::Arc;

use liteagent_engine::{
    capability::knowledge::{Filter, SearchMode},
    value::{Object, Value},
};

use super::{Place, enabled, put, put_chunk, words};
use crate::{
    error::Error,
    store::{Counts, Put, Query, Question, Settings, VectorStore},
};

fn query(mode: SearchMode) -> Query {
    Query {
        mode,
        question: words(&[1]),
        vector: Some(vec![1.0, 0.0, 0.0, 0.0]),
        top_k: 10,
        score_threshold: None,
        weights: (1.0, 1.0),
        filter: None,
    }
}

/// What is found, as `document position text`; the same whatever the mode.
async fn found(store: &dyn VectorStore) -> Vec<String> {
    let mut all = Vec::new();
    for mode in [SearchMode::Vector, SearchMode::Keyword, SearchMode::Hybrid] {
        let found = store.search("c", &query(mode)).await.unwrap();
        all.push(found.iter().map(|f| format!("{} {} {}", f.document, f.position, f.chunk.text)).collect::<Vec<_>>());
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    all.remove(0)
}

pub async fn a_document_is_what_was_put_last(place: &dyn Place) {
    let store = place.store().await;
    store.put("c", put("d", 5, &["one", "two"])).await.unwrap();
    assert_eq!(found(&*store).await, ["d 0 one", "d 1 two"]);
    for _ in 0..2 {
        store.put("c", put("d", 7, &["three"])).await.unwrap();
        store.put("c", put("d", 6, &["older", "older"])).await.unwrap();
        assert_eq!(found(&*store).await, ["d 0 three"]);
        assert_eq!(store.count("c").await.unwrap(), 1);
    }
    store.put("c", put("e", 8, &[])).await.unwrap();
    store.put("c", put("d", 9, &["a", "b", "c"])).await.unwrap();
    assert_eq!(found(&*store).await, ["d 0 a", "d 1 b", "d 2 c"]);
}

pub async fn what_was_deleted_stays_so(place: &dyn Place) {
    let store = place.store().await;
    store.put("c", put("d", 5, &["one"])).await.unwrap();
    store.put("c", put("e", 6, &["two"])).await.unwrap();
    assert_eq!(found(&*store).await.len(), 2);
    let gone = [("d".to_owned(), 7), ("e".to_owned(), 5), ("f".to_owned(), 8)];
    store.delete("c", &gone).await.unwrap();
    assert_eq!(found(&*store).await, ["e 0 two"], "a newer one stays");
    for (document, revision) in [("d", 6), ("d", 7), ("f", 8)] {
        store.put("c", put(document, revision, &["late"])).await.unwrap();
    }
    assert_eq!(found(&*store).await, ["e 0 two"]);
    store.put("c", put("d", 9, &["anew"])).await.unwrap();
    assert_eq!(found(&*store).await, ["d 0 anew", "e 0 two"]);
}

pub async fn older_settings_never_replace_newer_ones(place: &dyn Place) {
    let store = place.store().await;
    store.put("c", put("d", 5, &["one"])).await.unwrap();
    store.put("c", put("e", 5, &["two"])).await.unwrap();
    let disabled = Settings { revision: 8, enabled: false, metadata: Object::default() };
    store.describe("c", "d", &disabled).await.unwrap();
    store.describe("c", "none", &disabled).await.unwrap();
    assert_eq!(found(&*store).await, ["e 0 two"]);
    store.describe("c", "d", &enabled(7)).await.unwrap();
    store.put("c", put("d", 6, &["three"])).await.unwrap();
    assert_eq!(found(&*store).await, ["e 0 two"], "a put with older settings");
    store.describe("c", "d", &enabled(9)).await.unwrap();
    assert_eq!(found(&*store).await, ["d 0 three", "e 0 two"]);
    let metadata: Object = [("year".into(), Value::from(2024_i64))].into_iter().collect();
    store.describe("c", "e", &Settings { revision: 10, enabled: true, metadata }).await.unwrap();
    let filter = Filter::read(&Value::from_pairs([("year", Value::from(2024_i64))])).unwrap();
    let filtered = Query { filter: Some(filter), ..query(SearchMode::Hybrid) };
    let hits = store.search("c", &filtered).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.document.as_str()).collect::<Vec<_>>(), ["e"]);
}

pub async fn chunks_are_read_in_pages_and_edited(place: &dyn Place) {
    let store = place.store().await;
    store.put("c", put("d", 5, &["a", "b", "c"])).await.unwrap();
    let texts = async |after, limit| {
        let page = store.chunks("c", "d", after, limit).await.unwrap();
        page.iter().map(|stored| format!("{} {}", stored.position, stored.chunk.text)).collect::<Vec<_>>()
    };
    assert_eq!(texts(None, 2).await, ["0 a", "1 b"]);
    assert_eq!(texts(Some(1), 2).await, ["2 c"]);
    assert!(store.chunks("c", "none", None, 9).await.unwrap().is_empty());
    assert_eq!(found(&*store).await.len(), 3);

    let new = put_chunk(1, "B", &[1, 2, 3], [1.0, 0.0, 0.0, 0.0]);
    let counts = store.edit("c", "d", 1, Some(new)).await.unwrap();
    assert_eq!(counts, Some(Counts { chunks: 3, tokens: 7 }));
    assert_eq!(store.edit("c", "d", 0, None).await.unwrap(), Some(Counts { chunks: 2, tokens: 5 }));
    assert_eq!(store.edit("c", "d", 0, None).await.unwrap(), None);
    assert_eq!(store.edit("c", "none", 0, None).await.unwrap(), None);
    assert_eq!(texts(None, 9).await, ["1 B", "2 c"]);
    let hits = store.search("c", &query(SearchMode::Vector)).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.chunk.text.as_str()).collect::<Vec<_>>(), ["B", "c"]);
}

pub async fn collections_are_apart(place: &dyn Place) {
    let store = place.store().await;
    store.put("c", put("d", 5, &["one"])).await.unwrap();
    store.create("c", 4).await.unwrap();
    store.create("other", 4).await.unwrap();
    assert_eq!(found(&*store).await, ["d 0 one"], "making it again changes nothing");
    assert_eq!(store.count("other").await.unwrap(), 0);
    assert!(store.search("other", &query(SearchMode::Hybrid)).await.unwrap().is_empty());
    store.drop_collection("c").await.unwrap();
    store.drop_collection("c").await.unwrap();
    let missing = [
        store.put("c", put("d", 6, &["one"])).await,
        store.describe("c", "d", &enabled(7)).await,
        store.delete("c", &[("d".to_owned(), 8)]).await,
        store.chunks("c", "d", None, 9).await.map(drop),
        store.edit("c", "d", 0, None).await.map(drop),
        store.count("c").await.map(drop),
        store.search("c", &query(SearchMode::Vector)).await.map(drop),
    ];
    assert!(missing.iter().all(|outcome| matches!(outcome, Err(Error::NoCollection))), "{missing:?}");
    store.create("c", 4).await.unwrap();
    assert!(found(&*store).await.is_empty());
}

pub async fn chunks_with_the_same_passage_are_one_result(place: &dyn Place) {
    let store = place.store().await;
    let mut chunks = Vec::new();
    for position in 0..60 {
        let near = 1.0 - position as f32 / 64.0;
        let mut chunk = put_chunk(position, &format!("{position}"), &[1, 2], [near, 0.0, 0.0, 0.0]);
        // Forty chunks of one passage, then twenty without any.
        chunk.chunk.passage = (position < 40).then(|| "the same".into());
        chunks.push(chunk);
    }
    let of = |document: &str| {
        Arc::new(Put { document: document.to_owned(), revision: 1, settings: enabled(1), chunks: chunks.clone() })
    };
    store.put("c", of("d")).await.unwrap();
    store.put("c", of("e")).await.unwrap();
    for mode in [SearchMode::Vector, SearchMode::Hybrid] {
        let hits = store.search("c", &Query { top_k: 4, weights: (1.0, 0.0), ..query(mode) }).await.unwrap();
        let hits: Vec<_> = hits.iter().map(|hit| (hit.document.as_str(), hit.position)).collect();
        assert_eq!(hits, [("d", 0), ("e", 0), ("d", 40), ("e", 40)], "{mode:?}");
    }
}

pub async fn equal_scores_are_sorted_by_document_and_position(place: &dyn Place) {
    let store = place.store().await;
    for (document, revision) in [("m", 1), ("z", 2), ("a", 3)] {
        store.put("c", put(document, revision, &["x", "y"])).await.unwrap();
        found(&*store).await;
    }
    store.put("c", put("m", 4, &["x", "y"])).await.unwrap();
    assert_eq!(found(&*store).await, ["a 0 x", "a 1 y", "m 0 x", "m 1 y", "z 0 x", "z 1 y"]);
    let other = place.open().await.1;
    assert_eq!(found(&*other).await, found(&*store).await, "whatever the order in which it was read");
}

pub async fn a_question_of_stop_words_needs_all_of_them(place: &dyn Place) {
    let store = place.store().await;
    let chunk = |position, words: &[u32]| put_chunk(position, "x", words, [0.0, 1.0, 0.0, 0.0]);
    let chunks = vec![chunk(0, &[1, 2, 9]), chunk(1, &[1, 9, 9]), chunk(2, &[2, 2, 1])];
    store
        .put("c", Arc::new(Put { document: "d".to_owned(), revision: 1, settings: enabled(1), chunks }))
        .await
        .unwrap();
    let positions = async |question| {
        let query = Query { question, ..query(SearchMode::Keyword) };
        let mut hits: Vec<u32> = store.search("c", &query).await.unwrap().iter().map(|hit| hit.position).collect();
        hits.sort_unstable();
        hits
    };
    assert_eq!(positions(Question { terms: vec![1, 2], all: true }).await, [0, 2]);
    assert_eq!(positions(Question { terms: vec![2, 9], all: false }).await, [0, 1, 2]);
    assert!(positions(Question { terms: vec![1, 7], all: true }).await.is_empty());
    assert!(positions(Question::default()).await.is_empty());
}
