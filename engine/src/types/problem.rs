//! What can be wrong with a declared type.

use regex::Regex;
use serde_json::{Map, Value as Json};

use super::{
    fit::{FORMATS, Fitter},
    form::{Base, Form, NAMES, parse_name},
};
use crate::{
    codes,
    shape::{self, Finding},
    suggest,
    value::Value,
};

/// The keys of the long form, and the kinds that each is for; none: for all.
const KEYS: [(&str, &[Base]); 21] = [
    ("type", &[]),
    ("title", &[]),
    ("description", &[]),
    ("default", &[]),
    ("optional", &[]),
    ("enum", &[]),
    ("pattern", &[Base::String]),
    ("format", &[Base::String]),
    ("minLength", &[Base::String]),
    ("maxLength", &[Base::String]),
    ("minimum", &[Base::Integer, Base::Number]),
    ("maximum", &[Base::Integer, Base::Number]),
    ("exclusiveMinimum", &[Base::Integer, Base::Number]),
    ("exclusiveMaximum", &[Base::Integer, Base::Number]),
    ("multipleOf", &[Base::Integer, Base::Number]),
    ("items", &[Base::Array]),
    ("minItems", &[]),
    ("maxItems", &[]),
    ("uniqueItems", &[]),
    ("properties", &[Base::Object]),
    ("accept", &[Base::File]),
];

/// The names of types elsewhere, and ours.
const FOREIGN: [(&str, &str); 17] = [
    ("str", "string"),
    ("text", "string"),
    ("char", "string"),
    ("int", "integer"),
    ("long", "integer"),
    ("float", "number"),
    ("double", "number"),
    ("decimal", "number"),
    ("bool", "boolean"),
    ("list", "string[]"),
    ("dict", "object"),
    ("map", "object"),
    ("json", "any"),
    ("date", "{ type: string, format: date }"),
    ("datetime", "{ type: string, format: date-time }"),
    ("select", "{ type: string, enum: [...] }"),
    ("image", "{ type: file, accept: [\"image/*\"] }"),
];

/// Every problem of a declaration at a pointer.
pub(super) fn problems(json: &Json, pointer: &str) -> Vec<Finding> {
    let mut reader = Reader { pointer: pointer.to_owned(), findings: Vec::new() };
    reader.declaration(json);
    reader.findings
}

struct Reader {
    pointer: String,
    findings: Vec<Finding>,
}

impl Reader {
    fn declaration(&mut self, json: &Json) {
        match json {
            Json::String(name) => self.name(name),
            Json::Object(rules) => self.rules(json, rules),
            other => self.wrong("a type such as `string`, `integer[]` or `{ type: string }`", other),
        }
    }

    fn name(&mut self, name: &str) {
        if parse_name(name).is_some() && name.trim_end_matches(['[', ']', '?']) != "array" {
            return;
        }
        let stem = name.trim_end_matches(['[', ']', '?']);
        let suffix = &name[stem.len()..];
        let foreign = FOREIGN.iter().find(|(foreign, _)| stem.eq_ignore_ascii_case(foreign));
        let known = || NAMES.iter().map(|(known, _)| *known).filter(|known| *known != "array");
        let hint = if stem == "array" {
            "write the type of the items, as in `string[]`, or `{ type: array, items: ... }`".to_owned()
        } else if let Some((_, ours)) = foreign {
            if ours.starts_with('{') { format!("write `{ours}`") } else { format!("write `{ours}{suffix}`") }
        } else if let Some(near) = suggest::nearest(stem, known()) {
            format!("did you mean `{near}{suffix}`?")
        } else {
            format!("use {}, each also as a list (`string[]`) or optional (`\"string?\"`)", suggest::list(known()))
        };
        self.push(
            Finding::new(codes::BAD_TYPE, &self.pointer, format!("unknown type `{}`", shape::short(name))).hint(hint),
        );
    }

    fn rules(&mut self, json: &Json, rules: &Map<String, Json>) {
        let before = self.findings.len();
        match rules.get("type") {
            Some(Json::String(name)) if parse_name(name).is_some() => {}
            Some(Json::String(name)) => self.below("type", |this| this.name(name)),
            Some(Json::Array(_)) => self.below("type", |this| {
                let finding = Finding::new(codes::BAD_TYPE, &this.pointer, "expected one type, found a list of types");
                this.push(finding.hint("write `any`, or one type with `optional: true`".to_owned()));
            }),
            Some(other) => self.below("type", |this| this.wrong("the name of a type", other)),
            None if rules.contains_key("enum") => {}
            None if !self.no_type(rules) => return,
            None => {}
        }
        let form = Form::of(json);
        for (key, value) in rules {
            self.below(key, |this| this.rule(&form, key, value));
        }
        if let Some(default) = rules.get("default").filter(|_| self.findings.len() == before) {
            self.default(&form, default);
        }
    }

    /// Reports that there is no `type`; `false` when the map is no declaration at all.
    fn no_type(&mut self, rules: &Map<String, Json>) -> bool {
        let finding =
            Finding::new(codes::MISSING_FIELD, &self.pointer, "missing field `type` in a declared type").on_key();
        let looks_like = if rules.contains_key("properties") {
            "object"
        } else if rules.contains_key("items") {
            "array"
        } else if rules.is_empty() || rules.keys().any(|key| KEYS.iter().any(|(known, _)| known == key)) {
            "string"
        } else {
            let hint = "wrap the members: `{ type: object, properties: { ... } }`".to_owned();
            self.push(finding.hint(hint));
            return false;
        };
        self.push(finding.hint(format!("add `type: {looks_like}`")));
        true
    }

