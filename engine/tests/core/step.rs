//! A node type whose outcome the test decides, and plans made of it.

use std::sync::Arc;

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    definition::{Definition, NodeMap},
    node::Registry,
    node::prelude::*,
    plan::Plan,
};

/// Does nothing: the test says how it ends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepConfig {
    /// Its ports.
    #[serde(default)]
    ports: Vec<String>,
    /// What it reads.
    #[serde(default)]
    #[expect(dead_code, reason = "only its references matter")]
    reads: TemplateTree,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Nothing {}

pub(super) struct Step {
    ports: Vec<String>,
}

impl Node for Step {
    const TYPE: &'static str = "step";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, &[]);
    type Config = StepConfig;
    type Output = Nothing;

    fn new(config: StepConfig) -> Result<Self, ConfigError> {
        Ok(Self { ports: config.ports })
    }

    fn ports(&self) -> Vec<String> {
        self.ports.clone()
    }

    async fn run(&self, _: &NodeCtx) -> Result<Outcome<Nothing>, NodeError> {
        Err(NodeError::internal("the core never runs nodes"))
    }
}

/// A step that uses a model.
pub(super) struct Model(Step);

impl Node for Model {
    const TYPE: &'static str = "model";
    const META: NodeMeta = NodeMeta { requires: &[Capability::Models], ..Step::META };
    type Config = StepConfig;
    type Output = Nothing;

    fn new(config: StepConfig) -> Result<Self, ConfigError> {
        Step::new(config).map(Self)
    }

    fn ports(&self) -> Vec<String> {
        Node::ports(&self.0)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Nothing>, NodeError> {
        self.0.run(ctx).await
    }
}

/// A container; the test says what it passes over.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PassConfig {
    /// Its body.
    nodes: NodeMap,
    /// What it reads.
    #[serde(default)]
    #[expect(dead_code, reason = "only its references matter")]
    reads: TemplateTree,
}

macro_rules! container {
    ($name:ident, $type:literal, $kind:expr) => {
        struct $name;

        impl Node for $name {
            const TYPE: &'static str = $type;
            const META: NodeMeta = NodeMeta { container: Some($kind), ..NodeMeta::pure(Family::Flow, &[]) };
            type Config = PassConfig;
            type Output = Nothing;

            fn new(config: PassConfig) -> Result<Self, ConfigError> {
                drop(config.nodes);
                Ok(Self)
            }

            async fn run(&self, _: &NodeCtx) -> Result<Outcome<Nothing>, NodeError> {
                Err(NodeError::internal("the core never runs nodes"))
            }
        }
    };
}
container!(Each, "each", Container::Items);
container!(Rounds, "rounds", Container::Rounds);
container!(Once, "once", Container::Once);

/// Calls of two tools: `a`, whose nodes are the body, and `b`, which is one step.
struct Calls {
    nodes: NodeMap,
}

impl Node for Calls {
    const TYPE: &'static str = "calls";
    const META: NodeMeta = NodeMeta { container: Some(Container::Calls), ..NodeMeta::pure(Family::Flow, &[]) };
    type Config = PassConfig;
    type Output = Nothing;

    fn new(config: PassConfig) -> Result<Self, ConfigError> {
        Ok(Self { nodes: config.nodes })
    }

    fn branches(&self) -> IndexMap<String, NodeMap> {
        let step = serde_json::from_value(serde_json::json!({ "call": { "type": "step" } }));
        IndexMap::from([("a".to_owned(), self.nodes.clone()), ("b".to_owned(), step.expect("it has a type"))])
    }

    async fn run(&self, _: &NodeCtx) -> Result<Outcome<Nothing>, NodeError> {
        Err(NodeError::internal("the core never runs nodes"))
    }
}

/// Compiles a definition made of steps.
pub(super) fn plan(definition: serde_json::Value) -> Plan {
    let definition: Definition = serde_json::from_value(definition).expect("the definition is well-formed");
    let registry = Registry::default()
        .with::<Step>()
        .with::<Model>()
        .with::<Each>()
        .with::<Rounds>()
        .with::<Once>()
        .with::<Calls>();
    let bundle = Bundle::new("test", IndexMap::from([("test".to_owned(), definition)]));
    Plan::compile(&Arc::new(bundle), &registry).expect("the plan compiles")
}
