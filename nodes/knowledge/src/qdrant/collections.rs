//! How a collection looks: two vectors a chunk, and indexes of what requests filter by.

use std::collections::BTreeSet;

use qdrant_client::qdrant::{
    CreateCollection, CreateCollectionBuilder, CreateFieldIndexCollection, CreateFieldIndexCollectionBuilder, Distance,
    FieldType, Modifier, SparseVectorParamsBuilder, SparseVectorsConfigBuilder, VectorParamsBuilder,
    VectorsConfigBuilder,
};

use super::points::{self, field};

/// The vector of a chunk's meaning.
pub(super) const MEANING: &str = "meaning";
/// The vector of a chunk's words: a dimension for each word, with its weight there.
pub(super) const WORDS: &str = "words";

/// What is indexed in every collection.
const INDEXES: [(&str, FieldType); 9] = [
    (field::KIND, FieldType::Keyword),
    (field::DOCUMENT, FieldType::Keyword),
    (field::REVISION, FieldType::Integer),
    (field::SETTINGS, FieldType::Integer),
    (field::POSITION, FieldType::Integer),
    (field::ENABLED, FieldType::Bool),
    (field::DELETED, FieldType::Bool),
    (field::IS, FieldType::Keyword),
    (field::TOKENS, FieldType::Integer),
];

/// A new collection. Vectors have length 1, so that products are cosines; Qdrant knows how rare words are.
pub(super) fn new(name: &str, dimensions: u32) -> CreateCollection {
    let mut meaning = VectorsConfigBuilder::default();
    meaning.add_named_vector_params(MEANING, VectorParamsBuilder::new(u64::from(dimensions), Distance::Dot));
    let mut words = SparseVectorsConfigBuilder::default();
    words.add_named_vector_params(WORDS, SparseVectorParamsBuilder::default().modifier(Modifier::Idf));
    CreateCollectionBuilder::new(name).vectors_config(meaning).sparse_vectors_config(words).build()
}

/// The indexes that a collection lacks.
pub(super) fn indexes(name: &str, there: &BTreeSet<String>) -> Vec<CreateFieldIndexCollection> {
    let missing = INDEXES.iter().filter(|(field, _)| !there.contains(*field));
    missing
        .map(|(field, kind)| CreateFieldIndexCollectionBuilder::new(name, *field, *kind).wait(true).build())
        .collect()
}

/// The index of a number of metadata.
pub(super) fn number_index(name: &str, key: &str) -> CreateFieldIndexCollection {
    CreateFieldIndexCollectionBuilder::new(name, points::number_field(key), FieldType::Float).wait(true).build()
}
