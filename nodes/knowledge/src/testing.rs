//! What every catalog and every vector store must do, apart and together: one suite, run on each of them.
//!
//! Each case is listed once, in its macro, and becomes a `#[tokio::test]`. The expression gives a fresh [`Place`]:
//!
//! ```ignore
//! mod sqlite { liteagent_knowledge::knowledge_conformance!(Folder::new()); }
//! ```
#![expect(clippy::unwrap_used, reason = "these are tests: a failure says where")]
#![expect(missing_docs, reason = "the name of a case is the sentence that it checks")]

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use liteagent_engine::{
    capability::{
        knowledge::{Chunk, WriteDocument},
        model::{ChatRequest, ChatStream, EmbedRequest, Embeddings, ModelInfo, Models, Usage},
    },
    error::NodeError,
    testing::VirtualClock,
    value::{Object, Value},
};

use crate::{
    KnowledgeBases,
    catalog::{Catalog, Revision},
    store::{Put, PutChunk, Question, Settings, Terms, VectorStore},
};

pub mod catalogs;
pub mod crashes;
pub mod faulty;
pub mod reference;
pub mod together;
pub mod vectors;

/// Where a catalog and a vector store keep what they hold. Each opening is a process of its own.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens both.
    async fn open(&self) -> (Arc<dyn Catalog>, Arc<dyn VectorStore>);

    /// Opens the store alone, with a collection `c` of vectors of four numbers.
    async fn store(&self) -> Arc<dyn VectorStore> {
        let (_, store) = self.open().await;
        store.create("c", 4).await.unwrap();
        store
    }

    /// Opens both as knowledge bases.
    async fn bases(&self) -> KnowledgeBases {
        let (catalog, store) = self.open().await;
        KnowledgeBases::new(catalog, store, Arc::new(VirtualClock::at(1_000)))
    }
}

/// The tests of a [`Catalog`] and a [`VectorStore`], apart and together; with `here`, one after the other in a test that is
/// there.
#[macro_export]
macro_rules! knowledge_conformance {
    (@cases $then:ident, $place:expr) => {
        $crate::$then! { $place,
            catalogs::a_write_takes_the_hash_away_and_brings_it_when_it_is_done,
            catalogs::a_write_that_was_overtaken_says_nothing,
            catalogs::settings_that_changed_meanwhile_are_told_first,
            catalogs::a_document_that_was_deleted_is_not_made_again_by_its_end,
            catalogs::documents_are_listed_in_pages,
            catalogs::bases_count_what_they_have,
            catalogs::a_base_moves_when_the_next_collection_has_everything,
            vectors::a_document_is_what_was_put_last,
            vectors::what_was_deleted_stays_so,
            vectors::older_settings_never_replace_newer_ones,
            vectors::chunks_are_read_in_pages_and_edited,
            vectors::collections_are_apart,
            vectors::chunks_with_the_same_passage_are_one_result,
            vectors::equal_scores_are_sorted_by_document_and_position,
            vectors::a_question_of_stop_words_needs_all_of_them,
            together::names_models_and_vectors_are_checked,
            together::a_document_is_replaced_as_a_whole,
            together::who_is_disabled_or_deleted_is_not_found,
            together::a_mark_keeps_what_is_found,
            together::chunks_are_edited_one_by_one,
            together::two_processes_see_what_the_other_writes,
            together::writers_of_one_document_leave_one_of_them_whole,
            together::a_base_is_deleted_with_all_it_has,
            together::a_base_gets_another_model_while_it_is_used,
            together::a_rebuild_can_be_given_up,
            crashes::a_write_that_is_cut_off_is_mended_by_doing_it_again,
            crashes::a_deletion_that_is_cut_off_is_mended_by_doing_it_again,
            crashes::a_rebuild_that_is_cut_off_goes_on,
        }
    };
    ($place:expr) => {
        $crate::knowledge_conformance!(@cases knowledge_tests, $place);
    };
    ($place:expr, here) => {
        $crate::knowledge_conformance!(@cases knowledge_here, $place);
    };
}

