//! What went wrong, from two libraries, in the words of the stores.

use std::io;

use liteagent_engine::store::StoreError;
use rusqlite::ffi;

/// A failure inside a store.
#[derive(Debug)]
pub enum Error {
    /// Of the writing connection.
    Write(rusqlite::Error),
    /// Of a reading connection.
    Read(sqlx::Error),
    /// In the words of the stores already.
    Store(StoreError),
}

/// What is stored cannot be understood.
pub fn damaged(what: impl ToString) -> Error {
    Error::Store(StoreError::Damaged(what.to_string()))
}

/// A failure of the file system.
pub fn io_error(error: &io::Error, what: &str) -> StoreError {
    let text = format!("{what}: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full(text)
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly(text),
        _ => StoreError::Failed(text),
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Write(error)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        damaged(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            Error::Write(error) => {
                let code = error.sqlite_error().map(|error| error.extended_code);
                from_sqlite(code, error.to_string())
            }
            Error::Read(error) => {
                let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
                from_sqlite(code, error.to_string())
            }
        }
    }
}

fn from_sqlite(extended_code: Option<i32>, text: String) -> StoreError {
    // The index of the log grows in a file of its own, and only a full disk keeps it from that.
    if extended_code == Some(ffi::SQLITE_IOERR_SHMSIZE) {
        return StoreError::Full(text);
    }
    match extended_code.map(|code| code & 0xff) {
        Some(ffi::SQLITE_FULL) => StoreError::Full(text),
        Some(ffi::SQLITE_READONLY) => StoreError::ReadOnly(text),
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_MISMATCH) => StoreError::Damaged(text),
        _ => StoreError::Failed(text),
    }
}
