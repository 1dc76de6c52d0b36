//! Reading an archive. It may come from anywhere: nothing in it is believed before it was looked at.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use liteagent_engine::id::Digest;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{
    ABOUT, ArchiveError, FORMAT, MANIFEST, Manifest, at,
    write::{Hashing, MAGIC, is_database, is_of_now},
};
use crate::database::make_folder;

/// The largest first and last entry, in bytes: a name and a digest for some millions of files.
const LONGEST: u64 = 1 << 30;

/// Looks whether an archive is whole: every entry has its digest, and every database can be read.
///
/// # Errors
/// [`ArchiveError::Damaged`] when it is not; those of the disk, which must have room for the databases.
pub fn verify(file: &Path) -> Result<Manifest, ArchiveError> {
    let scratch = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
    let read = read(file, scratch.path(), Want::Databases)?;
    check_databases(file, scratch.path(), &read)?;
    Ok(read)
}

/// An archive that was unpacked and looked at, beside where it shall be. It is deleted when this is dropped before.
#[derive(Debug)]
pub struct Unpacked {
    /// What it holds.
    pub manifest: Manifest,
    staging: TempDir,
    into: PathBuf,
}

/// Unpacks an archive for a folder where nothing is yet.
///
/// # Errors
/// [`ArchiveError::NotEmpty`] where something is; [`ArchiveError::Damaged`] when it is not whole; those of the disk.
pub fn unpack(file: &Path, into: &Path) -> Result<Unpacked, ArchiveError> {
    check_empty(into)?;
    make_folder(into)?;
    let staging = tempfile::Builder::new().prefix(".new-restore-").tempdir_in(into).map_err(at(into))?;
    let manifest = read(file, staging.path(), Want::All)?;
    check_databases(file, staging.path(), &manifest)?;
    Ok(Unpacked { manifest, staging, into: into.to_owned() })
}

impl Unpacked {
    /// Where it is until [`Self::settle`].
    pub fn folder(&self) -> &Path {
        self.staging.path()
    }

    /// Moves everything to its place.
    ///
    /// # Errors
    /// When that fails.
    pub fn settle(self) -> Result<Manifest, ArchiveError> {
        // What came up meanwhile is not overwritten.
        check_empty(&self.into)?;
        for entry in fs::read_dir(self.staging.path()).map_err(at(self.staging.path()))? {
            let name = entry.map_err(at(self.staging.path()))?.file_name();
            let place = self.into.join(&name);
            fs::rename(self.staging.path().join(&name), &place).map_err(at(&place))?;
        }
        File::open(&self.into).and_then(|folder| folder.sync_all()).map_err(at(&self.into))?;
        Ok(self.manifest)
    }
}

/// Looks whether a folder has nothing that a backup may hold: keys may be there, and what can be made again.
///
/// # Errors
/// [`ArchiveError::NotEmpty`].
pub fn check_empty(folder: &Path) -> Result<(), ArchiveError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_in_the_way = !path.is_file() || is_database(&path).map_err(at(&path))?;
        if is_in_the_way && !name.starts_with(".new-") {
            return Err(ArchiveError::NotEmpty { folder: folder.to_owned(), found: name.into_owned() });
        }
    }
    Ok(())
}

/// What is written of an archive that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    All,
    Databases,
}

