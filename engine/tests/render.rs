//! Findings as text, JSON and annotations, at odd places.

use std::sync::Arc;

use liteagent_engine::{
    codes,
    diagnostic::{Diagnostic, SourceFile, Span, render},
};

fn file(name: &str, text: impl Into<String>) -> Arc<SourceFile> {
    Arc::new(SourceFile { name: name.to_owned(), text: text.into() })
}

fn at(file: &Arc<SourceFile>, range: std::ops::Range<usize>) -> Span {
    Span { file: file.clone(), range }
}

fn finding(span: Span) -> Diagnostic {
    Diagnostic::error(codes::UNKNOWN_NODE, span, "unknown node `x`").label("no node has this id")
}

#[test]
fn odd_places_are_shown_without_panic() {
    let short = file("a.yaml", "tab:\t{{ é.x }}\r\nlast: 漢字 x\n\n");
    let wide = file("wide.yaml", format!("a: {} end\nb: 1\n", "x".repeat(600)));
    let endless = file("endless.yaml", format!("a: {} end\n", "x".repeat(20_000)));
    let spaces = file("blank.yaml", "\n\n");
    let findings = [
        finding(at(&short, 8..13)),
        finding(at(&short, 30..31)),
        finding(at(&short, 0..31)),
        finding(at(&short, 34..34)),
        finding(at(&short, 900..1_000)),
        finding(at(&short, 9..9)),
        finding(at(&short, 24..25)),
        finding(at(&wide, 604..607)),
        finding(at(&endless, 20_004..20_007)),
        finding(at(&spaces, 1..2)),
        finding(at(&file("empty.yaml", ""), 0..0)),
    ];
    insta::assert_snapshot!(render::text(&findings, false));
}

#[test]
fn other_places_are_shown_near_far_and_in_other_files() {
    let here = file("a.yaml", (1..200).map(|line| format!("k{line}: v\n")).collect::<Vec<_>>().concat());
    let line = |number: usize| here.text.find(&format!("k{number}:")).expect("a line");
    let other = file("b.yaml", "name: b\n");
    let found = finding(at(&here, line(100)..line(100) + 4))
        .related(at(&here, line(103)..line(103) + 4), "near")
        .related(at(&here, line(97)..line(97) + 3), "before")
        .related(at(&here, line(2)..line(2) + 2), "far")
        .related(at(&other, 6..7), "elsewhere")
        .hint("rename it");
    insta::assert_snapshot!(render::text(&[found], false));
}

#[test]
fn machines_get_places_that_count_characters() {
    let read = file("dir/a,b:c.yaml", "é: 漢字 {{ x }}\nb: 1\n");
    let findings = [
        finding(at(&read, 14..15)).hint("100% sure:\nname it").related(at(&read, 20..24), "here"),
        Diagnostic::warning(codes::OLD_BOOLEAN, at(&read, 0..2), "w"),
        Diagnostic::note(codes::OLD_BOOLEAN, at(&read, 20..24), "n"),
    ];
    insta::assert_snapshot!(render::github(&findings));
    insta::assert_snapshot!(serde_json::to_string_pretty(&render::json(&findings)).expect("JSON"));
    assert!(render::text(&findings, true).contains('\u{1b}'));
    assert!(!render::text(&findings, false).contains('\u{1b}'));
}
