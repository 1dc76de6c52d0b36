//! Edits keep everything else; `fmt` changes nothing but whitespace.

use std::{fs, path::Path};

use liteagent_engine::source::{
    parse,
    rewrite::{RewriteError, format, insert, remove, set},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the examples").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).expect("a text")).collect()
}

fn value(text: &str) -> Value {
    parse("test.yaml", text.to_owned()).0.expect("good YAML").value
}

const TEXT: &str = "\
# top
a: 1   # one
b: # two
  c: { d: x, e: [1, 2] }   # flow

  # own line
  f: |
    text
      more

  g:   # empty
list:
  - x   # first
  - k: v
    l: w
  -  # nothing
last: \"end\"
";

#[test]
fn edits_change_one_place_and_no_other_byte() {
    let edits: [(&str, Value, &str, &str); 12] = [
        ("/a", json!(2), "a: 1   # one", "a: 2   # one"),
        ("/a", json!("yes"), "a: 1   # one", "a: \"yes\"   # one"),
        ("/a", json!({ "x": "one\ntwo" }), "a: 1   # one", "a:   # one\n  x: |-\n    one\n    two"),
        ("/b/c/d", json!("a, b"), "d: x", "d: \"a, b\""),
        ("/b/c/e", json!([]), "[1, 2]", "[]"),
        ("/b/f", json!("short"), "f: |\n    text\n      more", "f: short"),
        ("/b/f", json!("new\nlines\n"), "|\n    text\n      more", "|\n    new\n    lines"),
        ("/b/g", json!(true), "g:   # empty", "g: true   # empty"),
        ("/list/0", json!("z"), "- x   # first", "- z   # first"),
        ("/list/1/l", json!("30s"), "l: w", "l: 30s"),
        ("/list/2", json!(5), "-  # nothing", "- 5  # nothing"),
        ("/last", json!("{{ x }}"), "\"end\"", "\"{{ x }}\""),
    ];
    for (pointer, new, old_part, new_part) in edits {
        let edited = set(TEXT, pointer, &new).unwrap_or_else(|error| panic!("{pointer}: {error}"));
        assert_eq!(edited, TEXT.replacen(old_part, new_part, 1), "{pointer}");
    }
}

#[test]
fn a_block_scalar_with_a_dash_in_its_head_can_be_edited_in_a_list() {
    let text = "a:\n  - 1\n  - >-   # why\n    folded\n\n    text\n  - |-\n    x\n";
    assert_eq!(set(text, "/a/1", &json!("new")).map(|text| value(&text)), Ok(json!({ "a": [1, "new", "x"] })));
    assert_eq!(set(text, "/a/2", &json!({ "k": 1 })).map(|text| value(&text)["a"][2].clone()), Ok(json!({ "k": 1 })));
    assert_eq!(remove(text, "/a/1").map(|text| value(&text)), Ok(json!({ "a": [1, "x"] })));
}

#[test]
fn entries_are_removed_with_their_lines() {
    assert_eq!(remove(TEXT, "/a").unwrap(), TEXT.replacen("a: 1   # one\n", "", 1));
    assert_eq!(remove(TEXT, "/b/c/d").unwrap(), TEXT.replacen("d: x, ", "", 1));
    assert_eq!(remove(TEXT, "/b/c/e").unwrap(), TEXT.replacen(", e: [1, 2]", "", 1));
    assert_eq!(remove(TEXT, "/list/0").unwrap(), TEXT.replacen("  - x   # first\n", "", 1));
    assert_eq!(remove(TEXT, "/list/1/k").unwrap(), TEXT.replacen("k: v\n    ", "", 1));
    assert_eq!(remove(TEXT, "/list/1").unwrap(), TEXT.replacen("  - k: v\n    l: w\n", "", 1));
    assert_eq!(remove("a:\n  b: 1\nc: 2\n", "/a/b").unwrap(), "a: {}\nc: 2\n");
}

#[test]
fn entries_are_added_behind_a_sibling() {
    let added = insert(TEXT, "", Some("a"), "new", &json!({ "k": [1] })).unwrap();
    assert_eq!(added, TEXT.replacen("# one\n", "# one\nnew:\n  k: [1]\n", 1));
    let added = insert(TEXT, "/b", Some("f"), "h", &json!("x")).unwrap();
    assert_eq!(added, TEXT.replacen("      more\n", "      more\n  h: x\n", 1));
    assert_eq!(insert(TEXT, "/b/c", None, "h", &json!(1)).unwrap(), TEXT.replacen("[1, 2] }", "[1, 2], h: 1 }", 1));
    assert_eq!(insert("a: {}\n", "/a", None, "h", &json!(1)).unwrap(), "a: { h: 1 }\n");
}

