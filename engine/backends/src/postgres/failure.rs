//! Why a transaction was not done.

use liteagent_engine::store::StoreError;

use crate::database::Error;

/// Why a transaction was not done, or is not known to be done.
#[derive(Debug)]
pub enum Failure {
    /// Another transaction was in the way: done again, it may succeed.
    Conflict(Error),
    /// The connection broke before the commit: nothing was done.
    Broken(Error),
    /// The server refused a statement: nothing was done.
    Refused(Error),
    /// The connection broke at the commit.
    Unknown(Error),
}

impl Failure {
    /// What was decided on has changed meanwhile.
    pub(super) fn overtaken() -> Self {
        Self::Conflict(StoreError::Failed("other transactions were in the way, again and again".to_owned()).into())
    }
}

impl<E: Into<Error>> From<E> for Failure {
    /// Of a failure before the commit.
    fn from(error: E) -> Self {
        let error = error.into();
        if error.is_conflict() {
            Self::Conflict(error)
        } else if error.is_broken() {
            Self::Broken(error)
        } else {
            Self::Refused(error)
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(error) | Failure::Broken(error) | Failure::Refused(error) => error.into(),
            Failure::Unknown(error) => {
                let error: Self = error.into();
                Self::Failed(format!("it is not known whether it was written: {error}"))
            }
        }
    }
}
