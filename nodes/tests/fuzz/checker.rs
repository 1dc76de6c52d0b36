//! Files that are damaged at random: the check always ends and never panics, and what checks clean can be compiled and
//! drawn.

use std::{fs, path::Path, sync::Arc};

use liteagent_engine::{
    diagnostic::{Severity, render},
    graph::{WorkflowGraph, draw},
    load::load_text,
    plan::Plan,
    testing::{fuzz, mutated},
};

const PIECES: &[&str] = &[
    "{{ ",
    " }}",
    "{% if ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "  ",
    "null",
    "0",
    "-1",
    "1e999",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: ",
    "needs: [x]",
    "type: loop",
    "nodes:",
    "\u{e9}",
    "\t",
    "---\n",
    "true",
    "{{ inputs",
    ".error",
    " | default('')",
    "~",
    "/",
    "{ file: ../x }",
    "any: ",
    "timeout: 1d",
    "on_error: continue",
    ".text",
    ".json.a",
    "when: \"{{ true }}\"",
    "type: iteration",
    "secrets: [A]",
    "{{ secrets.A }}",
    "output: ",
    "durability: end",
];

fn examples() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/workflows", "tests/diagnostics", "../definitions"];
    let files = folders.iter().flat_map(|folder| walkdir::WalkDir::new(here.join(folder)).sort_by_file_name());
    let paths = files.map(|file| file.unwrap().into_path());
    let texts = paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    texts
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
        .filter(|text| text.len() < 8_000)
        .collect()
}

#[test]
fn damaged_files_are_checked_to_the_end() {
    let registry = liteagent_nodes::registry();
    let examples = examples();
    assert!(examples.len() > 100, "the examples are there");
    fuzz(&mutated(examples, PIECES), |text| {
        let loaded = load_text("damaged.yaml", text, &registry);
        let errors = loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count();
        assert_eq!(errors == 0, loaded.bundle.is_some(), "a bundle, or an error");
        for finding in &loaded.diagnostics {
            assert!(finding.span.file.text.get(finding.span.range.clone()).is_some(), "{}", finding.message);
            assert!(finding.code.0.starts_with("LA") && !finding.message.is_empty());
        }
        render::text(&loaded.diagnostics, true);
        let Some(bundle) = loaded.bundle.map(Arc::new) else { return };
        Plan::compile(&bundle, &registry).unwrap();
        let definition = serde_json::to_value(bundle.entry()).unwrap();
        let graph = WorkflowGraph::new(&definition, &registry);
        for picture in [draw::mermaid(&graph), draw::dot(&graph), draw::svg(&graph)] {
            assert!(!picture.is_empty());
        }
        let again = load_text("again.json", &serde_json::to_string(&definition).unwrap(), &registry);
        let error = again.diagnostics.iter().find(|finding| finding.severity == Severity::Error);
        assert!(error.is_none(), "the resolved form has an error: {error:?}");
    });
}
