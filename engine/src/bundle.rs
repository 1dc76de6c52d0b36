//! Bundles: a workflow in resolved form, with every workflow that it names, pinned by a digest.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    definition::{Definition, FORMAT},
    id::Digest,
};

/// What a run is pinned to. Anchors are merged, included files stand in their place, defaults are filled in, so
/// nothing outside is needed to run it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The version of this form.
    pub format: u32,
    /// The name of the workflow that a run executes.
    pub entry: String,
    /// That workflow and every one that it names, by name, sorted.
    pub workflows: IndexMap<String, Definition>,
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
        Self { format: FORMAT, entry: entry.into(), workflows }
    }

    /// The workflow that a run executes.
    pub fn entry(&self) -> Option<&Definition> {
        self.workflows.get(&self.entry)
    }

    /// The same workflows, with another one to execute: for children.
    pub fn with_entry(&self, entry: &str) -> Self {
        Self { entry: entry.to_owned(), ..self.clone() }
    }

    /// The stored form: the same bundle always gives the same text.
    ///
    /// # Panics
    /// Never: every definition has a JSON form.
    pub fn to_text(&self) -> Arc<str> {
        serde_json::to_string(self).expect("a definition has only string keys and finite numbers").into()
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

/// The digest of a stored bundle.
pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
