//! Workflows as authors write them: each checks clean.

use std::path::Path;

use liteagent_engine::{
    diagnostic::{Severity, render},
    load::{LoadOptions, load},
};

/// Loads a workflow and expects nothing but notes.
fn is_clean(path: &Path) {
    let loaded = load(path, &liteagent_nodes::registry(), &LoadOptions::default());
    let found: Vec<_> = loaded.diagnostics.into_iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert!(found.is_empty(), "{}", render::text(&found, false));
    assert!(loaded.bundle.is_some());
}

#[test]
fn good_workflows_have_no_findings() {
    insta::glob!("workflows/*.yaml", is_clean);
}

#[test]
fn the_shared_example_without_models_is_clean() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/examples/10-lookup-order.yaml");
    if !path.is_file() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    is_clean(&path);
}
