//! Why a store did not do what it was asked.

use crate::{codes, error::Code};

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or a quota of the store is used up. Nothing was changed.
    #[error("the store is full: {0}")]
    Full(String),
    /// The store can be read only. Nothing was changed.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// The store could not be reached, or the outcome is not known.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What is stored cannot be understood.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A newer release wrote something of a run. The run was not changed.
    #[error("a newer release wrote the run: {0}")]
    NewerRun(String),
    /// A newer release wrote the store.
    #[error("the store has schema version {found}, this program knows {known}")]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The schema of the store lacks what this program needs.
    #[error("the store has schema version {found}, this program needs {needed}")]
    Older {
        /// The version found.
        found: i64,
        /// The oldest version that this program can use.
        needed: i64,
    },
    /// The object store that keeps large values and files.
    #[error("the object store {fault}: {message}")]
    Objects {
        /// What is wrong with it.
        fault: ObjectsFault,
        /// What was expected and what was found.
        message: String,
    },
}

/// What can be wrong with an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectsFault {
    /// Its address, or another setting, cannot be read.
    #[error("cannot be used as it is set")]
    Address,
    /// It does not answer, or not in time.
    #[error("cannot be reached")]
    Unreachable,
    /// It does not know the credentials, or they do not allow what is needed.
    #[error("refuses the credentials")]
    Credentials,
    /// The bucket is not there.
    #[error("has no such bucket")]
    NoBucket,
    /// It answers with another error.
    #[error("refuses a request")]
    Refused,
}

impl ObjectsFault {
    const fn code(self) -> Code {
        match self {
            Self::Address => codes::OBJECTS_ADDRESS,
            Self::Unreachable => codes::OBJECTS_UNREACHABLE,
            Self::Credentials => codes::OBJECTS_CREDENTIALS,
            Self::NoBucket => codes::OBJECTS_BUCKET,
            Self::Refused => codes::OBJECTS_REFUSED,
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Address => {
                "write `STORAGE_URL=s3://BUCKET/PREFIX`; `AWS_ENDPOINT_URL=https://HOST` where it is not Amazon's, and \
                 both parts of the key"
            }
            Self::Unreachable => {
                "look whether it runs at `AWS_ENDPOINT_URL` (without it, Amazon's of `AWS_REGION` is meant) and can be \
                 reached from here; runs go on when it answers"
            }
            Self::Credentials => {
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` to a key that may list the bucket, and get, put and \
                 delete below the prefix"
            }
            Self::NoBucket => "make the bucket, or name another one in `STORAGE_URL`",
            Self::Refused => "read what it says; `AWS_REGION` must be the region of the bucket",
        }
    }
}

impl StoreError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Full(_) => codes::STORE_FULL,
            Self::ReadOnly(_) => codes::STORE_READ_ONLY,
            Self::Failed(_) => codes::STORE,
            Self::Damaged(_) => codes::STORE_DAMAGED,
            Self::NewerRun(_) => codes::RUN_NEWER,
            Self::Newer { .. } => codes::STORE_NEWER,
            Self::Objects { fault, .. } => fault.code(),
            Self::Older { .. } => codes::STORE_OLDER,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Full(_) => {
                "free space on the disk of the data folder (`liteagent doctor` shows how much is there), then go on with \
                 `liteagent runs resume --all`"
            }
            Self::ReadOnly(_) => {
                "run as the user who owns the data folder, or set `LITEAGENT_DATA` to a folder that can be written"
            }
            Self::Failed(_) => "run `liteagent doctor`, then `liteagent runs resume RUN`: what was recorded is kept",
            Self::Damaged(_) => "put the data folder back from a backup",
            Self::NewerRun(_) | Self::Newer { .. } => "use the newer release",
            Self::Objects { fault, .. } => fault.hint(),
            Self::Older { .. } => "run `liteagent migrate`: older programs may go on meanwhile",
        }
    }
}

/// Why records were not appended. Nothing was changed, except for [`StoreError::Failed`], where the owner must drop its
/// state, take the run again and replay.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Another process owns the run now, or the sequence is not the expected one.
    #[error("the run was taken by another owner")]
    Fenced,
    /// The run cannot be released: its inbox holds messages that were not consumed.
    #[error("the inbox is not empty")]
    InboxNotEmpty,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
