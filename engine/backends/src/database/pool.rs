//! One connection that writes and a few that read.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use liteagent_engine::store::StoreError;

use super::{Database, Error, Writer, check_version, make_folder};

/// Connections that are kept for reading.
const READERS: usize = 4;

/// A database file with its writing thread and its readers. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    writer: Writer<Database>,
    readers: Readers,
}

impl Pool {
    /// Opens a file and brings its schema up to date; the file and its folder are made when they are not there. Must be called
    /// in a Tokio runtime.
    ///
    /// # Errors
    /// Those of [`Database::open`].
    pub async fn open(file: &Path, migrations: &'static [&'static str]) -> Result<Self, StoreError> {
        let readers = Readers::new(file.to_owned(), false);
        let file = file.to_owned();
        let writer = blocking(move || {
            file.parent().map_or(Ok(()), make_folder)?;
            Writer::start(Database::open(&file, migrations)?)
        });
        Ok(Self(Arc::new(Shared { writer: writer.await?, readers })))
    }

    /// Opens a file that this user, or this disk, only lets be read. Every write is refused.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or a newer release wrote it.
    pub async fn open_read_only(file: &Path, migrations: &'static [&'static str]) -> Result<Self, StoreError> {
        // Without a log that others write, the file alone is the whole truth; and a log cannot be begun here.
        let is_whole = !file.with_extension("db-wal").exists();
        let why = format!("{} can only be read", file.parent().unwrap_or(file).display()).into();
        let readers = Readers::new(file.to_owned(), is_whole);
        let pool = Self(Arc::new(Shared { writer: Writer::Nobody(why), readers }));
        let version = pool.read(Database::version).await?;
        check_version(version, migrations)?;
        Ok(pool)
    }

    /// Reads on a thread where waiting is allowed.
    ///
    /// # Errors
    /// Those of the work, and of opening the file.
    pub async fn read<T, E>(&self, work: impl FnOnce(&Database) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + From<StoreError> + Send + 'static,
    {
        let pool = self.clone();
        blocking(move || pool.0.readers.with(work)).await
    }

    /// Does work in a transaction on the one thread that writes, as [`Writer::write`].
    ///
    /// # Errors
    /// Those of the work; [`StoreError::ReadOnly`] where nobody writes.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.writer.write(work).await
    }
}

/// Runs what may take a while where it holds up nobody.
async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::Failed(error.to_string()).into()),
    }
}

/// Connections that read; each is used by one thread at a time.
struct Readers {
    file: PathBuf,
    immutable: bool,
    idle: Mutex<Vec<Database>>,
}

impl Readers {
    fn new(file: PathBuf, immutable: bool) -> Self {
        Self { file, immutable, idle: Mutex::default() }
    }

    fn with<T, E: From<Error>>(&self, work: impl FnOnce(&Database) -> Result<T, E>) -> Result<T, E> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Database::open_read_only(&self.file, self.immutable).map_err(Error::from)?,
        };
        let done = work(&reader);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS {
            idle.push(reader);
        }
        done
    }
}
