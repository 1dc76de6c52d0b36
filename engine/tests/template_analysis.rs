//! What checks and plans learn of a template: references and findings, one golden file each.

use std::fmt::Write as _;

use liteagent_engine::template::{Compiled, Reference, Segment, TemplateError};

#[test]
fn templates_tell_what_they_read_or_what_is_wrong_with_them() {
    insta::glob!("templates/*.jinja", |path| {
        let text = std::fs::read_to_string(path).expect("the file is there");
        let source = text.strip_suffix('\n').unwrap_or(&text);
        insta::assert_snapshot!(report(source));
    });
}

fn report(source: &str) -> String {
    let mut out = String::new();
    let shown: String = source.chars().take(200).collect();
    writeln!(out, "{shown}\n").expect("text takes everything");
    match Compiled::new(source) {
        Err(findings) => findings.iter().for_each(|finding| show_finding(&mut out, source, finding)),
        Ok(compiled) => {
            compiled.references().iter().for_each(|reference| show_reference(&mut out, source, reference));
            for secret in compiled.secrets() {
                writeln!(out, "secret {}", secret.name.as_deref().unwrap_or("?")).expect("text takes everything");
            }
            for assigned in compiled.assigned() {
                writeln!(out, "assigns {}", assigned.name).expect("text takes everything");
            }
        }
    }
    out
}

fn show_finding(out: &mut String, source: &str, finding: &TemplateError) {
    let at: String = source[finding.span.clone()].chars().take(60).collect();
    writeln!(out, "{} at {}..{} `{at}`", finding.code, finding.span.start, finding.span.end)
        .expect("text takes everything");
    writeln!(out, "  {}\n  hint: {}", finding.message, finding.hint.as_deref().unwrap_or("-"))
        .expect("text takes everything");
}

fn show_reference(out: &mut String, source: &str, reference: &Reference) {
    let path: String = reference.path.iter().map(show_segment).collect();
    let how = if reference.guarded { "guarded" } else { "required" };
    let at = &source[reference.span.clone()];
    writeln!(out, "{how} {:?} {}{path}   at `{at}`", reference.reads, reference.root).expect("text takes everything");
}

fn show_segment(segment: &Segment) -> String {
    match segment {
        Segment::Member(name) => format!(".{name}"),
        Segment::Item(Some(index)) => format!("[{index}]"),
        Segment::Item(None) => "[*]".to_owned(),
    }
}
