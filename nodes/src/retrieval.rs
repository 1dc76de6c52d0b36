//! Node types for documents and knowledge bases.

use liteagent_engine::node::Registry;

mod base;
pub mod chunk;
mod document;
pub mod document_changes;
pub mod document_delete;
pub mod document_extractor;
pub mod document_status;
pub mod embed;
mod found;
pub mod keyword_search;
pub mod rerank;
pub(crate) mod search;
pub mod vector_search;
pub mod vector_upsert;
mod vectors;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<chunk::Chunk>()
        .with::<document_changes::DocumentChanges>()
        .with::<document_delete::DocumentDelete>()
        .with::<document_extractor::DocumentExtractor>()
        .with::<document_status::DocumentStatus>()
        .with::<embed::Embed>()
        .with::<keyword_search::KeywordSearch>()
        .with::<rerank::Rerank>()
        .with::<vector_search::VectorSearch>()
        .with::<vector_upsert::VectorUpsert>()
}