    fn rule(&mut self, form: &Form<'_>, key: &str, value: &Json) {
        let Some((_, kinds)) = KEYS.iter().find(|(known, _)| *known == key) else {
            return self.unknown(key, value);
        };
        let is_for = kinds.is_empty() || kinds.contains(&form.base) || form.base == Base::Any;
        let counts_items = matches!(key, "minItems" | "maxItems" | "uniqueItems");
        if !is_for || (counts_items && !form.is_list()) {
            let kinds = if counts_items { &[Base::Array][..] } else { kinds };
            let names = suggest::list(kinds.iter().map(|base| base.name()));
            let message = format!("`{key}` means nothing for `{}`, only for {names}", form.base.name());
            let finding = Finding::new(codes::BAD_TYPE, &self.pointer, message).on_key();
            return self.push(finding.hint(format!("remove `{key}`, or change `type`")));
        }
        self.rule_value(key, value);
    }

    fn rule_value(&mut self, key: &str, value: &Json) {
        match (key, value) {
            ("type" | "default", _)
            | ("title" | "description", Json::String(_))
            | ("optional" | "uniqueItems", Json::Bool(_))
            | ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", Json::Number(_)) => {}
            ("optional" | "uniqueItems", other) => self.wrong("a boolean", other),
            ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", other) => self.wrong("a number", other),
            ("multipleOf", value) if value.as_f64().is_some_and(|number| number > 0.0) => {}
            ("multipleOf", other) => self.wrong("a number above 0", other),
            ("minLength" | "maxLength" | "minItems" | "maxItems", value) if value.is_u64() => {}
            ("minLength" | "maxLength" | "minItems" | "maxItems", other) => self.wrong("a number from 0", other),
            ("pattern", Json::String(pattern)) => self.pattern(pattern),
            ("format", Json::String(format)) => self.format(format),
            ("title" | "description" | "pattern" | "format", other) => self.wrong("a string", other),
            ("enum", Json::Array(values)) if !values.is_empty() => {}
            ("enum", other) => self.wrong("a list of the values that are allowed", other),
            ("accept", Json::Array(kinds)) if !kinds.is_empty() && kinds.iter().all(Json::is_string) => {}
            ("accept", other) => self.wrong("a list of MIME types such as `text/csv` or `image/*`", other),
            ("items", value) => self.declaration(value),
            ("properties", Json::Object(members)) => {
                for (name, member) in members {
                    self.below(name, |this| this.declaration(member));
                }
            }
            (_, other) => self.wrong("a map", other),
        }
    }

    fn unknown(&mut self, key: &str, value: &Json) {
        let hint = match (key, value) {
            ("required", Json::Bool(true)) => {
                "remove it: what has no `default` and no `optional: true` is required".to_owned()
            }
            ("required", Json::Bool(false)) | ("nullable", _) => "write `optional: true`".to_owned(),
            ("required", Json::Array(_)) => "mark the members that may be missing with `optional: true`".to_owned(),
            ("min", _) => "write `minimum`, `minLength` or `minItems`".to_owned(),
            ("max", _) => "write `maximum`, `maxLength` or `maxItems`".to_owned(),
            ("options" | "values" | "choices" | "oneOf", _) => "write `enum: [a, b]`".to_owned(),
            ("label" | "name", _) => "write `title` or `description`".to_owned(),
            _ => {
                let names = || KEYS.iter().map(|(known, _)| *known);
                suggest::hint(key, names())
                    .unwrap_or_else(|| "remove it; a declared type takes a subset of JSON Schema".to_owned())
            }
        };
        let message = format!("unknown field `{}` in a declared type", shape::short(key));
        self.push(
            Finding::new(codes::UNKNOWN_FIELD, &self.pointer, message).on_key().label("no such field").hint(hint),
        );
    }

    fn pattern(&mut self, pattern: &str) {
        if let Err(error) = Regex::new(pattern) {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = format!("the pattern is no regular expression: {reason}");
            self.push(Finding::new(codes::BAD_TYPE, &self.pointer, message));
        }
    }

    fn format(&mut self, format: &str) {
        if FORMATS.contains(&format) {
            return;
        }
        let hint =
            suggest::hint(format, FORMATS).unwrap_or_else(|| format!("use {}, or a `pattern`", suggest::list(FORMATS)));
        let message = format!("unknown format `{}`", shape::short(format));
        self.push(Finding::new(codes::BAD_TYPE, &self.pointer, message).hint(hint));
    }

    fn default(&mut self, form: &Form<'_>, default: &Json) {
        let mut fitter = Fitter::default();
        let value = fitter.fit(form, Value::from(default.clone()));
        for misfit in fitter.done(value).err().unwrap_or_default() {
            let pointer = format!("{}/default{}", self.pointer, misfit.pointer);
            let message = format!("the default does not fit: {}", misfit.message);
            self.push(Finding::new(codes::BAD_DEFAULT, pointer, message).hint(misfit.hint));
        }
    }

    fn wrong(&mut self, expected: &str, value: &Json) {
        let message = format!("expected {expected}, found {}", shape::found(value));
        self.push(Finding::new(codes::WRONG_TYPE, &self.pointer, message).hint(shape::conversion(expected, value)));
    }

    fn below(&mut self, key: &str, read: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        shape::push(&mut self.pointer, key);
        read(self);
        self.pointer.truncate(length);
    }

    fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
