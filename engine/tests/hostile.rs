//! Input that is made to hurt: it ends in a finding with a code, quickly, and nothing panics.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use liteagent_engine::{
    definition::{Definition, NodeCommon},
    diagnostic::{Diagnostic, render},
    node::schema_of,
    shape,
    source::{parse, read, rewrite},
};
use schemars::Schema;
use serde_json::Value;

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

#[test]
fn changed_examples_never_panic() {
    let seconds = seconds();
    let schemas = [schema_of::<Definition>(), schema_of::<NodeCommon>(), sample_schema()];
    let texts: Vec<String> = examples().iter().map(|path| fs::read_to_string(path).expect("an example")).collect();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let start = now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(seconds) || rounds < 50 {
        rounds += 1;
        let mut bytes = texts[chance.below(texts.len())].clone().into_bytes();
        for _ in 0..=chance.below(6) {
            chance.change(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let name = if chance.below(8) == 0 { "case.json" } else { "case.yaml" };
        check(name, &text, &schemas);
    }
}

/// Everything that is done with a file that an author writes.
fn check(name: &str, text: &str, schemas: &[Schema]) {
    let (document, mut findings) = parse(name, text.to_owned());
    if let Some(document) = document {
        let (tidy, _) = parse(name, rewrite::format(text));
        assert!(name == "case.json" || tidy.is_some_and(|tidy| tidy.value == document.value), "{text}");
        for schema in schemas {
            let shape = shape::walk(schema, &document.value, "");
            findings.extend(shape.findings.iter().map(|finding| document.diagnostic(finding)));
            for site in &shape.sites {
                let middle = (site.text.len() / 2..=site.text.len())
                    .find(|at| site.text.is_char_boundary(*at))
                    .unwrap_or_default();
                let span = document.text_span(&site.pointer, middle..site.text.len());
                assert!(document.file.text.get(span.range.clone()).is_some(), "{text}");
            }
        }
    }
    for finding in &findings {
        let range = finding.span.range.clone();
        assert!(finding.span.file.text.get(range).is_some(), "{} in {text}", finding.message);
    }
    render_all(&findings);
}

/// A small generator of numbers; the same run for the same start.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        const PIECES: [&str; 24] = [
            "{{", "}}", "{%", "{", "}", "[", "]", ": ", "- ", "\n", "\r\n", "\t", "\"", "'", "#", " # ", "|\n", ">-\n",
            "&a ", "*a", "<<: ", "---\n", "é", "yes",
        ];
        let at = self.below(bytes.len());
        let piece = PIECES[self.below(PIECES.len())].bytes();
        match self.below(5) {
            0 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
            1 => drop(bytes.splice(at..at, piece)),
            2 => {
                let end = (at + self.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + self.below(200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let end = (at + 2).min(bytes.len());
                bytes.splice(at..end, piece);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the length of the fuzzing is set from outside")]
fn seconds() -> u64 {
    std::env::var("LITEAGENT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn sample_schema() -> Schema {
    let text = include_str!("diagnostics/shape.schema.json");
    Schema::try_from(serde_json::from_str::<Value>(text).expect("JSON")).expect("a schema")
}

fn examples() -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = ["examples", "diagnostics/yaml", "diagnostics/shape"];
    let mut files: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(tests.join(folder)).expect("the cases are beside the tests"))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    files
}
