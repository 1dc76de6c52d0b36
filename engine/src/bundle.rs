//! Bundles: a workflow in resolved form, with every workflow that it names, pinned by a digest.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    composite::CompositeDef,
    definition::{Definition, FORMAT},
    id::Digest,
    node::Registry,
    plan::CompileError,
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
    /// The composites of which nodes of these workflows are, by name, sorted.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub composites: IndexMap<String, CompositeDef>,
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
        let composites = IndexMap::new();
        Self { format: FORMAT, entry: entry.into(), workflows, composites, stored: OnceLock::new() }
    }

    /// The bundle with these composites, which its workflows use.
    pub fn with_composites(self, mut composites: IndexMap<String, CompositeDef>) -> Self {
        composites.sort_keys();
        Self { composites, stored: OnceLock::new(), ..self }
    }

    /// The node types of its nodes: those of this program, and its own composites, which it is pinned to.
    ///
    /// # Errors
    /// When a composite is made of a node type that this program does not have.
    pub fn node_types<'r>(&self, registry: &'r Registry) -> Result<Cow<'r, Registry>, CompileError> {
        if self.composites.is_empty() {
            return Ok(Cow::Borrowed(registry));
        }
        let (types, refused) = registry.with_composites(self.composites.values().cloned().collect());
        if let Some((name, findings)) = refused.into_iter().next() {
            let why = findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("; ");
            return Err(CompileError::Composite { name, why });
        }
        if let Some(def) = self.composites.values().find(|def| !def.is_made_of(&types)) {
            let why = "it is made of node types that this program does not have".to_owned();
            return Err(CompileError::Composite { name: def.composite.clone(), why });
        }
        Ok(Cow::Owned(types))
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
