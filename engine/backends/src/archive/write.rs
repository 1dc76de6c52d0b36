//! Writing an archive.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use liteagent_engine::id::Digest;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{ABOUT, About, ArchiveError, Held, MANIFEST, Manifest, at};
use crate::{
    database::{Error, io_error},
    sqlite::FILE,
};

/// How every SQLite database begins.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The databases that must be copied before all others, in this order.
const FIRST: [&str; 2] = ["platform.db", FILE];
/// Folders that say what goes on now, and nothing else.
const OF_NOW: [&str; 1] = ["sessions"];

/// An archive that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it holds.
    pub manifest: Manifest,
    /// Its size, in bytes.
    pub size: u64,
    /// What lies in the data folder and was left out.
    pub left_out: Vec<String>,
}

/// Writes what a data folder holds into a file, which is there whole or not at all, for its owner alone. Others may go on to
/// use the folder; only what deletes blobs waits.
///
/// # Errors
/// When something cannot be read or written; then the file is as it was before.
pub fn write(data: &Path, file: &Path, about: About) -> Result<Written, ArchiveError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A blob that some row names must not go between the copy of the row and its own.
    let _blobs_stay = hold_blobs(data)?;
    let mut out = tempfile::Builder::new().prefix(".new-backup-").tempfile_in(folder).map_err(at(file))?;
    let scratch = tempfile::Builder::new().prefix(".new-backup-").tempdir_in(folder).map_err(at(folder))?;
    let found = look(data)?;

    let mut archive = Archive::begin(out.as_file_mut(), file);
    let first = serde_json::to_vec_pretty(&about).map_err(|error| at(file)(error.into()))?;
    archive.append(ABOUT, first.len() as u64, first.as_slice())?;
    let mut files = BTreeMap::new();
    for path in &found.databases {
        let copy = scratch.path().join("copy.db");
        snapshot(&data.join(path), &copy)?;
        let held = archive.file(path, &copy)?;
        files.insert(path.clone(), Held { database: true, ..held });
        fs::remove_file(&copy).map_err(at(&copy))?;
    }
    for path in &found.files {
        match archive.file(path, &data.join(path)) {
            Ok(held) => drop(files.insert(path.clone(), held)),
            // Somebody deleted what no row named any more.
            Err(ArchiveError::Store(_)) if !data.join(path).exists() => {}
            Err(error) => return Err(error),
        }
    }
    let manifest = Manifest { about, files };
    let last = serde_json::to_vec_pretty(&manifest).map_err(|error| at(file)(error.into()))?;
    archive.append(MANIFEST, last.len() as u64, last.as_slice())?;
    archive.finish()?;

    out.as_file().sync_all().map_err(at(file))?;
    let size = out.as_file().metadata().map_err(at(file))?.len();
    out.persist(file).map_err(|error| at(file)(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    Ok(Written { manifest, size, left_out: found.left_out })
}

/// Keeps blobs from being deleted for as long as this is there.
fn hold_blobs(data: &Path) -> Result<Option<File>, ArchiveError> {
    let folder = data.join("blobs");
    if !folder.is_dir() {
        return Ok(None);
    }
    let path = folder.join(".lock");
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    lock.and_then(|lock| lock.lock_shared().map(|()| Some(lock))).map_err(at(&path))
}

/// What a data folder holds, as paths below it.
struct Found {
    databases: Vec<String>,
    files: Vec<String>,
    left_out: Vec<String>,
}

fn look(data: &Path) -> Result<Found, ArchiveError> {
    let mut found = Found { databases: Vec::new(), files: Vec::new(), left_out: Vec::new() };
    look_into(data, "", &mut found)?;
    let place = |path: &String| FIRST.iter().position(|first| first == path).unwrap_or(FIRST.len());
    found.databases.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
    Ok(found)
}

fn look_into(folder: &Path, below: &str, found: &mut Found) -> Result<(), ArchiveError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        names.push(entry.map_err(at(folder))?.file_name());
    }
    names.sort_unstable();
    for name in names {
        let path = folder.join(&name);
        let Some(name) = name.to_str() else {
            found.left_out.push(format!("{below}{}", name.to_string_lossy()));
            continue;
        };
        let shown = format!("{below}{name}");
        let kind = match fs::symlink_metadata(&path) {
            Ok(kind) => kind,
            // It was there a moment ago.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&path)(error)),
        };
        if is_of_now(name, below.is_empty()) {
            continue;
        }
        if kind.is_dir() {
            look_into(&path, &format!("{shown}/"), found)?;
        } else if kind.is_file() && is_database(&path).map_err(at(&path))? {
            found.databases.push(shown);
        } else if kind.is_file() && !below.is_empty() {
            found.files.push(shown);
        } else {
            found.left_out.push(shown);
        }
    }
    Ok(())
}

/// Locks, logs of databases, what is half written: they mean nothing elsewhere.
pub(super) fn is_of_now(name: &str, is_top: bool) -> bool {
    const ENDINGS: [&str; 5] = [".lock", ".db-wal", ".db-shm", ".db-journal", ".sock"];
    name.starts_with(".new-") || ENDINGS.iter().any(|ending| name.ends_with(ending)) || is_top && OF_NOW.contains(&name)
}

/// Whether a file is a database; `false` also when it has gone.
pub(super) fn is_database(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut begin = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == MAGIC)
}

/// Copies a database as of this moment, without what was deleted from it.
fn snapshot(from: &Path, to: &Path) -> Result<(), ArchiveError> {
    let copy = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(from, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map(drop)
    };
    copy().map_err(|error| ArchiveError::Store(Error::from(error).into()))
}

/// A tar in gzip that goes into a file.
struct Archive<'a> {
    tar: Builder<GzEncoder<BufWriter<&'a mut File>>>,
    file: PathBuf,
}

impl<'a> Archive<'a> {
    fn begin(out: &'a mut File, file: &Path) -> Self {
        let tar = Builder::new(GzEncoder::new(BufWriter::new(out), Compression::fast()));
        Self { tar, file: file.to_owned() }
    }

    /// Adds what stands in a file.
    fn file(&mut self, path: &str, source: &Path) -> Result<Held, ArchiveError> {
        let content = File::open(source).map_err(at(source))?;
        let size = content.metadata().map_err(at(source))?.len();
        self.append(path, size, content.take(size))
    }

    fn append(&mut self, path: &str, size: u64, content: impl Read) -> Result<Held, ArchiveError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o600);
        let mut content = Hashing { content, hash: Sha256::new(), read: 0 };
        self.tar.append_data(&mut header, path, &mut content).map_err(at(&self.file))?;
        if content.read != size {
            // The entry has another length than its header says: the archive is of no use.
            return Err(at(Path::new(path))(io::Error::other(format!("{} bytes of {size} were left", content.read))));
        }
        Ok(Held { size, sha256: Digest::from_hash(&content.hash.finalize()).to_string(), database: false })
    }

    fn finish(self) -> Result<(), ArchiveError> {
        let failed = |error| ArchiveError::Store(io_error(&error, &self.file.display().to_string()));
        let gzip = self.tar.into_inner().map_err(failed)?;
        gzip.finish().and_then(|mut out| out.flush()).map_err(failed)
    }
}

/// Content whose digest is taken as it is read.
pub(super) struct Hashing<R> {
    pub(super) content: R,
    pub(super) hash: Sha256,
    pub(super) read: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}
