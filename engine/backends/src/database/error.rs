//! What went wrong, from two libraries and three databases, in the words of the stores.

use std::io;

use liteagent_engine::store::StoreError;
use rusqlite::ffi;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// A failure inside a store.
#[derive(Debug)]
pub enum Error {
    /// Of the connection that writes SQLite.
    Write(rusqlite::Error),
    /// Of a connection that reads SQLite, and of every one to PostgreSQL.
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
                if let Some(told) = postgres(&error) {
                    return from_postgres(told.code(), error.to_string());
                }
                let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
                from_sqlite(code, error.to_string())
            }
        }
    }
}

impl Error {
    /// Whether the connection to PostgreSQL cannot be used any more: it broke, or the server went, or it may only be read.
    pub(crate) fn is_broken(&self) -> bool {
        let Self::Read(error) = self else { return false };
        match (postgres(error), error) {
            (Some(told), _) => {
                matches!(told.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                    || told.code().starts_with("08")
                    || told.code() == READ_ONLY
            }
            (None, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut) => {
                true
            }
            _ => false,
        }
    }

    /// Whether PostgreSQL undid the transaction because of another one: done again, it may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Read(error) = self else { return false };
        postgres(error).is_some_and(|told| matches!(told.code(), "40001" | "40P01"))
    }

    /// Whether PostgreSQL answered that it refuses: nothing of the transaction is there.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Read(error) = self else { return true };
        postgres(error).is_some_and(|told| told.severity() == PgSeverity::Error)
    }
}

/// The server became a standby, or its administrator allows no writes.
const READ_ONLY: &str = "25006";

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn from_postgres(code: &str, text: String) -> StoreError {
    match code {
        "53100" => StoreError::Full(text),
        READ_ONLY => StoreError::ReadOnly(text),
        "XX001" | "XX002" => StoreError::Damaged(text),
        _ => StoreError::Failed(text),
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