/// A test of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! knowledge_tests {
    ($place:expr, $($family:ident::$case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let place = $place;
                $crate::testing::$family::$case(&place).await;
            }
        )*
    };
}

/// Each case, one after the other.
#[doc(hidden)]
#[macro_export]
macro_rules! knowledge_here {
    ($place:expr, $($family:ident::$case:ident,)*) => {
        $( Box::pin($crate::testing::$family::$case(&$place)).await; )*
    };
}

/// A chunk of a text, with words that are numbers.
pub fn put_chunk(position: u32, text: &str, words: &[u32], vector: [f32; 4]) -> PutChunk {
    let mut counts: Vec<(u32, u32)> = Vec::new();
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    for word in sorted {
        match counts.last_mut() {
            Some((last, count)) if *last == word => *count += 1,
            _ => counts.push((word, 1)),
        }
    }
    PutChunk {
        position,
        chunk: Chunk { text: text.to_owned(), tokens: words.len() as u32, ..Chunk::default() },
        terms: Terms { length: words.len() as u32, counts },
        vector: vector.to_vec(),
    }
}

/// A document with a chunk for each text: its vector points to the first axis, and its words are 1 and 2.
pub fn put(document: &str, revision: Revision, texts: &[&str]) -> Arc<Put> {
    let chunk = |(position, text): (u32, &&str)| put_chunk(position, text, &[1, 2], [1.0, 0.0, 0.0, 0.0]);
    let chunks = (0..).zip(texts).map(chunk).collect();
    Arc::new(Put { document: document.to_owned(), revision, settings: enabled(revision), chunks })
}

/// Settings of a document that is found.
pub fn enabled(revision: Revision) -> Settings {
    Settings { revision, enabled: true, metadata: Object::default() }
}

/// A question of words.
pub fn words(terms: &[u32]) -> Question {
    Question { terms: terms.to_vec(), all: false }
}

/// A document whose chunks are texts, with the vectors of [`vector_of`].
pub fn document(id: &str, texts: &[&str]) -> WriteDocument {
    WriteDocument {
        id: id.to_owned(),
        title: format!("title of {id}"),
        url: None,
        hash: texts.concat(),
        metadata: [("kind".into(), Value::from("note"))].into_iter().collect(),
        model: "test/embed".to_owned(),
        chunks: texts.iter().map(|text| Chunk { text: (*text).to_owned(), tokens: 3, ..Chunk::default() }).collect(),
        vectors: texts.iter().map(|text| vector_of(text, DIMENSIONS)).collect(),
    }
}

/// Embeds with [`vector_of`]: `test/large` makes vectors of twice the length. `told` hears of each text before.
pub struct TestModels<F>(pub F);

#[async_trait]
impl<F: Fn(String) -> BoxFuture<'static, ()> + Send + Sync> Models for TestModels<F> {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        Err(NodeError::internal(format!("the test describes no model, not even {name}")))
    }

    async fn chat(&self, _: ChatRequest) -> Result<ChatStream, NodeError> {
        Err(NodeError::internal("the test has no chat model"))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        let dimensions = if request.model == "test/large" { DIMENSIONS * 2 } else { DIMENSIONS };
        let mut vectors = Vec::new();
        for text in &request.texts {
            (self.0)(text.clone()).await;
            vectors.push(vector_of(text, dimensions));
        }
        Ok(Embeddings { model: request.model, vectors, usage: Usage::default() })
    }
}

/// The length of vectors of the model of tests.
pub const DIMENSIONS: u32 = 8;

/// A vector of length 1 that depends on the letters of a text.
pub fn vector_of(text: &str, dimensions: u32) -> Vec<f32> {
    let mut vector = vec![0.01_f32; dimensions as usize];
    for byte in text.bytes() {
        vector[usize::from(byte) % dimensions as usize] += 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}
