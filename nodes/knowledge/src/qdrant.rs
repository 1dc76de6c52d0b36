//! The vector store in Qdrant, over gRPC.
//!
//! # Layout
//! * `collections`: how a collection looks: vectors, and what of the payload is indexed
//! * `points`: documents and chunks as points
//! * `filters`: filters of metadata as Qdrant's
//! * `writes`, `search`: the requests of each call; what they are made of is pure and tested without a server
//! * `failure`: what Qdrant says, as errors
//!
//! # How a document is replaced
//! Qdrant changes one point at a time. So each document has a point without vectors, its *head*, which says what revision of
//! its chunks counts. A write puts the new chunks beside the old ones, changes the head, which is one point, and deletes the
//! old ones. A search drops chunks that the heads do not know, and is done again where a head changed while it ran. A
//! process that dies leaves chunks that nobody finds, and the next write of the document deletes them. All that replaces
//! something names the revision that it may replace, so that Qdrant refuses what is older.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use liteagent_engine::error::NodeError;
use qdrant_client::{Qdrant as Client, config::QdrantConfig};
use tokio::sync::OnceCell;

use self::failure::{Fails as _, failed};
use crate::{
    catalog::Revision,
    error::{Error, failed as node_error},
    store::{Counts, Found, Put, PutChunk, Query, Settings, StoredChunk, VectorStore},
};

mod collections;
mod failure;
mod filters;
mod points;
mod search;
#[cfg(test)]
mod tests;
mod writes;

/// How long a request may take. A write waits until it can be searched.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The oldest release that has everything that is asked for: writes under a condition, and inserts that replace nothing.
const OLDEST: (u64, u64) = (1, 19);

/// Where Qdrant is.
#[derive(Clone)]
pub struct QdrantOptions {
    /// Its gRPC endpoint: `http://localhost:6334`, or `https://...`.
    pub url: String,
    /// The key that it asks for.
    pub api_key: Option<String>,
}

impl std::fmt::Debug for QdrantOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QdrantOptions").field("url", &self.url).field("api_key", &self.api_key.is_some()).finish()
    }
}

impl QdrantOptions {
    /// Asks Qdrant for its release.
    ///
    /// # Errors
    /// LA2605 when it does not answer, LA2611 when it refuses the key, LA2613 when it is too old.
    pub async fn version(&self) -> Result<String, NodeError> {
        let store = Qdrant::new(self, "").map_err(node_error)?;
        let version = store.version().await.map_err(node_error)?;
        // It tells its release to everybody, and its collections to those who have the key.
        store.client.list_collections().await.map_err(|error| node_error(failed(error)))?;
        Ok(version)
    }
}

/// The vector store in Qdrant. Connects when it is first used.
pub(crate) struct Qdrant {
    client: Client,
    /// What the names of this installation's collections begin with.
    prefix: String,
    /// The release was asked for, and is new enough.
    checked: OnceCell<()>,
    /// The numbers that are indexed, by collection.
    numbers: Mutex<HashMap<String, BTreeSet<String>>>,
}

impl Qdrant {
    /// A store whose collections begin with `prefix`.
    pub(crate) fn new(options: &QdrantOptions, prefix: &str) -> Result<Self, Error> {
        // Fails when another part of the process was first, with the same provider. Else Qdrant's client takes another.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = QdrantConfig {
            timeout: TIMEOUT,
            connect_timeout: CONNECT,
            api_key: options.api_key.clone(),
            // It prints on stdout; the release is checked here.
            check_compatibility: false,
            ..QdrantConfig::from_url(&options.url)
        };
        let client = Client::new(config).map_err(failed)?;
        Ok(Self { client, prefix: prefix.to_owned(), checked: OnceCell::new(), numbers: Mutex::default() })
    }

    /// The release that answers.
    pub(crate) async fn version(&self) -> Result<String, Error> {
        let version = self.client.health_check().await.map_err(failed)?.version;
        if is_new_enough(&version) { Ok(version) } else { Err(Error::Outdated { found: version, oldest: OLDEST }) }
    }

    async fn client(&self) -> Result<&Client, Error> {
        self.checked.get_or_try_init(|| async { self.version().await.map(drop) }).await?;
        Ok(&self.client)
    }

    fn name(&self, collection: &str) -> String {
        format!("{}{collection}", self.prefix)
    }

    /// The numbers of metadata that are indexed in a collection. When a process first uses one, it makes what is missing:
    /// another may have died between making the collection and its indexes.
    async fn numbers(&self, name: &str) -> Result<BTreeSet<String>, Error> {
        if let Some(known) = self.known().get(name) {
            return Ok(known.clone());
        }
        let client = self.client().await?;
        let info = client.collection_info(name).await.in_collection()?;
        let indexed: BTreeSet<String> =
            info.result.map(|info| info.payload_schema.into_keys().collect()).unwrap_or_default();
        for request in collections::indexes(name, &indexed) {
            client.create_field_index(request).await.in_collection()?;
        }
        let numbers: BTreeSet<String> = indexed.iter().filter_map(|field| points::number_key(field)).collect();
        self.known().insert(name.to_owned(), numbers.clone());
        Ok(numbers)
    }

    /// Indexes numbers of metadata that are not indexed yet.
    async fn index_numbers(&self, name: &str, keys: BTreeSet<String>) -> Result<(), Error> {
        let known = self.numbers(name).await?;
        for key in keys.difference(&known) {
            let request = collections::number_index(name, key);
            self.client().await?.create_field_index(request).await.in_collection()?;
            if let Some(known) = self.known().get_mut(name) {
                known.insert(key.clone());
            }
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, BTreeSet<String>>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a release has everything that is asked for. What has no number was built by who runs it.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(str::parse::<u64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
        _ => true,
    }
}

#[async_trait]
impl VectorStore for Qdrant {
    async fn create(&self, collection: &str, dimensions: u32) -> Result<(), Error> {
        let name = self.name(collection);
        let client = self.client().await?;
        if !client.collection_exists(&name).await.map_err(failed)?
            && let Err(error) = client.create_collection(collections::new(&name, dimensions)).await
            && !failure::is_there_already(&error)
        {
            return Err(failed(error));
        }
        self.numbers(&name).await.map(drop)
    }

    async fn drop_collection(&self, collection: &str) -> Result<(), Error> {
        let name = self.name(collection);
        self.known().remove(&name);
        match self.client().await?.delete_collection(&name).await.in_collection() {
            Ok(_) | Err(Error::NoCollection) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, collection: &str, put: Arc<Put>) -> Result<(), Error> {
        self.put_document(&self.name(collection), &put).await
    }

    async fn describe(&self, collection: &str, document: &str, settings: &Settings) -> Result<(), Error> {
        self.describe_document(&self.name(collection), document, settings).await
    }

    async fn delete(&self, collection: &str, documents: &[(String, Revision)]) -> Result<(), Error> {
        self.delete_documents(&self.name(collection), documents).await
    }

    async fn chunks(
        &self,
        collection: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, Error> {
        self.read_chunks(&self.name(collection), document, after, limit).await
    }

    async fn edit(
        &self,
        collection: &str,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<Option<Counts>, Error> {
        self.edit_chunk(&self.name(collection), document, position, chunk).await
    }

    async fn count(&self, collection: &str) -> Result<u64, Error> {
        let request = search::count(&self.name(collection));
        let reply = self.client().await?.count(request).await.in_collection()?;
        Ok(reply.result.map_or(0, |result| result.count))
    }

    async fn search(&self, collection: &str, query: &Query) -> Result<Vec<Found>, Error> {
        self.search_collection(&self.name(collection), query).await
    }
}
