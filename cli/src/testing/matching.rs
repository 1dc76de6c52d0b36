//! Whether a value is what a test expects.

use regex::Regex;
use serde_json::Value as Json;

/// One difference: where, what was expected, what was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    /// What was looked at: `outputs.text`.
    pub(crate) field: String,
    /// What was expected.
    pub(crate) expected: String,
    /// What was found.
    pub(crate) found: String,
}

impl Mismatch {
    pub(super) fn new(field: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { field: field.into(), expected: expected.into(), found: found.into() }
    }
}

/// Compares, and says every difference. `{ contains }` and `{ matches }` may stand at any depth.
pub(super) fn compare(field: &str, expected: &Json, found: &Json, into: &mut Vec<Mismatch>) {
    if let Some(matcher) = Matcher::of(expected) {
        if !matcher.fits(found) {
            into.push(Mismatch::new(field, matcher.describe(), shown(found)));
        }
        return;
    }
    match (expected, found) {
        (Json::Object(members), Json::Object(others)) => {
            for (name, expected) in members {
                let field = format!("{field}.{name}");
                match others.get(name) {
                    Some(found) => compare(&field, expected, found, into),
                    None => into.push(Mismatch::new(field, shown(expected), "nothing")),
                }
            }
            for (name, found) in others.iter().filter(|(name, _)| !members.contains_key(*name)) {
                into.push(Mismatch::new(format!("{field}.{name}"), "nothing", shown(found)));
            }
        }
        (Json::Array(items), Json::Array(others)) if items.len() == others.len() => {
            for (index, (expected, found)) in items.iter().zip(others).enumerate() {
                compare(&format!("{field}[{index}]"), expected, found, into);
            }
        }
        _ if equal(expected, found) => {}
        _ => into.push(Mismatch::new(field, shown(expected), shown(found))),
    }
}

/// How a test writes that a value need not be equal.
enum Matcher<'a> {
    Contains(&'a Json),
    Matches(&'a str),
}

impl<'a> Matcher<'a> {
    fn of(expected: &'a Json) -> Option<Self> {
        let members = expected.as_object().filter(|members| members.len() == 1)?;
        let (name, value) = members.iter().next()?;
        match name.as_str() {
            "contains" => Some(Self::Contains(value)),
            "matches" => value.as_str().map(Self::Matches),
            _ => None,
        }
    }

    fn fits(&self, found: &Json) -> bool {
        match self {
            Self::Contains(part) => contains(part, found),
            Self::Matches(pattern) => {
                let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Contains(part) => format!("something that contains {}", shown(part)),
            Self::Matches(pattern) => format!("something that matches /{pattern}/"),
        }
    }
}

/// Whether something in it need not be equal.
pub(super) fn has_matcher(expected: &Json) -> bool {
    Matcher::of(expected).is_some()
        || match expected {
            Json::Object(members) => members.values().any(has_matcher),
            Json::Array(items) => items.iter().any(has_matcher),
            _ => false,
        }
}

/// A text has a part, a list an item, an object these members.
fn contains(part: &Json, found: &Json) -> bool {
    let fits = |expected: &Json, found: &Json| {
        let mut differences = Vec::new();
        compare("", expected, found, &mut differences);
        differences.is_empty()
    };
    match (part, found) {
        (Json::String(part), Json::String(text)) => text.contains(part.as_str()),
        (Json::Object(members), Json::Object(others)) => {
            members.iter().all(|(name, part)| others.get(name).is_some_and(|found| fits(part, found)))
        }
        (Json::Array(parts), Json::Array(items)) => parts.iter().all(|part| items.iter().any(|item| fits(part, item))),
        (part, Json::Array(items)) => items.iter().any(|item| fits(part, item)),
        _ => false,
    }
}

/// Numbers are equal by value: `1` is `1.0`.
fn equal(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        _ => expected == found,
    }
}

/// A value for people: JSON, shortened.
pub(super) fn shown(value: &Json) -> String {
    const LONGEST: usize = 400;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head}... ({} characters)", text.chars().count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: Json, found: Json) -> Vec<String> {
        let mut into = Vec::new();
        compare("outputs", &expected, &found, &mut into);
        into.into_iter().map(|one| format!("{}: {} / {}", one.field, one.expected, one.found)).collect()
    }

    #[test]
    fn matchers_stand_at_any_depth_and_the_rest_is_exact() {
        let found = json!({ "text": "Order 7: shipped", "rows": [{ "n": 1, "at": "2026" }], "sum": 2.0 });
        assert!(
            differences(
                json!({ "text": { "contains": "shipped" }, "rows": [{ "n": 1, "at": { "matches": "^20" } }], "sum": 2 }),
                found.clone()
            )
            .is_empty()
        );
        assert_eq!(
            differences(json!({ "text": { "matches": "^x" }, "rows": [{ "n": 2, "at": "2026" }] }), found),
            [
                "outputs.text: something that matches /^x/ / \"Order 7: shipped\"",
                "outputs.rows[0].n: 2 / 1",
                "outputs.sum: nothing / 2.0",
            ]
        );
    }

    #[test]
    fn lists_and_objects_contain_their_parts() {
        assert!(differences(json!({ "contains": { "a": 1 } }), json!([{ "a": 1 }, 2])).is_empty());
        assert!(differences(json!({ "contains": { "a": 1 } }), json!({ "a": 1, "b": 2 })).is_empty());
        assert!(differences(json!({ "contains": [2] }), json!([1, 2])).is_empty());
        assert!(!differences(json!({ "contains": "z" }), json!("abc")).is_empty());
    }
}
