//! The table of node types.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value as Json;

use super::{ConfigError, ErasedNode, Known, Node, NodeMeta, schema_of};
use crate::codes;

/// A node type as the rest of the program sees it: no generics.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Name in YAML.
    pub type_name: &'static str,
    /// What the engine, the documentation and the checks need to know.
    pub meta: NodeMeta,
    /// The fields of its type; the title and the description are its documentation.
    pub config_schema: Schema,
    /// What `<id>` holds, unless the configured node says otherwise.
    pub output_schema: Schema,
    /// The fields of its type within a larger schema, which holds what they refer to.
    pub config_in: fn(&mut SchemaGenerator) -> Schema,
    /// Builds a node from its fields.
    pub build: fn(Json) -> Result<Arc<dyn ErasedNode>, ConfigError>,
}

impl NodeSpec {
    /// The table entry of a node type.
    pub fn of<N: Node>() -> Self {
        Self {
            type_name: N::TYPE,
            meta: N::META,
            config_schema: schema_of::<N::Config>(),
            output_schema: schema_of::<N::Output>(),
            config_in: |generator| {
                let mut schema = generator.root_schema_for::<N::Config>();
                schema.remove("definitions");
                schema
            },
            build: |config| {
                let config = serde_path_to_error::deserialize::<_, N::Config>(config).map_err(|error| {
                    let field = pointer(error.path());
                    ConfigError::new(codes::INVALID_CONFIG, field, error.into_inner().to_string())
                })?;
                Ok(Arc::new(N::new(config)?))
            },
        }
    }
}

/// A path as a JSON pointer.
pub(crate) fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Every node type that a process knows, in the order of registration, and what checks know of the installation.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    specs: IndexMap<&'static str, NodeSpec>,
    known: Known,
}

impl Registry {
    /// Adds a node type.
    ///
    /// # Panics
    /// When two node types share a name: a fault in the list, found by any test.
    pub fn with<N: Node>(mut self) -> Self {
        let names = std::iter::once(N::TYPE).chain(N::META.aliases.iter().copied());
        for name in names {
            assert!(self.get(name).is_none(), "two node types are called `{name}`");
        }
        self.specs.insert(N::TYPE, NodeSpec::of::<N>());
        self
    }

    /// Says what checks know of the installation.
    pub fn knowing(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// What checks know of the installation.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The node type with this name or alias.
    pub fn get(&self, name: &str) -> Option<&NodeSpec> {
        self.specs.get(name).or_else(|| self.specs.values().find(|spec| spec.meta.aliases.contains(&name)))
    }

    /// Every node type.
    pub fn iter(&self) -> impl Iterator<Item = &NodeSpec> {
        self.specs.values()
    }
}
