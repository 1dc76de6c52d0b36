//! What the benchmarks share: an engine, a way to run a workflow, and a node with an effect that costs nothing.

use std::{path::Path, sync::Arc};

use indexmap::IndexMap;
use liteagent_backends::{PostgresOptions, Reserve, SqliteOptions};
use liteagent_engine::{
    bundle::Bundle,
    capability::Capabilities,
    definition::Definition,
    engine::{Engine, EngineConfig, Settled, Start},
    event::RunStatus,
    node::{Registry, prelude::*},
    store::Stores,
    time::SystemClock,
    value,
};
use serde_json::{Map, Value as Json, json};
use url::Url;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Changes nothing, but says that it does: what is left is the cost of being durable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectConfig {}

/// Nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EffectOutput {
    /// A text as long as a usual answer.
    pub answer: String,
}

/// A node with an effect.
#[derive(Debug)]
pub struct EffectNode;

impl Node for EffectNode {
    const TYPE: &'static str = "bench-effect";
    const META: NodeMeta = NodeMeta { effect: Effect::AtLeastOnce, ..NodeMeta::pure(Family::Io, &[]) };
    type Config = EffectConfig;
    type Output = EffectOutput;

    fn new(_: EffectConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn run(&self, _: &NodeCtx) -> Result<Outcome<EffectOutput>, NodeError> {
        Ok(Outcome::Done(EffectOutput { answer: "x".repeat(150) }))
    }
}

/// Every node type, and the one with an effect.
pub fn registry() -> Registry {
    liteagent_nodes::registry().with::<EffectNode>()
}

/// An engine on these stores.
///
/// # Panics
/// When the store fails.
pub async fn engine(stores: Stores) -> Engine {
    engine_with(stores, Capabilities::default()).await
}

/// An engine on these stores, whose nodes have these capabilities.
///
/// # Panics
/// When the store fails.
pub async fn engine_with(stores: Stores, caps: Capabilities) -> Engine {
    let config = EngineConfig {
        registry: registry(),
        stores,
        caps: Arc::new(caps),
        clock: Arc::new(SystemClock),
        observer: None,
        hold: Duration::from_secs(10),
        quarantine: None,
        fleet: None,
    };
    Engine::open(config).await.expect("the store answers")
}

/// An engine on SQLite in a folder.
///
/// # Panics
/// When the store fails.
pub async fn engine_on_disk(folder: &Path) -> Engine {
    engine_on_disk_with(folder, Capabilities::default()).await
}

/// An engine on SQLite in a folder, whose nodes have these capabilities.
///
/// # Panics
/// When the store fails.
pub async fn engine_on_disk_with(folder: &Path, caps: Capabilities) -> Engine {
    let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
    let backends = liteagent_backends::open(folder, options);
    engine_with(backends.await.expect("the store opens").stores, caps).await
}

/// An engine on PostgreSQL, with large values in a folder.
///
/// # Panics
/// When the store fails.
pub async fn engine_on_postgres(url: &Url, folder: &Path) -> Engine {
    let backends = liteagent_backends::open_postgres(url, folder, PostgresOptions::default(), None);
    engine_with(backends.await.expect("the store opens").stores, Capabilities::default()).await
}

/// A workflow named `bench`.
///
/// # Panics
/// When it is not well-formed.
pub fn bundle(definition: Json) -> Arc<Bundle> {
    let definition: Definition = serde_json::from_value(definition).expect("the workflow is well-formed");
    Arc::new(Bundle::new("bench", IndexMap::from([("bench".to_owned(), definition)])))
}

/// Runs a workflow to its end.
///
/// # Panics
/// When it does not succeed.
pub async fn run(engine: &Engine, bundle: &Arc<Bundle>) {
    let start = Start::new(bundle.clone(), value!({ "name": "you" }), value!({ "type": "bench" }));
    let run = engine.start(start).await.expect("the run starts");
    let end = engine.settled(run).await.expect("the run settles");
    assert!(matches!(&end, Settled::Ended(end) if end.status == RunStatus::Succeeded), "{end:?}");
}

/// A workflow of these nodes, with the input `name`.
pub fn workflow(nodes: Map<String, Json>) -> Json {
    json!({ "inputs": { "name": "string" }, "nodes": nodes })
}

/// A chain of effects.
pub fn effects(length: usize) -> Json {
    let mut nodes = Map::new();
    nodes.insert("n0".to_owned(), json!({ "type": "bench-effect" }));
    for i in 1..length {
        nodes.insert(format!("n{i}"), json!({ "type": "bench-effect", "needs": [format!("n{}", i - 1)] }));
    }
    workflow(nodes)
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
