//! A data folder in one file: a backup that is taken while others use the folder, and what is made of it again.
//!
//! An archive is a gzipped tar. Its first entry, [`ABOUT`], says what wrote it; its last, [`MANIFEST`], names every other entry
//! with its size and its SHA-256: what was cut off or changed is found. Databases are copied as of one moment each: those of
//! the server first, then runs, then all others, and files last. So what a row names is there: content is stored before
//! the row that names it.
//!
//! Files directly in the data folder are left out, unless they are databases: keys and secrets are kept there, and what can be
//! made again.

use std::{collections::BTreeMap, io, path::PathBuf};

use liteagent_engine::{codes, error::Code, store::StoreError, units::Millis};
use serde::{Deserialize, Serialize};

pub use self::{
    read::{Unpacked, check_empty, unpack, verify},
    write::{Written, write},
};

mod read;
#[cfg(test)]
mod tests;
mod write;

/// The first entry: what wrote the archive.
pub const ABOUT: &str = "liteagent-backup.json";
/// The last entry: what the archive holds.
pub const MANIFEST: &str = "manifest.json";
/// The newest form of archives that this release reads, and the one that it writes.
pub const FORMAT: u32 = 1;

/// What wrote an archive, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The form of the archive.
    pub format: u32,
    /// The release that wrote it.
    pub release: String,
    /// When it was begun, in milliseconds since 1970-01-01 UTC.
    pub at: Millis,
    /// The id of the installation.
    pub installation: String,
    /// Which of its lives it was.
    pub epoch: u64,
    /// The bucket that large values and files are in; they are not in the archive then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<String>,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What wrote it.
    pub about: About,
    /// Every entry but this and the first, by its path.
    pub files: BTreeMap<String, Held>,
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In bytes.
    pub size: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
    /// Whether it is a database.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub database: bool,
}

/// Why a backup was not written, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is none.
    #[error("`{}` is no backup: {why}", .file.display())]
    None {
        /// The file.
        file: PathBuf,
        /// What it is not.
        why: String,
    },
    /// It was cut off, changed, or made to do harm.
    #[error("the backup `{}` is damaged: {why}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        why: String,
    },
    /// A newer release wrote it.
    #[error("the release {release} wrote the backup `{}`, in a form (version {found}) that this one does not know", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// The form.
        found: u32,
        /// The release.
        release: String,
    },
    /// Something is where it is to be restored.
    #[error("`{}` is not empty: there is `{found}`", .folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        found: String,
    },
    /// The disk, or a database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::None { .. } => codes::NO_BACKUP,
            Self::Damaged { .. } => codes::BACKUP_DAMAGED,
            Self::Newer { .. } => codes::BACKUP_NEWER,
            Self::NotEmpty { .. } => codes::NOT_EMPTY,
            Self::Store(error) => error.code(),
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::None { .. } => "name a file that `liteagent backup FILE` wrote",
            Self::Damaged { .. } => "use another backup; `liteagent backup --verify FILE` looks whether one is whole",
            Self::Newer { .. } => "restore it with the release that wrote it, or a newer one",
            Self::NotEmpty { .. } => "restore into an empty folder: `liteagent restore FILE --into DIR`",
            Self::Store(StoreError::Full(_)) => "free space on the disk, or name a file or folder on another one",
            Self::Store(error) => error.hint(),
        }
    }
}

/// A failure of the file system, at a path.
fn at(path: &std::path::Path) -> impl Fn(io::Error) -> ArchiveError + '_ {
    |error| crate::database::io_error(&error, &path.display().to_string()).into()
}
