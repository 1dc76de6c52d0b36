//! The rules of a schema without variants.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use regex::Regex;
use serde_json::{Map, Number, Value};

use super::{
    Finding, Walker,
    describe::{field_name, short},
};
use crate::{
    codes,
    graph::escape,
    suggest,
    template::is_template,
    units::{Duration, Money, Size},
};

impl<'s> Walker<'s> {
    /// Whether the value has the type and is one of the values that are allowed.
    pub(super) fn check_kind(&mut self, rules: &'s Map<String, Value>, value: &Value) -> bool {
        if let Some(allowed) = allowed(rules) {
            if allowed.contains(&value) {
                return true;
            }
            let names: Vec<_> = allowed.iter().filter_map(|value| value.as_str()).map(str::to_owned).collect();
            self.wrong_choice(&names, value);
            return false;
        }
        if rules.get("type").is_none_or(|kind| has_kind(kind, value)) {
            return true;
        }
        if let Value::Number(number) = value
            && let Some((unit, name)) = unit_of(rules)
        {
            let message = format!("expected {name} {}, found the bare number `{number}`", field_name(&self.pointer));
            self.shape.findings.push(
                Finding::new(codes::BARE_NUMBER, &self.pointer, message)
                    .label("no unit")
                    .hint(format!("write `{}`, not `{number}`", with_unit(number, unit))),
            );
            return false;
        }
        let expected = expected_plain(rules);
        self.wrong_type(&expected, value);
        false
    }

    /// Names that may come from a template only where another field lists them: `x-liteagent-allow` says which.
    pub(super) fn check_allowed(&mut self, known: Option<&'s Map<String, Value>>, members: &Map<String, Value>) {
        for (key, member) in members {
            let listed = known.and_then(|known| known.get(key)?.get("x-liteagent-allow")?.as_str());
            let Some(list) = listed.filter(|_| holds_template(member)) else { continue };
            if members.get(list).is_some_and(|names| names.as_array().is_none_or(|names| !names.is_empty())) {
                continue;
            }
            let message = format!("expected `{list}` beside a name that comes from a template, found none");
            let pointer = format!("{}/{}", self.pointer, escape(key));
            let finding = Finding::new(codes::NAME_NOT_ALLOWED, pointer, message);
            let hint = format!("list the names that it may give: `{list}: [handbook, \"team-*\"]`");
            self.shape.findings.push(finding.label("any name could come").hint(hint));
        }
    }

    /// A value that is none of a few words.
    pub(super) fn wrong_choice(&mut self, names: &[String], value: &Value) {
        let list = suggest::list(names.iter().map(String::as_str));
        let Value::String(text) = value else {
            return self.wrong_type(&list, value);
        };
        let message = format!("expected {list} {}, found `{}`", field_name(&self.pointer), short(text));
        let hint = suggest::hint(text, names.iter().map(String::as_str));
        self.shape.findings.push(Finding::new(codes::WRONG_CHOICE, &self.pointer, message).hint(hint));
    }

    pub(super) fn check_text(&mut self, rules: &'s Map<String, Value>, text: &str) {
        self.check_count(rules, text.chars().count(), ("minLength", "maxLength"), "characters");
        let Some(pattern) = rules.get("pattern").and_then(Value::as_str) else { return };
        if matches(pattern, text) {
            return;
        }
        let own = rules.get("errorMessage").or_else(|| rules.get("patternErrorMessage")).and_then(Value::as_str);
        let expected = own.map_or_else(
            || format!("expected a text that matches `{pattern}`"),
            |message| if message.starts_with("expected") { message.to_owned() } else { format!("expected {message}") },
        );
        let message = format!("{expected} {}, found `{}`", field_name(&self.pointer), short(text));
        let hint = unit_of(rules).and_then(|(unit, _)| unit_hint(text, unit));
        self.shape.findings.push(Finding::new(codes::WRONG_FORM, &self.pointer, message).hint(hint));
    }

    pub(super) fn check_name(&mut self, rules: &'s Map<String, Value>, key: &str) {
        let names = rules.get("propertyNames").and_then(Value::as_object);
        let Some(pattern) = names.and_then(|names| names.get("pattern")).and_then(Value::as_str) else { return };
        if matches(pattern, key) {
            return;
        }
        let own = names.and_then(|names| names.get("patternErrorMessage")).and_then(Value::as_str);
        let expected = own.map_or_else(|| format!("expected a name that matches `{pattern}`"), str::to_owned);
        let message = format!("{expected}, found `{}`", short(key));
        self.shape.findings.push(Finding::new(codes::WRONG_FORM, &self.pointer, message).on_key());
    }

    pub(super) fn check_number(&mut self, rules: &'s Map<String, Value>, number: &Number) {
        let Some(value) = number.as_f64() else { return };
        let limit = |key: &str| rules.get(key).and_then(Value::as_f64);
        let width = rules.get("format").and_then(Value::as_str).and_then(largest);
        let (least, most) = (limit("minimum"), limit("maximum").or(width));
        let wrong = if let Some(least) = least.filter(|least| value < *least) {
            format!("at least {least}")
        } else if let Some(most) = most.filter(|most| value > *most) {
            format!("at most {most}")
        } else if let Some(bound) = limit("exclusiveMinimum").filter(|bound| value <= *bound) {
            format!("more than {bound}")
        } else if let Some(bound) = limit("exclusiveMaximum").filter(|bound| value >= *bound) {
            format!("less than {bound}")
        } else {
            return;
        };
        let message = format!("expected {wrong} {}, found `{number}`", field_name(&self.pointer));
        let hint = match (least, most) {
            (Some(least), Some(most)) => Some(format!("write a number from {least} to {most}")),
            _ => Some(format!("write {wrong}")),
        };
        self.shape.findings.push(Finding::new(codes::OUT_OF_RANGE, &self.pointer, message).hint(hint));
    }

