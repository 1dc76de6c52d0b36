//! What the engine itself costs: light nodes in memory, as a chain, a fan and a mesh.
//!
//! `cargo bench -p liteagent-tests --bench engine`. Prints the median of several runs, per node.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{sync::Arc, time::Instant};

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    capability::Capabilities,
    definition::Definition,
    engine::{Engine, EngineConfig, Settled, Start},
    event::RunStatus,
    store::Stores,
    time::SystemClock,
    units::Duration,
    value,
};
use serde_json::{Map, Value as Json, json};

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:<28}{:>10}{:>14}{:>14}", "light nodes in memory", "nodes", "ns per node", "median of");
        for size in SIZES {
            report("chain", chain(size)).await;
        }
        for size in SIZES {
            report("1 to N to 1", fan(size)).await;
        }
        for size in SIZES {
            report("mesh, layers of 10", mesh(size)).await;
        }
        report("10,000 items, outer list", items(10_000)).await;
    });
}

async fn report(name: &str, definition: (Json, usize)) {
    let (definition, nodes) = definition;
    let definition: Definition = serde_json::from_value(definition).unwrap();
    let bundle = Arc::new(Bundle::new("bench", IndexMap::from([("bench".to_owned(), definition)])));
    let rounds = (200_000 / nodes).clamp(7, 400);
    let mut times = Vec::new();
    // One engine for all: the plan is compiled once, as in a server.
    let (stores, _) = Stores::memory();
    let config = EngineConfig {
        registry: liteagent_nodes::registry(),
        stores,
        caps: Arc::new(Capabilities::default()),
        clock: Arc::new(SystemClock),
        observer: None,
        hold: Duration::from_secs(10),
    };
    let engine = Engine::open(config).await.unwrap();
    for _ in 0..rounds {
        let start = Start::new(bundle.clone(), value!({ "name": "you" }), value!({ "type": "bench" }));
        let began = Instant::now();
        let run = engine.start(start).await.unwrap();
        let end = engine.settled(run).await.unwrap();
        times.push(began.elapsed().as_nanos() as usize / nodes);
        assert!(matches!(end, Settled::Ended(end) if end.status == RunStatus::Succeeded));
    }
    engine.close().await.unwrap();
    times.sort_unstable();
    println!("{name:<28}{nodes:>10}{:>14}{rounds:>14}", times[times.len() / 2]);
}

fn workflow(nodes: Map<String, Json>) -> Json {
    json!({ "inputs": { "name": "string" }, "nodes": nodes })
}

fn light(template: String) -> Json {
    json!({ "type": "template-transform", "template": template })
}

fn chain(size: usize) -> (Json, usize) {
    let mut nodes = Map::new();
    nodes.insert("n0".to_owned(), light("{{ inputs.name }}".to_owned()));
    for i in 1..size {
        nodes.insert(format!("n{i}"), light(format!("{{{{ n{}.text }}}}", i - 1)));
    }
    (workflow(nodes), size)
}

fn fan(size: usize) -> (Json, usize) {
    let mut nodes = Map::new();
    nodes.insert("first".to_owned(), light("{{ inputs.name }}".to_owned()));
    for i in 0..size - 2 {
        nodes.insert(format!("n{i}"), light("{{ first.text }}".to_owned()));
    }
    let needs: Vec<String> = (0..size - 2).map(|i| format!("n{i}")).collect();
    nodes.insert("last".to_owned(), json!({ "type": "template-transform", "template": "done", "needs": needs }));
    (workflow(nodes), size)
}

fn mesh(size: usize) -> (Json, usize) {
    const WIDTH: usize = 10;
    let mut nodes = Map::new();
    for i in 0..size {
        let (layer, column) = (i / WIDTH, i % WIDTH);
        let template = match layer.checked_sub(1) {
            None => "{{ inputs.name }}".to_owned(),
            Some(above) => {
                let left = above * WIDTH + column;
                let right = above * WIDTH + (column + 1) % WIDTH;
                format!("{{{{ n{left}.text if n{right}.text else '' }}}}")
            }
        };
        nodes.insert(format!("n{i}"), light(template));
    }
    (workflow(nodes), size)
}

fn items(size: usize) -> (Json, usize) {
    let nodes = json!({
        "list": { "type": "json", "value": (0..size).collect::<Vec<_>>() },
        "each": {
            "type": "iteration",
            "items": "{{ list.value }}",
            "parallel": 16,
            "nodes": { "one": light("{{ list.value[index] }} of {{ list.value | length }}".to_owned()) },
            "output": "{{ one.text }}",
        },
    });
    (json!({ "inputs": { "name": "string" }, "nodes": nodes }), size)
}
