//! Blobs, files, keys and cached outputs in memory.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::MemoryStore;
use crate::{
    id::{Digest, RunId},
    store::{Blobs, Expect, FileValue, Files, Kv, KvEntry, OutputCache, StoreError, file_id},
    units::Millis,
    value::Value,
};

#[async_trait]
impl Blobs for MemoryStore {
    async fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let digest = Digest::of(&bytes);
        self.values().blobs.insert(digest.clone(), (bytes, self.clock.now()));
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Option<Bytes>, StoreError> {
        Ok(self.values().blobs.get(digest).map(|(bytes, _)| bytes.clone()))
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.values().blobs.remove(digest).is_some())
    }

    async fn sweep(
        &self,
        before: Millis,
        keep: &(dyn for<'a> Fn(&'a Digest) -> BoxFuture<'a, Result<bool, StoreError>> + Sync),
    ) -> Result<u64, StoreError> {
        let is_old = |entry: &(&Digest, &(Bytes, Millis))| entry.1.1 < before;
        let old: Vec<Digest> = self.values().blobs.iter().filter(is_old).map(|(digest, _)| digest.clone()).collect();
        let mut swept = 0;
        for digest in old {
            if !keep(&digest).await? {
                self.values().blobs.remove(&digest);
                swept += 1;
            }
        }
        Ok(swept)
    }
}

#[async_trait]
impl Files for MemoryStore {
    async fn create(&self, run: RunId, name: &str, mime: &str, content: Bytes) -> Result<FileValue, StoreError> {
        let file = FileValue {
            id: file_id(),
            name: name.to_owned(),
            mime: mime.to_owned(),
            size: content.len() as u64,
            sha256: Digest::of(&content).to_string(),
        };
        let digest = self.put(content).await?;
        self.runs().name_blobs(run, [digest]);
        self.values().files.insert((run, file.id.clone()), file.clone());
        Ok(file)
    }

    async fn share(&self, from: RunId, to: RunId, ids: Vec<String>) -> Result<(), StoreError> {
        for id in ids {
            let Some(file) = self.values().files.get(&(from, id.clone())).cloned() else { continue };
            self.runs().name_blobs(to, [file.sha256.parse().map_err(StoreError::Damaged)?]);
            self.values().files.insert((to, id), file);
        }
        Ok(())
    }

    async fn open(&self, run: RunId, id: &str) -> Result<Option<(FileValue, Bytes)>, StoreError> {
        let values = self.values();
        let Some(file) = values.files.get(&(run, id.to_owned())) else { return Ok(None) };
        let digest = file.sha256.parse().map_err(StoreError::Damaged)?;
        Ok(values.blobs.get(&digest).map(|(bytes, _)| (file.clone(), bytes.clone())))
    }

    async fn find(&self, run: RunId, id: &str) -> Result<Option<FileValue>, StoreError> {
        Ok(self.values().files.get(&(run, id.to_owned())).cloned())
    }

    async fn give(&self, run: RunId, file: &FileValue) -> Result<(), StoreError> {
        self.runs().name_blobs(run, [file.sha256.parse().map_err(StoreError::Damaged)?]);
        self.values().files.insert((run, file.id.clone()), file.clone());
        Ok(())
    }

    async fn take_back(&self, run: RunId) -> Result<(), StoreError> {
        if self.runs().drop_blobs_of_none(run) {
            self.values().files.retain(|(of, _), _| *of != run);
        }
        Ok(())
    }
}

#[async_trait]
impl Kv for MemoryStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<KvEntry>, StoreError> {
        Ok(self.values().kv.get(&(namespace.to_owned(), key.to_owned())).cloned())
    }

    async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: Value,
        expect: Expect,
    ) -> Result<Result<KvEntry, Option<KvEntry>>, StoreError> {
        let mut values = self.values();
        let place = (namespace.to_owned(), key.to_owned());
        let found = values.kv.get(&place);
        if !expect.fits(found) {
            return Ok(Err(found.cloned()));
        }
        let entry = KvEntry { value, version: found.map_or(0, |entry| entry.version) + 1 };
        values.kv.insert(place, entry.clone());
        Ok(Ok(entry))
    }

    async fn delete(&self, namespace: &str, key: &str) -> Result<bool, StoreError> {
        Ok(self.values().kv.remove(&(namespace.to_owned(), key.to_owned())).is_some())
    }
}

#[async_trait]
impl OutputCache for MemoryStore {
    async fn lookup(&self, key: &Digest, at: Millis) -> Result<Option<Value>, StoreError> {
        let values = self.values();
        Ok(values.cache.get(key).filter(|(_, until, _)| at < *until).map(|(output, ..)| output.clone()))
    }

    async fn fill(&self, key: &Digest, output: &Value, until: Millis, run: RunId) -> Result<(), StoreError> {
        self.values().cache.insert(key.clone(), (output.clone(), until, run));
        Ok(())
    }
}
