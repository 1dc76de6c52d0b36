//! Values to YAML that every YAML tool reads as the same value.

use serde_json::{Map, Value};

use super::resolve;

/// The longest collection that is written on one line where it has a choice.
const SHORT: usize = 80;

/// A value on one line, as it may stand within brackets.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{}: {}", text(key, true), flow(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::String(words) => text(words, true),
        scalar => scalar.to_string(),
    }
}

/// What follows `key:` or `-` outside of brackets: on the same line, or on further lines indented by `indent`.
pub(super) fn block(value: &Value, indent: usize) -> String {
    match value {
        Value::String(words) => match literal(words, indent) {
            Some(literal) => format!(" {literal}"),
            None => format!(" {}", text(words, false)),
        },
        Value::Array(_) | Value::Object(_) if is_short(value) => format!(" {}", flow(value)),
        Value::Array(_) | Value::Object(_) => format!("\n{}", lines(value, indent)),
        scalar => format!(" {scalar}"),
    }
}

/// A collection that is not empty, in lines indented by `indent`; without the last line break.
pub(super) fn lines(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let lines: Vec<_> = match value {
        Value::Array(items) => items.iter().map(|item| format!("{margin}-{}", item_of(item, indent + 2))).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| format!("{margin}{}", entry(key, value, indent))).collect()
        }
        scalar => vec![format!("{margin}{}", block(scalar, indent).trim_start())],
    };
    lines.join("\n")
}

/// `key: value`, where further lines are indented deeper than `indent`.
pub(super) fn entry(key: &str, value: &Value, indent: usize) -> String {
    format!("{}:{}", text(key, false), block(value, indent + 2))
}

fn item_of(item: &Value, indent: usize) -> String {
    match item {
        Value::Object(members) if !members.is_empty() && !is_short(item) => {
            format!(" {}", lines(item, indent).trim_start())
        }
        other => block(other, indent),
    }
}

/// Whether a collection stands well on one line: it is empty, or small and flat.
fn is_short(value: &Value) -> bool {
    let is_flat = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => !text.contains('\n'),
        _ => true,
    };
    let flat = match value {
        Value::Array(items) => items.iter().all(is_flat),
        Value::Object(members) => members.values().all(is_flat),
        _ => true,
    };
    is_flat(value) || (flat && flow(value).len() <= SHORT)
}

/// A text of several lines below `|`.
fn literal(words: &str, indent: usize) -> Option<String> {
    let body = words.strip_suffix('\n').unwrap_or(words);
    let is_plain = |letter: char| {
        letter == '\n' || !letter.is_control() && !matches!(letter, '\u{feff}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.chars().all(is_plain)
        && !body.lines().any(|line| line.trim().is_empty() && !line.is_empty());
    if !fits {
        return None;
    }
    let head = if body.len() == words.len() { "|-" } else { "|" };
    let margin = " ".repeat(indent);
    let lines: Vec<_> =
        body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{margin}{line}") }).collect();
    Some(format!("{head}\n{}", lines.join("\n")))
}

/// A text on one line: without quotes where that is safe.
pub(super) fn text(words: &str, in_flow: bool) -> String {
    if is_plain(words, in_flow) {
        return words.to_owned();
    }
    if words.contains(['"', '\\']) && !words.contains('\'') && words.chars().all(|letter| !letter.is_control()) {
        return format!("'{words}'");
    }
    Value::from(words).to_string().replace('\u{7f}', "\\x7f").replace('\u{feff}', "\\ufeff").replace('\u{85}', "\\N")
}

fn is_plain(words: &str, in_flow: bool) -> bool {
    let Some(first) = words.chars().next() else { return false };
    let starts =
        first.is_alphabetic() || matches!(first, '_' | '/' | '(' | '^') || (first.is_ascii_digit() && has_unit(words));
    let bad = |letter: char| letter.is_control() || matches!(letter, '\u{feff}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let breaks_flow = in_flow && words.contains([',', '[', ']', '{', '}', ':']);
    starts
        && !breaks_flow
        && !words.ends_with([' ', ':'])
        && !words.contains(": ")
        && !words.contains(" #")
        && !words.chars().any(bad)
        && resolve::old_boolean(words).is_none()
        && resolve::plain(words).is_ok_and(|value| value.is_string())
}

/// `30s`, `10MiB`: digits and then letters, which no tool takes for a number.
fn has_unit(words: &str) -> bool {
    let unit = words.trim_start_matches(|letter: char| letter.is_ascii_digit());
    !words.starts_with('0') && !unit.is_empty() && unit.chars().all(char::is_alphabetic)
}

/// The members of a map as JSON, with one set or added.
pub(super) fn with(members: &Map<String, Value>, key: &str, value: Value) -> Map<String, Value> {
    let mut members = members.clone();
    members.insert(key.to_owned(), value);
    members
}