#[test]
fn shared_values_are_not_edited_behind_the_back_of_others() {
    let text = "x: &x { k: 1 }\na: *x\nb:\n  <<: *x\n  own: 1\n";
    assert_eq!(set(text, "/a/k", &json!(2)), Err(RewriteError::Shared("/a/k".to_owned())));
    assert_eq!(set(text, "/x/k", &json!(2)), Err(RewriteError::Unusual("/x/k".to_owned())));
    assert_eq!(set(text, "/a", &json!(2)).unwrap(), text.replacen("*x", "2", 1));
    assert_eq!(set(text, "/b/k", &json!(2)).unwrap(), text.replacen("own: 1\n", "own: 1\n  k: 2\n", 1));
    assert_eq!(set("a: [", "/a", &json!(2)), Err(RewriteError::Broken));
}

#[test]
fn every_place_of_every_example_can_be_set_and_removed() {
    let news = [
        json!("a text: with # signs"),
        json!({ "deep": [{ "k": "one\ntwo\n" }, [], null, 1.5] }),
        json!(["a", true]),
        json!(null),
    ];
    for text in examples() {
        let mut pointers = Vec::new();
        collect(&value(&text), String::new(), &mut pointers);
        for pointer in &pointers {
            for new in &news {
                match set(&text, pointer, new) {
                    Ok(edited) => assert_eq!(value(&edited).pointer(pointer), Some(new)),
                    Err(error) => {
                        assert!(matches!(error, RewriteError::Shared(_)) || is_anchored(&text), "{error}\n{text}");
                    }
                }
            }
            if let Err(error) = remove(&text, pointer) {
                assert!(matches!(error, RewriteError::Shared(_)) || is_anchored(&text), "{error}\n{text}");
            }
        }
    }
}

fn is_anchored(text: &str) -> bool {
    text.contains(": *") || text.contains(": &")
}

fn collect(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                collect(member, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    if !pointer.is_empty() {
        pointers.push(pointer);
    }
}

#[test]
fn tidy_texts_stay_and_untidy_ones_become_tidy() {
    for text in examples() {
        assert_eq!(format(&text), text);
    }
    let untidy =
        "a:   \n    # why\n    b: |\n        text\n          more\n    c:\n    - x\n    -   y: 1\n        z: 2\n\n\n";
    assert_eq!(format(untidy), "a:\n  # why\n  b: |\n    text\n      more\n  c:\n  - x\n  -   y: 1\n      z: 2\n");
    assert_eq!(format("a: {{ broken"), "a: {{ broken");
    assert_eq!(format(" \r \n\n"), "");
    assert_eq!(format("a: |+\n  x\n\n\n"), "a: |+\n  x\n\n\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn formatting_keeps_the_value_and_is_stable(example in 0..11_usize, width in 1..5_usize, blanks in prop::collection::vec(0..4_usize, 1..9)) {
        let text = &examples()[example];
        let messy = text
            .lines()
            .zip(blanks.iter().cycle())
            .map(|(line, blanks)| {
                let body = line.trim_start_matches(' ');
                format!("{}{body}{}\n", " ".repeat((line.len() - body.len()) * width), " ".repeat(*blanks))
            })
            .collect::<Vec<_>>()
            .concat();
        let (document, findings) = parse("messy.yaml", messy.clone());
        prop_assume!(document.is_some() && findings.iter().all(|finding| finding.code.0 != "LA0001"));
        let tidy = format(&messy);
        prop_assert_eq!(value(&tidy), value(&messy));
        prop_assert_eq!(format(&tidy), tidy);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~éß漢\u{85}\u{feff}\n\t]{0,20}",
        Just("no".to_owned()),
        Just("1e3".to_owned()),
        Just("line\nline\n".to_owned()),
        Just("30s".to_owned()),
        Just("a: b # c".to_owned()),
        Just("- x".to_owned()),
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, move |inner| {
        let key = text.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_value_can_be_written_and_read_back(new in any_value()) {
        for text in ["a: 1   # one\n", "b:\n  - x\na: [1]\nc: 2\n", "a:\n  deep: { x: 1 } # two\n"] {
            let edited = set(text, "/a", &new);
            prop_assert_eq!(edited.map(|edited| value(&edited)["a"].clone()), Ok(new.clone()));
        }
        let edited = set("a: { x: [1, 2] }\n", "/a/x/0", &new);
        prop_assert!(edited.is_ok(), "{:?}", edited);
    }
}
