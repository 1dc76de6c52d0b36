//! Knowledge bases and their documents.
//!
//! Each document that is sent here is indexed by a run of its own, about the subject [`subject`]: what fails there holds up no
//! other, and what is deleted takes its run along, with the file.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use liteagent_engine::{bundle::Bundle, codes, error::NodeError};
use liteagent_knowledge::KnowledgeBases;

use crate::{
    access::{Caller, KeyCaller},
    app::App,
    problem::Problem,
    routes::Routes,
    store::KeyScope,
};

mod api;
mod documents;
mod indexing;
mod search;
mod upload;

/// What the knowledge of a server is made of.
#[derive(Clone)]
pub struct KnowledgeParts {
    /// The knowledge bases.
    pub bases: Arc<dyn OpenBases>,
    /// The workflow that indexes one document: `indexing/document` of the library, or one with the same inputs.
    pub indexing: Arc<Bundle>,
}

/// Opens the knowledge bases when they are first asked for.
#[async_trait]
pub trait OpenBases: Send + Sync {
    /// The knowledge bases, the same each time.
    ///
    /// # Errors
    /// When they cannot be opened.
    async fn open(&self) -> Result<KnowledgeBases, NodeError>;
}

#[async_trait]
impl OpenBases for KnowledgeBases {
    async fn open(&self) -> Result<KnowledgeBases, NodeError> {
        Ok(self.clone())
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    [api::routes, documents::routes, upload::routes, search::routes]
        .into_iter()
        .fold(routes, |routes, more| more(routes))
}

impl App {
    /// The knowledge bases.
    pub(crate) async fn bases(&self) -> Result<KnowledgeBases, Problem> {
        Ok(self.knowledge.bases.open().await?)
    }
}

impl Caller {
    /// Whether it may deal with a knowledge base.
    ///
    /// # Errors
    /// As if there was no such knowledge base: what exists is not told to whom it is not for.
    fn check_knowledge(&self, name: &str) -> Result<(), Problem> {
        match self {
            Self::User(_) => Ok(()),
            Self::Key(KeyCaller { scope: KeyScope::KnowledgeBase(own), .. }) if own == name => Ok(()),
            Self::Key(_) => Err(Problem::missing(
                codes::KNOWLEDGE_UNKNOWN,
                format!("there is no knowledge base `{name}` for this API key"),
            )
            .hint("use a key of this knowledge base: POST /api/keys makes one")),
        }
    }

    /// The only knowledge base that it may deal with; `None` is all.
    fn only_knowledge(&self) -> Result<Option<&str>, Problem> {
        match self {
            Self::User(_) => Ok(None),
            Self::Key(KeyCaller { scope: KeyScope::KnowledgeBase(own), .. }) => Ok(Some(own)),
            Self::Key(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                codes::NOT_ALLOWED,
                "this API key is for a workflow, and not for knowledge bases",
            )
            .hint("use a key of a knowledge base: POST /api/keys makes one")),
        }
    }
}

/// What the runs are about that index a document. The names of knowledge bases have no `/`.
fn subject(base: &str, document: &str) -> String {
    format!("knowledge/{base}/{document}")
}
