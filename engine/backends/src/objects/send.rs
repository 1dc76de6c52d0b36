//! Content on its way to an object store: as one object when it is small, else in parts.

use std::{
    fs::File,
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path as FilePath,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures::{TryStreamExt as _, stream::FuturesUnordered};
use liteagent_engine::{
    id::Digest,
    store::{Pieces, StoreError},
};
use object_store::{MultipartUpload, ObjectStoreExt as _, path::Path};
use sha2::{Digest as _, Sha256};

use super::link::Link;
use crate::database::io_error;

/// What is larger is sent in parts of this size. Stores want 5 MiB at least.
const PART: u64 = 8 << 20;
/// So many parts a store takes of an object.
const MOST_PARTS: u64 = 10_000;
/// So many parts go at once.
const AT_ONCE: usize = 3;

/// Content that can be read more than once.
pub(super) enum Content {
    Memory(Bytes),
    /// A file without a name, and its size.
    File(Arc<File>, u64),
}

impl Content {
    /// Takes what comes piece by piece: into a file in the folder as soon as it is more than a part.
    pub(super) async fn take(mut pieces: Pieces<'_>, spool: &FilePath) -> Result<(Digest, Self), StoreError> {
        let failed = |error: io::Error| io_error(&error, &spool.display().to_string());
        let (mut hash, mut held) = (Sha256::new(), BytesMut::new());
        let (mut file, mut size): (Option<Arc<File>>, u64) = (None, 0);
        while let Some(piece) = pieces.try_next().await? {
            size += piece.len() as u64;
            held.extend_from_slice(&piece);
            drop(piece);
            if held.len() as u64 <= PART {
                continue;
            }
            let (folder, opened, full) = (spool.to_owned(), file.take(), held.split().freeze());
            let written = blocking(move || {
                let file = match opened {
                    Some(file) => file,
                    None => Arc::new(tempfile::tempfile_in(folder)?),
                };
                hash.update(&full);
                (&*file).write_all(&full)?;
                Ok((file, hash))
            });
            let (written, hashed) = written.await.map_err(failed)?;
            (file, hash) = (Some(written), hashed);
        }
        let Some(file) = file else {
            let bytes = held.freeze();
            return Ok((Digest::of(&bytes), Self::Memory(bytes)));
        };
        let rest = held.freeze();
        let written = blocking(move || {
            hash.update(&rest);
            (&*file).write_all(&rest)?;
            Ok((file, hash))
        });
        let (file, hash) = written.await.map_err(failed)?;
        Ok((Digest::from_hash(&hash.finalize()), Self::File(file, size)))
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    async fn part(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            Self::File(file, _) => {
                let file = file.clone();
                let read = blocking(move || {
                    let mut part = vec![0; (range.end - range.start) as usize];
                    file.read_exact_at(&mut part, range.start).map(|()| part.into())
                });
                read.await.map_err(|error| io_error(&error, "a file that waits to be sent"))
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl Link {
    /// Sends content to a key. It is there whole or not at all.
    pub(super) async fn send(&self, key: &Path, content: Content) -> Result<(), StoreError> {
        let size = content.size();
        if size <= PART {
            let whole = content.part(0..size).await?;
            return self.store.put(key, whole.into()).await.map(drop).map_err(|error| self.failed(&error));
        }
        let mut upload = self.store.put_multipart(key).await.map_err(|error| self.failed(&error))?;
        let sent = self.send_parts(&mut *upload, &content).await;
        if sent.is_err()
            && let Err(error) = upload.abort().await
        {
            // What it holds of it is paid for until a rule of the bucket deletes it.
            tracing::warn!(place = self.place, %error, "an upload that failed could not be given up");
        }
        sent
    }

    async fn send_parts(&self, upload: &mut dyn MultipartUpload, content: &Content) -> Result<(), StoreError> {
        let size = content.size();
        let part = PART.max(size.div_ceil(MOST_PARTS));
        let mut under_way = FuturesUnordered::new();
        for start in (0..size).step_by(part as usize) {
            let next = content.part(start..(start + part).min(size)).await?;
            under_way.push(upload.put_part(next.into()));
            if under_way.len() == AT_ONCE {
                under_way.try_next().await.map_err(|error| self.failed(&error))?;
            }
        }
        while under_way.try_next().await.map_err(|error| self.failed(&error))?.is_some() {}
        upload.complete().await.map(drop).map_err(|error| self.failed(&error))
    }
}
