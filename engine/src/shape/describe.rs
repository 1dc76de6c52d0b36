//! Words for schemas and values.

use serde_json::Value;

use super::{Walker, resolve};
use crate::suggest;

impl<'s> Walker<'s> {
    /// What a schema expects: `a list`, `` `fail` or `continue` ``, `a duration such as 30s`.
    pub(super) fn expected(&self, schema: &'s Value) -> String {
        let Some(rules) = schema.as_object() else {
            return "a value".to_owned();
        };
        if let Some(target) = resolve(self.root, rules) {
            return self.expected(target);
        }
        for message in ["errorMessage", "patternErrorMessage"] {
            if let Some(message) = rules.get(message).and_then(Value::as_str) {
                return message.strip_prefix("expected ").unwrap_or(message).to_owned();
            }
        }
        if rules.contains_key("x-liteagent-nodes") {
            return "a map of nodes".to_owned();
        }
        if rules.contains_key("x-liteagent-type") {
            return "a type such as `string`".to_owned();
        }
        match rules.get("x-liteagent-template").and_then(Value::as_str) {
            Some("tree") => return "a value".to_owned(),
            Some("secret") => return "a string".to_owned(),
            Some(_) => {
                let inner = super::template::inner(schema);
                return inner.map_or_else(|| "a value".to_owned(), |inner| self.expected_rules(inner));
            }
            None => {}
        }
        self.expected_rules(schema)
    }

    fn expected_rules(&self, schema: &'s Value) -> String {
        if let Some(constants) = self.constants(schema) {
            return suggest::list(constants.iter().map(String::as_str));
        }
        let variants = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(key)).and_then(Value::as_array);
        if let Some(variants) = variants {
            let mut words: Vec<_> =
                variants.iter().filter(|variant| !is_null(variant)).map(|variant| self.expected(variant)).collect();
            words.dedup();
            return either(&words);
        }
        kinds(schema.get("type"))
    }

    /// The form of a value as a hint writes it.
    pub(super) fn example(&self, schema: &'s Value) -> String {
        let expected = self.expected(schema);
        match expected.as_str() {
            "a map of nodes" | "a map" => "{ ... }".to_owned(),
            "a list" => "[...]".to_owned(),
            "an integer" | "a number" => "1".to_owned(),
            "a boolean" => "true".to_owned(),
            _ => match expected.split('`').nth(1).or_else(|| expected.split_once("such as ").map(|(_, words)| words)) {
                Some(words) => words.split([',', ' ']).next().unwrap_or("...").to_owned(),
                None => "...".to_owned(),
            },
        }
    }

    /// The texts of a schema that allows only certain ones.
    pub(super) fn constants(&self, schema: &'s Value) -> Option<Vec<String>> {
        let rules = schema.as_object()?;
        if rules.contains_key("x-liteagent-template") {
            return None;
        }
        if let Some(target) = resolve(self.root, rules) {
            return self.constants(target);
        }
        if let Some(constant) = rules.get("const") {
            return Some(vec![plain_text(constant)]);
        }
        if let Some(values) = rules.get("enum").and_then(Value::as_array) {
            return Some(values.iter().filter(|value| !value.is_null()).map(plain_text).collect());
        }
        let variants = rules.get("anyOf").or_else(|| rules.get("oneOf")).or_else(|| rules.get("allOf"))?.as_array()?;
        let mut all = Vec::new();
        for variant in variants.iter().filter(|variant| !is_null(variant)) {
            all.extend(self.constants(variant)?);
        }
        Some(all)
    }
}

/// Whether a schema is `{ type: null }`.
pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// The names of the types that a `type` allows.
pub(super) fn kinds(kind: Option<&Value>) -> String {
    match kind {
        Some(Value::String(kind)) => kind_name(kind).to_owned(),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            either(&kinds.map(|kind| kind_name(kind).to_owned()).collect::<Vec<_>>())
        }
        _ => "a value".to_owned(),
    }
}

/// `a, b or c`.
pub(super) fn either(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn kind_name(kind: &str) -> &str {
    match kind {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a map",
        "null" => "nothing",
        other => other,
    }
}

/// What was found, with the value where it is short.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean `{value}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => format!("the string `{}`", short(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 40;
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() { format!("{line}...") } else { line }
}

/// `` in `field` ``, or `` in an item of `field` ``.
pub(super) fn field_name(pointer: &str) -> String {
    let mut steps = pointer.rsplit('/').filter(|step| !step.is_empty());
    let Some(last) = steps.next() else {
        return "here".to_owned();
    };
    let name = |step: &str| step.replace("~1", "/").replace("~0", "~");
    if last.parse::<usize>().is_err() {
        return format!("in `{}`", name(last));
    }
    match steps.find(|step| step.parse::<usize>().is_err()) {
        Some(list) => format!("in an item of `{}`", name(list)),
        None => "in an item of the list".to_owned(),
    }
}

/// How to turn a value of the wrong type into the right one.
pub(crate) fn conversion(expected: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) if expected.contains("a string") => Some(format!("write `\"{value}\"`")),
        Value::String(text) if is_number_word(expected) && text.trim().parse::<f64>().is_ok() => {
            Some(format!("write `{}` without quotes", text.trim()))
        }
        Value::String(text) if expected.contains("a boolean") => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some("write `true` without quotes".to_owned()),
            "false" | "no" | "off" | "n" => Some("write `false` without quotes".to_owned()),
            _ => None,
        },
        Value::String(text) if expected == "a list" && text.chars().count() <= 40 && !text.contains(['\n', '"']) => {
            Some(format!("write a list: `[{}]`", list_item(text)))
        }
        _ => None,
    }
}

fn list_item(text: &str) -> String {
    let is_plain = text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    if is_plain && !text.is_empty() { text.to_owned() } else { format!("\"{text}\"") }
}

fn is_number_word(expected: &str) -> bool {
    expected.contains("an integer") || expected.contains("a number")
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
