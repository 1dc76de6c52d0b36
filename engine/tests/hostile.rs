//! Input that is made to hurt: it ends in a finding with a code, quickly, and nothing panics.

use std::{
    fs,
    time::{Duration, Instant},
};

use liteagent_engine::{
    diagnostic::{Diagnostic, render},
    source::{parse, read},
};

#[expect(clippy::disallowed_methods, reason = "these tests measure")]
fn now() -> Instant {
    Instant::now()
}

/// The first code that a text ends in. Debug builds on a busy machine get time, but far from what a bomb would take.
fn code_of(text: String) -> &'static str {
    let start = now();
    let (_, findings) = parse("hostile.yaml", text);
    render_all(&findings);
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    findings.first().expect("a finding").code.0
}

fn render_all(findings: &[Diagnostic]) {
    let few = &findings[..findings.len().min(20)];
    assert!(render::text(few, false).len() < 1_000_000);
    render::json(few);
    render::github(few);
}

#[test]
fn deep_nesting_ends_in_a_finding() {
    assert_eq!(code_of("[".repeat(100_000)), "LA0005");
    assert_eq!(code_of("{a: ".repeat(100_000)), "LA0005");
    assert_eq!(code_of("- ".repeat(100_000)), "LA0005");
    assert_eq!(code_of((0..2_000).map(|depth| " ".repeat(depth) + "a:\n").collect::<Vec<_>>().concat()), "LA0005");
    let (_, findings) = parse("deep.json", "[".repeat(100_000));
    assert_eq!(findings[0].code.0, "LA0005");
}

#[test]
fn documents_that_grow_without_end_are_stopped() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    assert_eq!(code_of(laughs), "LA0006");
    let merge = |level: usize| format!("m{level}: &m{level}\n  <<: [*m{0}, *m{0}]\n  k{level}: 1\n", level - 1);
    let merged = (1..64).map(merge).collect::<Vec<_>>().concat();
    let (document, findings) = parse("merge.yaml", format!("m0: &m0 {{ a: 1 }}\n{merged}"));
    assert!(document.is_some() && findings.is_empty());
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 1_000].join(", "));
    assert_eq!(code_of(text), "LA0006");
    assert_eq!(code_of("a: &a [*a]".to_owned()), "LA0009");
    assert_eq!(code_of("a: &a\n  b: *b\n  c: &b { d: *a }\n".to_owned()), "LA0009");
}

#[test]
fn files_that_are_too_large_or_no_text_are_named() {
    let folder = std::env::temp_dir().join(format!("liteagent-hostile-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let code = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("the folder can be written");
        let (document, findings) = read(&path);
        assert!(document.is_none());
        assert!(!render::text(&findings, true).is_empty());
        findings[0].code.0
    };
    assert_eq!(code("large.yaml", &vec![b'a'; 9 << 20]), "LA0003");
    assert_eq!(code("latin.yaml", b"a: Gr\xf6\xdfe\n"), "LA0004");
    assert_eq!(code("nul.yaml", b"a: \0b\n"), "LA0001");
    assert_eq!(code("utf16.yaml", b"\xff\xfea\0:\0"), "LA0004");
    assert_eq!(read(&folder).1[0].code.0, "LA0002");
    assert_eq!(read(&folder.join("absent.yaml")).1[0].code.0, "LA0002");
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn odd_but_small_texts_do_not_panic() {
    let huge_key = format!("{}: 1", "k".repeat(2 << 20));
    let texts = [
        "",
        "\n",
        "\u{feff}",
        "\u{feff}a: 1",
        "&a",
        "*",
        "&",
        "!",
        "? ",
        ": ",
        "- - - ?",
        "{{",
        "{%",
        "}}",
        "\"",
        "'",
        "|",
        ">",
        "a: |9\n",
        "a: >+\n\n\n",
        "%",
        "@",
        "\t",
        "a:\t",
        "---",
        "...",
        "--- ---",
        "<<: 1",
        "<<:",
        "{<<: {<<: {}}}",
        "\r",
        "\r\n\r\n",
        "a: \"\\u0000\"",
        "a: \"\\ud800\"",
        "\u{2028}",
        "a: 'x\n\n",
        "[{{ a }",
        "{ a: {{ b }",
        "- {{\n- {%\n",
        "a: {{ é }} # x",
        huge_key.as_str(),
    ];
    for text in texts {
        for name in ["a.yaml", "a.json"] {
            let (document, findings) = parse(name, text.to_owned());
            render_all(&findings);
            assert!(document.is_some() || !findings.is_empty(), "{text:?}");
        }
    }
}

#[test]
fn a_large_file_is_read_in_seconds() {
    let line = "  - { name: item, text: \"some text {{ x }}\", list: [1, 2, 3] }\n";
    let text = format!("items:\n{}", line.repeat((2 << 20) / line.len()));
    let start = now();
    let (document, findings) = parse("big.yaml", text);
    assert!(document.is_some() && findings.is_empty());
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
}
