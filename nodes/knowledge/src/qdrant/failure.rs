//! What Qdrant says, as errors.

use qdrant_client::QdrantError;

use crate::error::Error;

/// The codes of gRPC that are told apart.
const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;
const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;
/// Cancelled, unknown, deadline exceeded, internal (the client says so when it cannot connect), unavailable.
const TRANSPORT: [i32; 5] = [1, 2, 4, 13, 14];

/// The code and the message of a reply that refuses.
fn status(error: &QdrantError) -> Option<(i32, &str)> {
    match error {
        QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => {
            Some((status.code() as i32, status.message()))
        }
        _ => None,
    }
}

/// The failure of a request.
pub(super) fn failed(error: QdrantError) -> Error {
    match status(&error) {
        Some((UNAUTHENTICATED | PERMISSION_DENIED, message)) => Error::Locked(message.to_owned()),
        Some((code, message)) if TRANSPORT.contains(&code) => {
            Error::Unreachable(format!("expected an answer of Qdrant, found none: {message}"))
        }
        Some((_, message)) => Error::Refused(message.to_owned()),
        None => Error::Unreachable(format!("expected an answer of Qdrant, found none: {error}")),
    }
}

/// Whether somebody else made it meanwhile.
pub(super) fn is_there_already(error: &QdrantError) -> bool {
    let says_so = |(code, message): (i32, &str)| code == ALREADY_EXISTS || message.contains("already exists");
    status(error).is_some_and(says_so)
}

/// Replies that may say that there is no such collection.
pub(super) trait Fails<T> {
    /// What is not found is the collection: requests name nothing else that must be there.
    fn in_collection(self) -> Result<T, Error>;
}

impl<T> Fails<T> for Result<T, QdrantError> {
    fn in_collection(self) -> Result<T, Error> {
        self.map_err(|error| match status(&error) {
            Some((NOT_FOUND, _)) => Error::NoCollection,
            _ => failed(error),
        })
    }
}