fn read(file: &Path, into: &Path, want: Want) -> Result<Manifest, ArchiveError> {
    let none = |why: String| ArchiveError::None { file: file.to_owned(), why };
    let damaged = |why: String| ArchiveError::Damaged { file: file.to_owned(), why };
    let broken = |error: io::Error| damaged(error.to_string());
    let opened = File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => none("there is no such file".to_owned()),
        _ => at(file)(error),
    })?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(opened)));
    let mut entries = archive.entries().map_err(|error| none(error.to_string()))?;

    let first = entries.next().ok_or_else(|| none("it is empty".to_owned()))?;
    let mut first = first.map_err(|error| none(error.to_string()))?;
    if first.path_bytes().as_ref() != ABOUT.as_bytes() {
        return Err(none(format!("it does not begin with `{ABOUT}`")));
    }
    let about: Newest = json(&mut first).map_err(damaged)?;
    if about.format > FORMAT {
        return Err(ArchiveError::Newer { file: file.to_owned(), found: about.format, release: about.release });
    }

    let mut found = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8(entry.path_bytes().into_owned()).map_err(|error| damaged(error.to_string()))?;
        if manifest.is_some() {
            return Err(damaged(format!("`{path}` comes after the end")));
        }
        if !entry.header().entry_type().is_file() {
            return Err(damaged(format!("`{path}` is no file")));
        }
        if path == MANIFEST {
            manifest = Some(json(&mut entry).map_err(damaged)?);
            continue;
        }
        if !is_below(&path) {
            return Err(damaged(format!("`{path}` does not lie below the data folder")));
        }
        if is_never_held(&path) {
            return Err(damaged(format!("a backup never holds `{path}`")));
        }
        if found.contains_key(&path) {
            return Err(damaged(format!("`{path}` is there twice")));
        }
        let held = copy(&mut entry, &path, into, want).map_err(|error| match error {
            Copy::Read(error) => broken(error),
            Copy::Write(error) => error,
        })?;
        if !held.is_database && !path.contains('/') {
            return Err(damaged(format!("a backup never holds `{path}`: it is no database")));
        }
        found.insert(path, held);
    }
    let manifest = manifest.ok_or_else(|| damaged("its end is missing".to_owned()))?;
    for (path, held) in &manifest.files {
        match found.remove(path) {
            None => return Err(damaged(format!("`{path}` is missing"))),
            Some(read) if (read.size, &read.sha256) != (held.size, &held.sha256) => {
                return Err(damaged(format!("`{path}` has other content than the manifest says")));
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(path) => Err(damaged(format!("the manifest does not know `{path}`"))),
        None => Ok(manifest),
    }
}

/// Whether a path is one of those that mean nothing elsewhere.
fn is_never_held(path: &str) -> bool {
    path.split('/').enumerate().any(|(depth, name)| is_of_now(name, depth == 0))
}

/// What every release can read of the first entry.
#[derive(serde::Deserialize)]
struct Newest {
    format: u32,
    release: String,
}

fn json<T: serde::de::DeserializeOwned>(entry: &mut impl Read) -> Result<T, String> {
    let mut text = Vec::new();
    entry.take(LONGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Whether a path leads nowhere but down.
fn is_below(path: &str) -> bool {
    !path.is_empty()
        && !path.ends_with('/')
        && !path.contains(['\0', '\\'])
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// What was read of an entry.
struct Seen {
    size: u64,
    sha256: String,
    is_database: bool,
}

enum Copy {
    Read(io::Error),
    Write(ArchiveError),
}

/// Writes an entry where it belongs, as far as it is wanted.
fn copy(entry: &mut impl Read, path: &str, into: &Path, want: Want) -> Result<Seen, Copy> {
    let mut content = Hashing { content: entry, hash: Sha256::new(), read: 0 };
    let mut buffer = vec![0; 1 << 16];
    let mut count = content.read(&mut buffer).map_err(Copy::Read)?;
    let is_database = buffer[..count].starts_with(MAGIC);
    let mut out = None;
    if want == Want::All || is_database {
        let place = into.join(path);
        place.parent().map_or(Ok(()), make_folder).map_err(|error| Copy::Write(error.into()))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&place).map_err(|error| Copy::Write(at(&place)(error)))?;
        out = Some((BufWriter::new(file), place));
    }
    while count > 0 {
        if let Some((out, place)) = &mut out {
            out.write_all(&buffer[..count]).map_err(|error| Copy::Write(at(place)(error)))?;
        }
        count = content.read(&mut buffer).map_err(Copy::Read)?;
    }
    if let Some((out, place)) = out {
        let synced = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(|error| Copy::Write(at(&place)(error)))?;
    }
    Ok(Seen { size: content.read, sha256: Digest::from_hash(&content.hash.finalize()).to_string(), is_database })
}

/// Looks whether every database of an archive can be read.
fn check_databases(file: &Path, folder: &Path, manifest: &Manifest) -> Result<(), ArchiveError> {
    let damaged = |path: &str, why: String| ArchiveError::Damaged {
        file: file.to_owned(),
        why: format!("the database `{path}`: {why}"),
    };
    let databases = manifest.files.iter().filter(|(_, held)| held.database);
    for (path, _) in databases {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let check = || -> rusqlite::Result<String> {
            let connection = Connection::open_with_flags(folder.join(path), flags)?;
            // What stands in a file from elsewhere defines no functions that act.
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))
        };
        let said = check().map_err(|error| damaged(path, error.to_string()))?;
        if said != "ok" {
            return Err(damaged(path, said));
        }
    }
    Ok(())
}
