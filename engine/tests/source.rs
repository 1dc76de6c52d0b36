//! Places of values, keys and parts of texts; limits of the reader.

use std::{fs, path::PathBuf};

use liteagent_engine::source::{Document, parse};
use serde_json::{Value, json};

fn document(text: &str) -> Document {
    let (document, findings) = parse("test.yaml", text.to_owned());
    let messages: Vec<_> = findings.iter().map(|finding| (finding.code, &finding.message)).collect();
    assert!(findings.is_empty(), "{messages:?}");
    document.expect("a text without findings gives a document")
}

fn at(span: &liteagent_engine::diagnostic::Span) -> &str {
    &span.file.text[span.range.clone()]
}

#[test]
fn every_key_and_value_has_its_place() {
    let read =
        document("a: &x { b: [1, two words], 'c/d': \"e\" }\nlist:\n  - k: v\n  - *x\ndeep:\n  <<: *x\n  own: 1\n");
    assert_eq!(read.value["list"][1]["b"], json!([1, "two words"]));
    assert_eq!(at(&read.span("/a/b/1")), "two words");
    assert_eq!(at(&read.key_span("/a/c~1d")), "'c/d'");
    assert_eq!(at(&read.span("/a/c~1d")), "\"e\"");
    assert_eq!(at(&read.key_span("/list/0/k")), "k");
    assert_eq!(at(&read.span("/list/0/absent/x")), "k: v");
    assert_eq!(at(&read.span("/a")), "{ b: [1, two words], 'c/d': \"e\" }");
    assert_eq!(at(&read.span("/list")), "- k: v\n  - *x");
}

#[test]
fn aliased_values_have_the_place_of_the_alias_and_of_the_anchor() {
    let read = document("x-a: &x { b: [1] }\nlist: [*x]\ndeep:\n  <<: *x\n  own: 1\n");
    assert_eq!(read.value["deep"], json!({ "own": 1, "b": [1] }));
    assert_eq!(at(&read.span("/list/0/b/0")), "*x");
    assert_eq!(at(&read.span("/deep/b")), "*x");
    assert_eq!(at(&read.key_span("/deep/b")), "*x");
    assert_eq!(at(&read.anchor("/deep/b").unwrap()), "[1]");
    assert_eq!(at(&read.anchor("/list/0/b/0").unwrap()), "1");
    assert!(read.anchor("/deep/own").is_none());
}

#[test]
fn explicit_keys_win_over_merged_ones() {
    let read = document("a: &a { x: 1, y: 1 }\nb: &b { y: 2, z: 2 }\nc: { x: 3, <<: [*b, *a] }\n");
    assert_eq!(read.value["c"], json!({ "x": 3, "y": 2, "z": 2 }));
}

#[test]
fn parts_of_texts_are_found_in_every_spelling() {
    let cases = [
        "t: plain {{ word }} end",
        "t: 'it''s {{ word }}'",
        "t: \"tab\\t \\u00e9 \\ud83d\\ude00 {{ word }}\"",
        "t: |\n  one\n    indented\n\n  x {{ word }}\n",
        "t: >-\n  one\n  two\n\n  three\n  x {{ word }}\n",
        "t: plain over\n  lines\n\n  with {{ word }}",
        "t: \"quoted over\n  lines \\\n  with {{ word }}\"",
        "t: |\r\n  one\r\n  {{ word }}\r\n",
        "t: |2\n    one\n  {{ word }}\n",
        "a: &t |-\n  é {{ word }}\nt: *t\n",
    ];
    for case in cases {
        let read = document(case);
        let text = read.value["t"].as_str().unwrap();
        let start = text.find("word").unwrap();
        let found = read.text_span("/t", start..start + 4);
        assert_eq!(at(&found), "word", "{case}");
        assert_eq!(read.file.text[..found.range.start].matches("{{ ").count(), 1, "{case}");
    }
}

#[test]
fn every_letter_of_every_example_is_found() {
    for path in examples() {
        let read = document(&fs::read_to_string(&path).unwrap());
        each_text(&read.value, &mut String::new(), &mut |pointer, text| {
            let span = read.span(pointer);
            let written = at(&span);
            for (offset, letter) in text.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
                let found = read.text_span(pointer, offset..offset + letter.len_utf8());
                assert!(at(&found).starts_with(letter) || written.contains('\\'), "{pointer} {letter}: {}", at(&found));
            }
        });
    }
}

fn each_text(value: &Value, pointer: &mut String, visit: &mut impl FnMut(&str, &str)) {
    let length = pointer.len();
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                each_text(item, pointer, visit);
                pointer.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
                each_text(member, pointer, visit);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[test]
fn values_are_those_that_another_reader_sees() {
    let texts = examples().into_iter().map(|path| fs::read_to_string(path).expect("an example"));
    let more = [
        "a: &a { x: 1, y: [~, null, True] }\nb: { <<: *a, y: 0x10 }\nc: [*a, *a]\n",
        "a: >\n  one\n  two\n\n   more\n  three\n\nb: |+\n  x\n\n\nc: >-\n\n  lead\n",
        "- - a\n  - b: c\n    d: e\n-\n  - 'it''s'\n  - \"\\t\\u00e9\\x41\\\n   b\"\n",
        "? long key\n: value\n\"quoted\": {a: , b}\n1: 2\n1.5: .5\n",
        "text: one\n  two\n\n  three # end\nlast: [a\n b, c]\n",
    ];
    for text in texts.chain(more.map(str::to_owned)) {
        let (document, _) = parse("test.yaml", text.clone());
        let other: Value = serde_saphyr::from_str(&text).expect("good YAML");
        assert_eq!(document.expect("a document").value, other, "{text}");
    }
}

#[test]
fn json_is_read_strictly_and_with_places() {
    let (read, findings) = parse("a.json", "{\n\t\"a\": [1, {\"b\": \"\\ud83d\\ude00\"}]\n}".to_owned());
    assert!(findings.is_empty());
    let read = read.unwrap();
    assert_eq!(read.value, json!({ "a": [1, { "b": "😀" }] }));
    assert_eq!(at(&read.span("/a/1/b")), "\"\\ud83d\\ude00\"");
    let (read, findings) = parse("a.json", "{\"a\": yes}".to_owned());
    assert!(read.is_none());
    assert_eq!(findings[0].code.0, "LA0001");
}

fn examples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let entries = fs::read_dir(folder).expect("the examples are beside the tests");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.sort();
    assert!(files.len() >= 10);
    files
}