    pub(super) fn check_count(&mut self, rules: &'s Map<String, Value>, count: usize, keys: (&str, &str), what: &str) {
        let limit = |key: &str| rules.get(key).and_then(Value::as_u64).map(|limit| limit as usize);
        let wrong = match (limit(keys.0), limit(keys.1)) {
            (Some(least), _) if count < least => format!("at least {least}"),
            (_, Some(most)) if count > most => format!("at most {most}"),
            _ => return,
        };
        let what = if wrong.ends_with(" 1") {
            what.strip_suffix("ies").map_or_else(|| what.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"))
        } else {
            what.to_owned()
        };
        let message = format!("expected {wrong} {what} {}, found {count}", field_name(&self.pointer));
        self.shape.findings.push(Finding::new(codes::OUT_OF_RANGE, &self.pointer, message));
    }
}

fn allowed(rules: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (rules.get("const"), rules.get("enum")) {
        (Some(constant), _) => Some(vec![constant]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

/// Whether a value has a type, or one of several.
fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(holds_template),
        _ => false,
    }
}

pub(super) fn has_kind(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::String(kind) => is_kind(kind, value),
        Value::Array(kinds) => kinds.iter().any(|kind| has_kind(kind, value)),
        _ => true,
    }
}

fn is_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn expected_plain(rules: &Map<String, Value>) -> String {
    let own = rules.get("errorMessage").or_else(|| rules.get("patternErrorMessage")).and_then(Value::as_str);
    if let Some(message) = own {
        return message.strip_prefix("expected ").unwrap_or(message).to_owned();
    }
    if rules.contains_key("x-liteagent-nodes") {
        return "a map of nodes".to_owned();
    }
    super::describe::kinds(rules.get("type"))
}

/// A unit to suggest, and the name of the quantity, for durations, sizes and money.
fn unit_of(rules: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    match rules.get("pattern")?.as_str()? {
        Duration::PATTERN => Some(("s", "a duration")),
        Size::PATTERN => Some(("MiB", "a size")),
        Money::PATTERN => Some((" USD", "an amount of money")),
        _ => None,
    }
}

/// A number with its unit; seconds and mebibytes that are not whole, in the next smaller unit.
fn with_unit(number: &Number, unit: &str) -> String {
    match (number.as_f64().filter(|_| number.is_f64()), unit) {
        (Some(seconds), "s") => format!("{}ms", (seconds * 1000.0).round()),
        (Some(size), "MiB") => format!("{}KiB", (size * 1024.0).round()),
        _ => format!("{number}{unit}"),
    }
}

/// `"30"`, `30 s`, `30sec` and the like.
fn unit_hint(text: &str, unit: &str) -> Option<String> {
    let digits = text.trim().find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.trim().len());
    if unit == " USD" {
        let number = text.trim().trim_matches(|letter: char| !letter.is_ascii_digit());
        return Money::parse(&format!("{number} USD")).ok().map(|_| format!("write `{number} USD`"));
    }
    let (number, rest) = text.trim().split_at(digits);
    if number.is_empty() {
        return None;
    }
    let rest = rest.trim().to_ascii_lowercase();
    let written = match (unit, rest.as_str()) {
        (_, "") => unit,
        ("s", "sec" | "secs" | "second" | "seconds") => "s",
        ("s", "min" | "mins" | "minute" | "minutes") => "m",
        ("s", "hour" | "hours" | "hr" | "hrs") => "h",
        ("s", "day" | "days") => "d",
        ("s", unit @ ("ms" | "s" | "m" | "h" | "d")) => unit,
        ("MiB", "k" | "kb" | "kib") => "KiB",
        ("MiB", "m" | "mb" | "mib") => "MiB",
        ("MiB", "g" | "gb" | "gib") => "GiB",
        ("MiB", "b" | "bytes") => "B",
        _ => return None,
    };
    Some(format!("write `{number}{written}`"))
}

/// The largest number of an integer format of schemars.
fn largest(format: &str) -> Option<f64> {
    Some(match format {
        "uint8" => f64::from(u8::MAX),
        "uint16" => f64::from(u16::MAX),
        "uint32" => f64::from(u32::MAX),
        "int32" => f64::from(i32::MAX),
        _ => return None,
    })
}

/// Whether a text matches the pattern of a schema. A pattern that is no regular expression matches everything.
fn matches(pattern: &str, text: &str) -> bool {
    /// Patterns come from our own types, so there are few; the limit is for what nobody thought of.
    const MOST: usize = 512;
    static COMPILED: OnceLock<Mutex<HashMap<String, Option<Regex>>>> = OnceLock::new();
    let mut compiled = COMPILED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(pattern) {
        return known.as_ref().is_none_or(|regex| regex.is_match(text));
    }
    let regex = Regex::new(pattern).ok();
    let fits = regex.as_ref().is_none_or(|regex| regex.is_match(text));
    if compiled.len() < MOST {
        compiled.insert(pattern.to_owned(), regex);
    }
    fits
}
