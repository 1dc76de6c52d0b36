//! Templates: compiling and rendering. `cargo bench -p liteagent-engine --bench template`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use liteagent_engine::{
    scope::{NodeView, Roots, Scope},
    template::Compiled,
    value,
    value::Value,
};

fn main() {
    divan::main();
}

fn scope() -> Arc<Scope> {
    let documents = |count: u64| -> Value {
        let document = |id: u64| value!({ "id": id, "title": format!("Document {id}"), "score": 0.5 });
        Value::from_pairs([("documents", Value::from((0..count).map(document).collect::<Vec<_>>()))])
    };
    let ended = |output| NodeView::Ended { output, port: None, error: None };
    Arc::new(Scope {
        roots: Arc::new(Roots { inputs: value!({ "name": "Ada", "n": 3 }), ..Roots::default() }),
        nodes: vec![("search".into(), ended(documents(100))), ("all".into(), ended(documents(10_000)))],
        ..Scope::default()
    })
}

const TEMPLATES: &[&str] = &[
    "{{ inputs.name }}",
    "{{ search.documents }}",
    "Dear {{ inputs.name }}, you have {{ inputs.n }} new messages.",
    "{{ search.documents | length > inputs.n }}",
    "{{ all.documents[9999].title | upper }}",
    "{% for d in search.documents %}{{ d.id }}: {{ d.title }}\n{% endfor %}",
    "{{ all.documents | selectattr('score', '>', 0.6) | list | length }}",
];

#[divan::bench(args = TEMPLATES)]
fn render(bencher: Bencher<'_, '_>, source: &str) {
    let scope = scope();
    let compiled = Compiled::new(source).expect("the template has no findings");
    bencher.bench(|| compiled.render(black_box(&scope)));
}

#[divan::bench(args = TEMPLATES)]
fn compile(source: &str) -> Result<Compiled, Vec<liteagent_engine::template::TemplateError>> {
    Compiled::new(black_box(source))
}
