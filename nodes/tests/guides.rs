//! The workflows in the guides are whole, and check clean.

use std::{fs, path::Path};

use liteagent_engine::{
    diagnostic::{Severity, render},
    load::load_text,
};

/// The blocks of a guide that are workflows: those that begin with `format:`.
fn workflows(guide: &str) -> impl Iterator<Item = &str> {
    let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block));
    blocks.filter(|block| block.starts_with("format:"))
}

#[test]
fn every_workflow_in_a_guide_checks_clean() {
    let registry = liteagent_nodes::registry();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides");
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(folder).expect("there are guides").flatten() {
        let guide = fs::read_to_string(entry.path()).expect("a guide is text");
        for workflow in workflows(&guide) {
            seen += 1;
            let loaded = load_text(&entry.file_name().to_string_lossy(), workflow, &registry);
            let found: Vec<_> =
                loaded.diagnostics.into_iter().filter(|finding| finding.severity > Severity::Note).collect();
            wrong.extend((!found.is_empty()).then(|| format!("{workflow}\n{}", render::text(&found, false))));
        }
    }
    assert!(seen > 0, "no guide has a workflow");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
