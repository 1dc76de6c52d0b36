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
    /// The vector store wants another key.
    Locked(String),
    /// The vector store refuses a request.
    Refused(String),
    /// The vector store is too old.
    Outdated {
        /// Its release.
        found: String,
        /// The oldest that is supported.
        oldest: (u64, u64),
    },
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
        .hint(
            "index its documents again, with `liteagent index --again`: another vector store than before has none of them; \
             when the vector store was put back from a backup, put back both",
        ),
        Error::Unreachable(message) => NodeError::new(codes::KNOWLEDGE_UNREACHABLE, ErrorClass::Unavailable, message)
            .hint("run `liteagent doctor`: it asks the vector store"),
        Error::Locked(message) => NodeError::new(
            codes::VECTOR_STORE_KEY,
            ErrorClass::Unauthenticated,
            format!("expected that the vector store takes the key, found that it refuses: {message}"),
        )
        .hint("set `QDRANT_API_KEY` to a key that may write, and run `liteagent doctor`"),
        Error::Refused(message) => NodeError::new(
            codes::VECTOR_STORE_REFUSED,
            ErrorClass::Unavailable,
            format!("expected that the vector store does what it is asked, found that it refuses: {message}"),
        )
        .hint("look into the log of the vector store, and run `liteagent doctor`"),
        Error::Outdated { found, oldest: (major, minor) } => NodeError::new(
            codes::VECTOR_STORE_OLD,
            ErrorClass::Invalid,
            format!("expected Qdrant {major}.{minor} or newer, found {found}"),
        )
        .hint("update Qdrant"),
        Error::Store(error) => {
            let class = match &error {
                StoreError::Full(_) => ErrorClass::LimitExceeded,
                StoreError::ReadOnly(_) => ErrorClass::Forbidden,
                StoreError::Failed(_) | StoreError::Objects { .. } => ErrorClass::Unavailable,
                StoreError::Damaged(_)
                | StoreError::NewerRun(_)
                | StoreError::Newer { .. }
                | StoreError::Older { .. } => ErrorClass::Internal,
            };
            NodeError::new(error.code(), class, error.to_string()).hint(error.hint())
        }
    }
}
