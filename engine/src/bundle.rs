//! Bundles: a workflow in resolved form, with every workflow that it names, pinned by a digest.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    definition::{Definition, FORMAT},
    id::Digest,
};

/// What a run is pinned to. Anchors are merged, included files stand in their place, defaults are filled in, so
/// nothing outside is needed to run it. It is not changed once it is made: its stored form is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The version of this form.
    pub format: u32,
    /// The name of the workflow that a run executes.
    pub entry: String,
    /// That workflow and every one that it names, by name, sorted.
    pub workflows: IndexMap<String, Definition>,
    #[serde(skip)]
    stored: OnceLock<(Digest, Arc<str>)>,
}

/// Why a stored bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A newer release wrote it.
    #[error("the bundle has format {0}, this program knows {FORMAT}")]
    Newer(u32),
    /// It is damaged.
    #[error("the bundle cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl Bundle {
    /// A bundle of workflows by name.
    pub fn new(entry: impl Into<String>, mut workflows: IndexMap<String, Definition>) -> Self {
        workflows.sort_keys();
        Self { format: FORMAT, entry: entry.into(), workflows, stored: OnceLock::new() }
    }

    /// The workflow that a run executes.
    pub fn entry(&self) -> Option<&Definition> {
        self.workflows.get(&self.entry)
    }

    /// The stored form: the same bundle always gives the same text.
    ///
    /// # Panics
    /// Never: every definition has a JSON form.
    pub fn text(&self) -> &Arc<str> {
        &self.stored().1
    }

    /// The digest of the stored form.
    pub fn digest(&self) -> &Digest {
        &self.stored().0
    }

    /// Made once: a workflow of 10,000 nodes takes milliseconds.
    fn stored(&self) -> &(Digest, Arc<str>) {
        self.stored.get_or_init(|| {
            let text = serde_json::to_string(self).expect("a definition has only string keys and finite numbers");
            (Digest::of(text.as_bytes()), text.into())
        })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When a newer release wrote it, or it is damaged.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }

        let Head { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(BundleError::Newer(format));
        }
        Ok(serde_json::from_str(text)?)
    }
}
