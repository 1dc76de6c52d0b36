//! Bad workflows, with the findings as a person reads them.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use liteagent_engine::{
    codes,
    diagnostic::{Diagnostic, Severity, render},
    load::{LoadOptions, load, load_text},
    node::Registry,
};

static REGISTRY: LazyLock<Registry> = LazyLock::new(liteagent_nodes::registry);

/// Codes that no file of this suite can show, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("LA0002", "a file that cannot be read"),
    ("LA0003", "a file of more than 8 MiB"),
    ("LA0005", "deep nesting: the tests of the parser"),
    ("LA0006", "a billion laughs: the tests of the parser"),
    ("LA0013", "an edit by a tool, not a check"),
    ("LA0164", "no node type has an old name yet"),
    ("LA0199", "more than 200 findings: a test of its own"),
    ("LA1001", "what the schema of a node lets pass and its type does not: none of ours"),
    ("LA1004", "a capability that a run lacks"),
    ("LA1102", "the schema says it first, with LA0105"),
    ("LA1104", "the schema says it first, with LA0108"),
    ("LA1106", "the schema says it first, with LA0105"),
    ("LA1109", "the schema says it first, with LA0105"),
    ("LA1118", "the schema says it first, with LA0108"),
];

fn findings(path: &Path) -> Vec<Diagnostic> {
    let options = LoadOptions { root: path.parent().map(Path::to_owned), ..LoadOptions::default() };
    let loaded = load(path, &REGISTRY, &options);
    let failed = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(loaded.bundle.is_none(), failed, "a bundle comes exactly when there is no error");
    loaded.diagnostics
}

/// The findings as text, with the file named alone, wherever the repository lies.
fn rendered(path: &Path, findings: &[Diagnostic]) -> String {
    assert!(!findings.is_empty(), "{} is clean", path.display());
    let folder = path.parent().expect("a file is in a folder").to_string_lossy().into_owned();
    render::text(findings, false).replace(&format!("{folder}/"), "")
}

#[test]
fn every_mistake_is_named_with_its_place_and_a_hint() {
    insta::glob!("diagnostics/*.yaml", |path| insta::assert_snapshot!(rendered(path, &findings(path))));
}

#[test]
fn every_code_of_the_checks_is_shown_by_some_file() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let yaml = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/snapshots");
    let mut shown = String::new();
    for folder in [tests, yaml].iter().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            shown.push_str(&fs::read_to_string(entry.expect("an entry").path()).expect("a snapshot is text"));
        }
    }
    let checked = |code: &str| ["LA00", "LA01", "LA02", "LA10", "LA11"].iter().any(|range| code.starts_with(range));
    let known: BTreeSet<_> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    let is_missing = |code: &str| checked(code) && !known.contains(code) && !shown.contains(&format!("[{code}]"));
    let missing: Vec<_> = codes::ALL.iter().filter(|(code, _)| is_missing(code.0)).collect();
    assert!(missing.is_empty(), "no file shows {missing:#?}");
}

#[test]
fn the_cap_keeps_errors_and_says_how_many_are_left_out() {
    let node = |i| format!("  n{i}: {{ type: fail, message: \"{{{{ missing{i} }}}}\" }}");
    let nodes = (0..300).map(node).collect::<Vec<_>>().join("\n");
    let loaded = load_text("many.yaml", &format!("nodes:\n{nodes}"), &REGISTRY);
    assert_eq!(loaded.diagnostics.len(), liteagent_engine::check::MOST_FINDINGS + 1);
    assert_eq!(loaded.diagnostics.last().expect("a note").message, "100 more findings are not shown");
}
