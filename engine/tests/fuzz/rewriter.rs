//! Edits and `fmt`: no value, no comment and no other byte is lost.

use std::ops::Range;

use liteagent_engine::{
    diagnostic::Severity,
    source::{
        Document, parse,
        rewrite::{format, insert, remove, set},
    },
    testing::{fuzz, mutated},
};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{PIECES, examples};

fn read(text: &str) -> Option<Document> {
    let (document, findings) = parse("case.yaml", text.to_owned());
    document.filter(|_| findings.iter().all(|finding| finding.severity != Severity::Error))
}

/// Layouts of YAML with comments at every place.
fn commented() -> impl Strategy<Value = String> {
    let comment = prop::sample::select(&["", "", "", "  # why", " #x"][..]);
    let own = prop::sample::select(&["", "", "", "# own line\n", "\n", "   # far in\n"][..]);
    let scalar = prop::sample::select(
        &[
            "1",
            "text",
            "\"a # b\"",
            "'it''s'",
            "[1, 2]",
            "{ a: 1, b: [x] }",
            "",
            "|\n{}  line # no\n{}  two",
            ">-\n{}  folded\n\n{}  text",
            "\"two\n{}  lines\"",
        ][..],
    );
    let entries = prop::collection::vec((scalar, comment, own), 1..4);
    prop::collection::vec((entries, any::<bool>()), 1..4).prop_map(|groups| {
        let mut text = String::new();
        for (number, (entries, is_list)) in groups.iter().enumerate() {
            text.push_str(&format!("g{number}:\n"));
            for (at, (scalar, comment, own)) in entries.iter().enumerate() {
                let scalar = scalar.replace("{}", "  ");
                let (first, rest) = scalar.split_at(scalar.find('\n').unwrap_or(scalar.len()));
                let mark = if *is_list { "-".to_owned() } else { format!("k{at}:") };
                // Within quotes and block scalars a `#` is text.
                let comment = if rest.is_empty() || first.starts_with(['|', '>']) { *comment } else { "" };
                text.push_str(&format!("{own}  {mark} {first}{comment}{rest}\n"));
            }
        }
        text
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![1 => commented(), 1 => mutated(examples(), PIECES)]
}

#[test]
fn fmt_changes_nothing_but_whitespace() {
    fuzz(&text(), |text| {
        let tidy = format(text);
        let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(words(&tidy), words(text));
        assert_eq!(format(&tidy), tidy, "it is stable");
        match (read(text), read(&tidy)) {
            (Some(before), Some(after)) => assert_eq!(before.value, after.value),
            (None, _) => assert_eq!(tidy, *text),
            (Some(_), None) => panic!("broken:\n{tidy}"),
        }
    });
}

#[test]
fn edits_change_one_place_and_no_other_byte() {
    let news = prop::sample::select(vec![
        json!("short"),
        json!("two\nlines\n"),
        json!("# no comment"),
        json!(null),
        json!({ "a": { "b": [1, "x"] } }),
        json!([[], {}]),
        json!("{{ x }}"),
    ]);
    fuzz(&(text(), any::<Index>(), news), |(text, at, new)| {
        let Some(document) = read(text) else { return };
        let mut pointers = Vec::new();
        collect(&document.value, String::new(), &mut pointers);
        if pointers.is_empty() {
            return;
        }
        let pointer = at.get(&pointers);
        // What an alias or a merge key brings in stands elsewhere.
        if document.anchor(pointer).is_some() {
            return;
        }
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        if let Ok(edited) = set(text, pointer, new) {
            only_within(text, &edited, &lines_of(&document, pointer), pointer);
            keeps_comment(text, &edited, &document, pointer);
        }
        if let Ok(edited) = remove(text, pointer) {
            let is_last = document.value.pointer(parent).is_some_and(|holder| members(holder) == 1);
            let place = if is_last && !parent.is_empty() { parent } else { pointer };
            if !is_last || !parent.is_empty() {
                only_within(text, &edited, &lines_of(&document, place), pointer);
            }
        }
        if document.value.pointer(parent).is_some_and(|holder| holder.is_object() && members(holder) > 0)
            && let Ok(edited) = insert(text, parent, None, "new_key", new)
        {
            let before = common(text.bytes(), edited.bytes());
            let after = common(text.bytes().rev(), edited.bytes().rev());
            assert!(before + after >= text.len(), "{parent}: an insertion changed something:\n{edited}");
        }
    });
}

fn members(holder: &Value) -> usize {
    holder.as_object().map_or_else(|| holder.as_array().map_or(0, Vec::len), serde_json::Map::len)
}

/// The lines from the key of an entry to the end of its value.
fn lines_of(document: &Document, pointer: &str) -> Range<usize> {
    let text = &document.file.text;
    let (key, value) = (document.key_span(pointer).range, document.span(pointer).range);
    let start = text[..key.start.min(value.start)].rfind('\n').map_or(0, |at| at + 1);
    // The dash of an item, or the head of its block scalar, may stand on a line before.
    let before = text[..start].trim_end();
    let head = before.rfind('\n').map_or(0, |at| at + 1);
    let is_head = before[head..].trim_start().starts_with('-') && before[head..].contains(['|', '>']);
    let is_below = text[start..key.start.max(start)].trim().is_empty() && (is_head || before.ends_with('-'));
    let start = if is_below { head } else { start };
    let end = value.end.max(key.end);
    start..text[end..].find('\n').map_or(text.len(), |at| end + at + 1)
}

fn only_within(text: &str, edited: &str, lines: &Range<usize>, pointer: &str) {
    // The comma between entries in brackets goes with one of them.
    let between = |c: char| c.is_whitespace() || c == ',';
    let (before, behind) = (text[..lines.start].trim_end_matches(between), text[lines.end..].trim_matches(between));
    assert!(edited.starts_with(before), "{pointer}: what stands before has changed:\n{edited}");
    assert!(edited.trim_end_matches(between).ends_with(behind), "{pointer}: what stands behind has changed:\n{edited}");
}

/// The comment behind a value on one line stays.
fn keeps_comment(text: &str, edited: &str, document: &Document, pointer: &str) {
    let end = document.span(pointer).range.end;
    let rest = text[end..].lines().next().unwrap_or_default();
    if rest.trim_start().starts_with('#') && rest.starts_with(' ') {
        assert!(edited.contains(rest.trim()), "{pointer}: the comment {rest:?} is lost:\n{edited}");
    }
}

fn common(one: impl Iterator<Item = u8>, other: impl Iterator<Item = u8>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
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
