//! The table of node types.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use indexmap::IndexMap;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value as Json;

use super::{Capability, ConfigError, ErasedNode, Known, Node, NodeMeta, schema_of};
use crate::{codes, composite::Composite, queue::Group};

/// Builds a node from its fields.
pub type Build = dyn Fn(Json) -> Result<Arc<dyn ErasedNode>, ConfigError> + Send + Sync;

/// Makes the schema of a configuration within a larger schema, which holds what it refers to.
pub type ConfigIn = dyn Fn(&mut SchemaGenerator) -> Schema + Send + Sync;

/// A node type as the rest of the program sees it: no generics.
#[derive(Clone)]
pub struct NodeSpec {
    /// Name in YAML.
    pub type_name: &'static str,
    /// What the engine, the documentation and the checks need to know.
    pub meta: NodeMeta,
    /// Where its nodes wait for a worker, unless they say so themselves.
    pub queue: Option<Group>,
    /// The fields of its type; the title and the description are its documentation.
    pub config_schema: Schema,
    /// What `<id>` holds, unless the configured node says otherwise.
    pub output_schema: Schema,
    /// The fields of its type within a larger schema, which holds what they refer to.
    pub config_in: Arc<ConfigIn>,
    /// Builds a node from its fields.
    pub build: Arc<Build>,
    /// What it is made of, when it is a composite.
    pub composite: Option<Arc<Composite>>,
}

impl fmt::Debug for NodeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSpec").field("type_name", &self.type_name).finish_non_exhaustive()
    }
}

impl NodeSpec {
    /// The table entry of a node type.
    pub fn of<N: Node>() -> Self {
        Self {
            type_name: N::TYPE,
            meta: N::META,
            queue: N::QUEUE,
            config_schema: schema_of::<N::Config>(),
            output_schema: schema_of::<N::Output>(),
            config_in: Arc::new(|generator| {
                let mut schema = generator.root_schema_for::<N::Config>();
                schema.remove("definitions");
                schema
            }),
            build: Arc::new(|config| {
                let config = serde_path_to_error::deserialize::<_, N::Config>(config).map_err(|error| {
                    let field = pointer(error.path());
                    ConfigError::new(codes::INVALID_CONFIG, field, error.into_inner().to_string())
                })?;
                Ok(Arc::new(N::new(config)?))
            }),
            composite: None,
        }
    }
}

impl NodeSpec {
    /// Whether its body stands in its field `nodes`.
    pub fn has_nodes(&self) -> bool {
        self.meta.container.is_some_and(super::Container::has_nodes)
    }

    /// Whether a node of this type asks a model, itself or by the nodes that it is made of.
    pub fn asks_models(&self) -> bool {
        self.meta.requires.contains(&Capability::Models)
            || self.composite.as_ref().is_some_and(|composite| composite.may_use_models)
    }

    /// Whether a node can run in another process than its run: it does not end at once, nor wait, and neither passes over
    /// other nodes nor starts a run.
    pub(crate) fn may_leave(&self, node: &dyn ErasedNode, fields: &serde_json::Map<String, Json>) -> bool {
        let is_leaf = self.meta.container.is_none() && self.composite.is_none();
        let starts_run = node.starts().is_some() || fields.contains_key("workflow");
        is_leaf && !self.meta.inline && !starts_run && !node.waits() && node.answer().is_none()
    }

    /// Whether a node of this type, something inside it, or a run that it starts may use a model.
    pub(crate) fn may_use_models(&self) -> bool {
        let fields = self.config_schema.get("properties").and_then(Json::as_object);
        let starts_run =
            |(name, rules): (&String, &Json)| name == "workflow" || rules.get("x-liteagent-tools").is_some();
        self.asks_models() || fields.is_some_and(|fields| fields.iter().any(starts_run))
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
    specs: IndexMap<&'static str, Arc<NodeSpec>>,
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
        self.specs.insert(N::TYPE, Arc::new(NodeSpec::of::<N>()));
        self
    }

    /// Adds a composite. One of the same name gives way: a bundle brings the composites that its runs are pinned to.
    pub(crate) fn insert(&mut self, spec: NodeSpec) {
        self.specs.insert(spec.type_name, Arc::new(spec));
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
        let known = self.specs.get(name);
        known.or_else(|| self.specs.values().find(|spec| spec.meta.aliases.contains(&name))).map(|spec| &**spec)
    }

    /// Every node type.
    pub fn iter(&self) -> impl Iterator<Item = &NodeSpec> {
        self.specs.values().map(|spec| &**spec)
    }
}

/// The name of a node type that is not known when the program is compiled. Each name is kept once, for ever.
pub(crate) fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}
