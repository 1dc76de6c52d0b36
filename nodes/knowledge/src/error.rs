//! Why a catalog or a vector store did not do what it was asked, and how nodes are told.

use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
    store::StoreError,
};

/// Why a catalog or a vector store did not do what it was asked.
#[derive(Clone, Debug)]
pub enum Error {
    /// The knowledge base was deleted.
    NoBase,
    /// There is no such collection.
    NoCollection,
    /// What is stored could not be read or written.
    Store(StoreError),
    /// Whoever stores it does not answer.
    Unreachable(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<liteagent_backends::database::Error> for Error {
    fn from(error: liteagent_backends::database::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The failure of a vector store, as nodes and commands report it.
pub(crate) fn failed(error: impl Into<Error>) -> NodeError {
    match error.into() {
        Error::NoBase => NodeError::new(
            codes::KNOWLEDGE_UNKNOWN,
            ErrorClass::NotFound,
            "expected a knowledge base, found that it was deleted meanwhile",
        ),
        Error::NoCollection => NodeError::new(
            codes::KNOWLEDGE_UNREACHABLE,
            ErrorClass::Unavailable,
            "expected the collection of the knowledge base in the vector store, found none",
        )
        .hint("index its documents again; when the vector store was put back from a backup, put back both"),
        Error::Unreachable(message) => NodeError::new(codes::KNOWLEDGE_UNREACHABLE, ErrorClass::Unavailable, message)
            .hint("run `liteagent doctor`: it asks the vector store"),
        Error::Store(error) => {
            let class = match &error {
                StoreError::Full(_) => ErrorClass::LimitExceeded,
                StoreError::ReadOnly(_) => ErrorClass::Forbidden,
                StoreError::Failed(_) => ErrorClass::Unavailable,
                StoreError::Damaged(_) | StoreError::NewerRun(_) | StoreError::Newer { .. } => ErrorClass::Internal,
            };
            NodeError::new(error.code(), class, error.to_string()).hint(error.hint())
        }
    }
}
