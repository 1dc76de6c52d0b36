//! A run as one JSON object: what `liteagent runs export` prints, and what the fixtures of old journals are.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    event::{Payload, Record},
    executor,
    id::RunId,
    store::{RunRow, StoreError, Stores},
};

/// The version of this form.
const FORMAT: u32 = 1;

/// A run with everything that it takes to read it elsewhere. Secrets are in none of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// The version of this form.
    pub format: u32,
    /// The run as lists show it.
    pub run: RunRow,
    /// Its bundle; its text without spaces has the digest that the run names. `null` when the store does not have it.
    pub bundle: Json,
    /// Its journal, as it was written.
    pub records: Vec<Json>,
    /// The large values that the records name, by digest.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub blobs: IndexMap<String, Json>,
}

impl Export {
    /// Reads a run; `None` when there is none.
    ///
    /// # Errors
    /// When the store fails, or what it holds cannot be read.
    pub async fn of(stores: &Stores, run: RunId) -> Result<Option<Self>, StoreError> {
        let Some(row) = stores.journal.run(run).await? else { return Ok(None) };
        let bundle = match stores.journal.bundle(&row.digest).await? {
            Some(text) => parsed(text.as_bytes(), "the bundle")?,
            None => Json::Null,
        };
        let mut records = Vec::new();
        let mut blobs = IndexMap::new();
        for stored in executor::read_all(stores, run, 0).await? {
            records.push(parsed(stored.body.as_bytes(), "a record")?);
            // A record of a kind that this release does not know is exported as it is.
            let Ok(mut record) = serde_json::from_str::<Record>(&stored.body) else { continue };
            for payload in executor::payloads(&mut record.event) {
                let Payload::Blob(digest) = payload else { continue };
                if let Some(bytes) = stores.blobs.get(digest).await? {
                    blobs.insert(digest.to_string(), parsed(&bytes, "a blob")?);
                }
            }
        }
        Ok(Some(Self { format: FORMAT, run: row, bundle, records, blobs }))
    }
}

fn parsed(text: &[u8], what: &str) -> Result<Json, StoreError> {
    serde_json::from_slice(text).map_err(|error| StoreError::Damaged(format!("{what} is not JSON: {error}")))
}
