//! Bad YAML and wrong shapes, with the findings as a person reads them.

use std::fs;

use liteagent_engine::{
    diagnostic::{Diagnostic, render},
    shape,
    source::{Document, parse},
};
use schemars::Schema;

/// The text that a finding is rendered to, and a check of the other renderings on the way.
fn rendered(findings: &[Diagnostic]) -> String {
    assert_eq!(render::json(findings).as_array().map(Vec::len), Some(findings.len()));
    assert_eq!(render::github(findings).lines().count(), findings.len());
    assert!(render::text(findings, true).len() >= render::text(findings, false).len());
    if findings.is_empty() { "no findings".to_owned() } else { render::text(findings, false) }
}

fn parsed(path: &std::path::Path) -> (Option<Document>, Vec<Diagnostic>) {
    let name = path.file_name().expect("a file has a name").to_string_lossy();
    parse(&name, fs::read_to_string(path).expect("the case can be read"))
}

#[test]
fn traps_and_syntax_errors_are_named() {
    insta::glob!("diagnostics/yaml/*.*[ln]", |path| {
        let (_, findings) = parsed(path);
        insta::assert_snapshot!(rendered(&findings));
    });
}

#[test]
fn wrong_shapes_are_named() {
    let schema = include_str!("diagnostics/shape.schema.json");
    let schema = Schema::try_from(serde_json::from_str::<serde_json::Value>(schema).expect("JSON")).expect("a schema");
    insta::glob!("diagnostics/shape/*.yaml", |path| {
        let (document, mut findings) = parsed(path);
        let document = document.expect("the case is good YAML");
        let shape = shape::walk(&schema, &document.value, "");
        findings.extend(shape.findings.iter().map(|finding| document.diagnostic(finding)));
        let mut text = rendered(&findings);
        for site in &shape.sites {
            let place = document.text_span(&site.pointer, 0..site.text.len());
            assert!(!place.range.is_empty());
            text.push_str(&format!(
                "\nsite {} {:?} optional={} inner={} locals={:?} expects={}",
                site.pointer,
                site.mark,
                site.optional,
                site.inner,
                site.locals,
                site.expects.as_ref().map_or_else(|| "-".to_owned(), |schema| schema.as_value().to_string()),
            ));
        }
        let files: Vec<_> = shape.files.iter().map(|file| file.text.clone()).collect();
        let places = [("bodies", &shape.bodies), ("types", &shape.types), ("files", &files)];
        for (name, pointers) in places.iter().filter(|(_, pointers)| !pointers.is_empty()) {
            text.push_str(&format!("\n{name} {pointers:?}"));
        }
        insta::assert_snapshot!(text);
    });
}
