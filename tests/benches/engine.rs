//! What the engine itself costs: light nodes in memory, as a chain, a fan and a mesh.
//!
//! `cargo bench -p liteagent-tests --bench engine`; a word such as `chain` behind `--` takes only what begins with it.
//! Prints the median of several runs, per node.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::time::Instant;

use liteagent_engine::store::Stores;
use liteagent_tests::bench::{self, median, workflow};
use serde_json::{Map, Value as Json, json};

const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the runtime starts");
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

async fn report(name: &str, (definition, nodes): (Json, usize)) {
    if std::env::args().skip(1).any(|word| !word.starts_with('-') && !name.starts_with(&*word)) {
        return;
    }
    let bundle = bench::bundle(definition);
    let rounds = (400_000 / nodes).clamp(9, 2_000);
    // One engine for all: the plan is compiled once, as in a server.
    let engine = bench::engine(Stores::memory().0).await;
    let mut figures = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        bench::run(&engine, &bundle).await;
        figures.push(began.elapsed().as_nanos() as f64 / nodes as f64);
    }
    engine.close().await.expect("the store answers");
    println!("{name:<28}{nodes:>10}{:>14.0}{rounds:>14}", median(figures));
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
