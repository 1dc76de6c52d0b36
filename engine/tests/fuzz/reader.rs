//! The reader of YAML and JSON, and the walk over shapes.

use liteagent_engine::{
    definition::{Definition, NodeCommon},
    diagnostic::render,
    node::schema_of,
    shape,
    source::parse,
    testing::{fuzz, mutated},
};
use proptest::prelude::*;
use schemars::Schema;

use super::{PIECES, examples};

#[test]
fn any_text_is_read_or_refused_with_a_place() {
    let sample = serde_json::from_str::<serde_json::Value>(include_str!("../diagnostics/shape.schema.json")).unwrap();
    let schemas = [schema_of::<Definition>(), schema_of::<NodeCommon>(), Schema::try_from(sample).unwrap()];
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat());
    let text = prop_oneof![8 => mutated(examples(), PIECES), 1 => pieces, 1 => "\\PC{0,60}"];
    let name = prop_oneof![7 => Just("case.yaml"), 1 => Just("case.json")];
    fuzz(&(name, text), |(name, text)| read(name, text, &schemas));
}

/// Everything that is done with a file that an author writes.
fn read(name: &str, text: &str, schemas: &[Schema]) {
    let (document, mut findings) = parse(name, text.to_owned());
    assert!(document.is_some() || !findings.is_empty());
    if let Some(document) = document {
        for schema in schemas {
            let shape = shape::walk(schema, &document.value, "");
            findings.extend(shape.findings.iter().map(|finding| document.diagnostic(finding)));
            for site in &shape.sites {
                let middle = (site.text.len() / 2..=site.text.len())
                    .find(|at| site.text.is_char_boundary(*at))
                    .unwrap_or_default();
                let span = document.text_span(&site.pointer, middle..site.text.len());
                assert!(document.file.text.get(span.range).is_some(), "{}", site.pointer);
            }
        }
    }
    for finding in &findings {
        let range = finding.span.range.clone();
        assert!(finding.span.file.text.get(range).is_some(), "{}", finding.message);
    }
    let few = &findings[..findings.len().min(20)];
    assert!(render::text(few, false).len() < 1_000_000);
    render::json(few);
    render::github(few);
}
