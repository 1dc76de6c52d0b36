//! Checking and compiling a file of 2,000 nodes.
//!
//! `cargo bench -p liteagent-tests --bench load`. Prints medians.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::{fmt::Write as _, sync::Arc, time::Instant};

use liteagent_engine::{load, plan::Plan};
use liteagent_tests::bench::{self, median};

const NODES: usize = 2_000;
const ROUNDS: usize = 11;

fn main() {
    let mut yaml = "name: bench\ninputs: { name: string }\nnodes:\n".to_owned();
    for i in 0..NODES {
        let reads = if i == 0 { "inputs.name".to_owned() } else { format!("n{}.text", i - 1) };
        let _ = writeln!(yaml, "  n{i}:\n    type: template-transform\n    template: \"{{{{ {reads} }}}}, {i}\"");
    }
    let _ = writeln!(yaml, "outputs: {{ text: \"{{{{ n{}.text }}}}\" }}", NODES - 1);
    let registry = bench::registry();

    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let loaded = load::load_text("bench.yaml", &yaml, &registry);
        figures[0].push(began.elapsed().as_secs_f64() * 1e3);
        let bundle = Arc::new(loaded.bundle.expect("the file checks clean"));
        let began = Instant::now();
        Plan::compile(&bundle, &registry).expect("it compiles");
        figures[1].push(began.elapsed().as_secs_f64() * 1e3);
    }
    let [check, compile] = figures.map(median);
    println!("check {NODES} nodes     {check:>8.1} ms");
    println!("compile {NODES} nodes   {compile:>8.1} ms");
}
