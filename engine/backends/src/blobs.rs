//! Blobs as files: `blobs/ab/SHA256`, each written beside its place and moved there when it is durable.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use liteagent_engine::{
    id::Digest,
    store::{Blobs, Pieces, StoreError},
    units::Millis,
};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::database::{io_error, make_folder};

/// How much is read at once.
const PIECE: u64 = 256 << 10;

/// Blobs in a folder that every process of an installation reaches.
///
/// A put and a sweep exclude each other by a lock file: a put of bytes that are there already makes them young again,
/// and a sweep looks at the age once more before it removes them.
#[derive(Clone, Debug)]
pub struct FsBlobs {
    folder: Arc<Path>,
}

impl FsBlobs {
    /// Blobs in this folder; it is made when it is not there.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when it cannot be made.
    pub fn open(folder: PathBuf) -> Result<Self, StoreError> {
        make_folder(&folder)?;
        Ok(Self::at(folder))
    }

    /// Blobs in a folder as it is.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(&digest.as_str()[..2]).join(digest.as_str())
    }

    fn lock(&self) -> io::Result<File> {
        fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join(".lock"))
    }

    fn store(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let lock = self.lock()?;
        lock.lock_shared()?;
        let path = self.path(digest);
        let shelf = path.parent().unwrap_or(&self.folder);
        if !refresh(&path)? {
            fs::create_dir_all(shelf)?;
            File::open(&self.folder)?.sync_all()?;
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(shelf)?;
            file.write_all(bytes)?;
            file.as_file().sync_data()?;
            file.persist(&path)?;
        }
        // Also when the file was there: another process may have moved it there a moment ago.
        File::open(shelf)?.sync_all()
    }

    /// Moves what was written beside the blobs to its place.
    fn take_in(&self, digest: &Digest, file: NamedTempFile) -> io::Result<()> {
        file.as_file().sync_data()?;
        let lock = self.lock()?;
        lock.lock_shared()?;
        let path = self.path(digest);
        let shelf = path.parent().unwrap_or(&self.folder);
        if !refresh(&path)? {
            fs::create_dir_all(shelf)?;
            File::open(&self.folder)?.sync_all()?;
            file.persist(&path)?;
            // It is as old as its first piece.
            refresh(&path)?;
        }
        File::open(shelf)?.sync_all()
    }

    fn load(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&error, &path.display().to_string())),
        };
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::Damaged(format!("{} has other content than its name says", path.display())));
        }
        Ok(Some(bytes.into()))
    }

    /// Every blob that is older than a time; what was left half written, too.
    fn older_than(&self, before: Millis) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for shelf in fs::read_dir(&self.folder)? {
            let shelf = shelf?.path();
            if !shelf.is_dir() {
                continue;
            }
            for file in fs::read_dir(shelf)? {
                let path = file?.path();
                if is_older(&path, before)? {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    fn remove(&self, path: &Path, before: Millis) -> io::Result<bool> {
        let lock = self.lock()?;
        lock.lock()?;
        if !is_older(path, before)? {
            return Ok(false);
        }
        fs::remove_file(path).map(|()| true)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(|error| StoreError::Failed(error.to_string()))?
    }

    fn failed(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        let folder = self.folder.clone();
        move |error| io_error(&error, &folder.display().to_string())
    }
}

/// Makes a file young again; `false` when it is not there.
fn refresh(path: &Path) -> io::Result<bool> {
    #[expect(clippy::disallowed_methods, reason = "the age of files is told by the machine that keeps them")]
    let now = SystemTime::now();
    match File::options().append(true).open(path) {
        Ok(file) => file.set_modified(now).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `false` also when the file has gone.
fn is_older(path: &Path, before: Millis) -> io::Result<bool> {
    let before = UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(before).unwrap_or(0)));
    match fs::metadata(path).and_then(|found| found.modified()) {
        Ok(modified) => Ok(before.is_none_or(|before| modified < before)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Blobs for FsBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let failed = self.failed();
        self.blocking(move |this| {
            let digest = Digest::of(&bytes);
            this.store(&digest, &bytes).map_err(failed)?;
            Ok(digest)
        })
        .await
    }

    async fn put_pieces(&self, mut pieces: Pieces<'_>) -> Result<(Digest, u64), StoreError> {
        let failed = self.failed();
        // On a shelf of its own, where a sweep finds what a process that died has left.
        let new = move |this: &Self| {
            let shelf = this.folder.join("new");
            fs::create_dir_all(&shelf)?;
            tempfile::Builder::new().prefix(".new-").tempfile_in(shelf)
        };
        let mut file = self.blocking(move |this| new(this).map_err(failed)).await?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(piece) = pieces.try_next().await? {
            size += piece.len() as u64;
            let failed = self.failed();
            (file, hash) = self
                .blocking(move |_| {
                    file.write_all(&piece).map_err(failed)?;
                    hash.update(&piece);
                    Ok((file, hash))
                })
                .await?;
        }
        let digest = Digest::from_hash(&hash.finalize());
        let (failed, name) = (self.failed(), digest.clone());
        self.blocking(move |this| this.take_in(&name, file).map_err(failed)).await?;
        Ok((digest, size))
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        let digest = digest.clone();
        self.blocking(move |this| this.load(&digest)).await
    }

    async fn get_pieces(&self, digest: &Digest, range: Range<u64>) -> Result<Option<Pieces<'static>>, StoreError> {
        let (path, failed) = (self.path(digest), self.failed());
        let opened = self.blocking(move |_| match File::open(&path) {
            Ok(mut file) => file.seek(SeekFrom::Start(range.start)).map(|_| Some(file)).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        });
        let Some(file) = opened.await? else { return Ok(None) };
        let this = self.clone();
        let left = range.end.saturating_sub(range.start);
        let next = move |(file, left): (File, u64)| {
            let (this, failed) = (this.clone(), this.failed());
            async move {
                let read = move |_: &Self| {
                    let mut piece = Vec::new();
                    (&file).take(left.min(PIECE)).read_to_end(&mut piece).map_err(failed)?;
                    Ok((piece, file))
                };
                let (piece, file) = this.blocking(read).await?;
                let left = left - piece.len() as u64;
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, left))))
            }
        };
        Ok(Some(stream::try_unfold((file, left), next).boxed()))
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        let (digest, failed) = (digest.clone(), self.failed());
        self.blocking(move |this| {
            let lock = this.lock().map_err(&failed)?;
            lock.lock().map_err(&failed)?;
            match fs::remove_file(this.path(&digest)) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    async fn sweep(
        &self,
        before: Millis,
        keep: &(dyn for<'a> Fn(&'a Digest) -> BoxFuture<'a, Result<bool, StoreError>> + Sync),
    ) -> Result<u64, StoreError> {
        let failed = self.failed();
        let old = self.blocking(move |this| this.older_than(before).map_err(failed)).await?;
        let mut swept = 0;
        for path in old {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(digest) = name.parse::<Digest>()
                && keep(&digest).await?
            {
                continue;
            }
            let failed = self.failed();
            swept += u64::from(self.blocking(move |this| this.remove(&path, before).map_err(failed)).await?);
        }
        Ok(swept)
    }
}
