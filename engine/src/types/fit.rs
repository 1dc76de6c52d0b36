//! Values against declared types.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value as Json;

use super::{
    Misfit,
    form::{Base, Form},
};
use crate::{
    shape::{self, short},
    suggest,
    value::{Number, Object, Value},
};

/// The formats of strings that are checked.
pub(super) const FORMATS: [&str; 6] = ["date", "date-time", "time", "email", "uri", "uuid"];

/// Collects what does not fit.
#[derive(Default)]
pub(super) struct Fitter {
    pointer: String,
    misfits: Vec<Misfit>,
}

impl Fitter {
    /// The value, or every misfit.
    pub(super) fn done(self, value: Value) -> Result<Value, Vec<Misfit>> {
        if self.misfits.is_empty() { Ok(value) } else { Err(self.misfits) }
    }

    pub(super) fn misfit(&mut self, message: impl Into<String>, hint: Option<String>) {
        self.misfits.push(Misfit { pointer: self.pointer.clone(), message: message.into(), hint });
    }

    pub(super) fn below<T>(&mut self, key: &str, fit: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        shape::push(&mut self.pointer, key);
        let result = fit(self);
        self.pointer.truncate(length);
        result
    }

    /// A member that is there.
    pub(super) fn member(&mut self, name: &str, form: &Form<'_>, value: Value) -> Value {
        self.below(name, |this| this.fit(form, value))
    }

    /// A member that is missing: its default, or `null`.
    pub(super) fn absent(&mut self, name: &str, form: &Form<'_>) -> Value {
        if let Some(default) = form.rule("default") {
            return Value::from(default.clone());
        }
        if !form.optional {
            let expected = expected(form);
            self.below(name, |this| this.misfit(format!("missing `{name}`: expected {expected}"), None));
        }
        Value::Null
    }

    /// Checks a value and fills in what is missing in it.
    pub(super) fn fit(&mut self, form: &Form<'_>, value: Value) -> Value {
        if value.is_null() && form.outer {
            if let Some(default) = form.rule("default").filter(|_| !form.optional) {
                return Value::from(default.clone());
            }
            if form.optional {
                return value;
            }
        }
        if form.is_list() {
            return self.list(form, value);
        }
        let fits = self.base(form, value);
        if let Some(allowed) = form.rule("enum").and_then(Json::as_array) {
            self.choice(allowed, &fits);
        }
        fits
    }

    fn base(&mut self, form: &Form<'_>, value: Value) -> Value {
        match (form.base, value) {
            (Base::Any | Base::Array, value) | (Base::Boolean, value @ Value::Bool(_)) => value,
            (Base::String, Value::String(text)) => {
                self.text(form, &text);
                Value::String(text)
            }
            (Base::Integer, Value::Number(number)) => match whole(&number) {
                Some(number) => self.number(form, number),
                None => self.wrong(form, Value::Number(number)),
            },
            (Base::Number, Value::Number(number)) => self.number(form, number),
            (Base::Object, Value::Object(members)) => self.object(form, members),
            (Base::File, Value::Object(members)) => self.file(form, members),
            (_, value) => self.wrong(form, value),
        }
    }

    fn wrong(&mut self, form: &Form<'_>, value: Value) -> Value {
        let expected = expected(form);
        let hint = match &value {
            Value::List(_) | Value::Object(_) => None,
            scalar => shape::conversion(&expected, &scalar.to_json()),
        };
        self.misfit(format!("expected {expected}, found {}", found(&value)), hint);
        value
    }

    fn list(&mut self, form: &Form<'_>, value: Value) -> Value {
        let Value::List(items) = value else {
            return self.wrong(form, value);
        };
        if form.outer {
            self.count(form, items.len(), ("minItems", "maxItems"), "items");
        }
        let each = form.items();
        let fitted: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, item)| self.below(&index.to_string(), |this| this.fit(&each, item.clone())))
            .collect();
        let is_unique = form.outer && form.rule("uniqueItems") == Some(&Json::Bool(true));
        if is_unique && let Some(again) = (1..fitted.len()).find(|index| fitted[..*index].contains(&fitted[*index])) {
            self.misfit(format!("expected different items, found item {again} twice"), None);
        }
        Value::List(Arc::new(fitted))
    }

    fn object(&mut self, form: &Form<'_>, members: Arc<Object>) -> Value {
        let mut fitted = None;
        for (name, member) in form.members() {
            let value = match members.get(name) {
                Some(value) => self.member(name, &member, value.clone()),
                None => self.absent(name, &member),
            };
            if members.get(name) != Some(&value) {
                fitted.get_or_insert_with(|| (*members).clone()).insert(name.into(), value);
            }
        }
        Value::Object(fitted.map_or(members, Arc::new))
    }

    fn file(&mut self, form: &Form<'_>, members: Arc<Object>) -> Value {
        let text = |key: &str| members.get(key).and_then(Value::as_str);
        if text("id").is_none() || text("name").is_none() {
            self.misfit("expected a file (`id, name, mime, size, sha256`), found another object", None);
        }
        let accept = form.rule("accept").and_then(Json::as_array);
        if let (Some(accept), Some(mime)) = (accept, text("mime")) {
            let kinds: Vec<_> = accept.iter().filter_map(Json::as_str).collect();
            let name = text("name").unwrap_or_default();
            if !kinds.iter().any(|kind| accepts(kind, mime, name)) {
                self.misfit(format!("expected a file of {}, found `{mime}`", suggest::list(kinds)), None);
            }
        }
        Value::Object(members)
    }

    fn text(&mut self, form: &Form<'_>, text: &str) {
        self.count(form, text.chars().count(), ("minLength", "maxLength"), "characters");
        let pattern = form.rule("pattern").and_then(Json::as_str);
        if let Some(pattern) = pattern
            && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
        {
            self.misfit(format!("expected a text that matches `{pattern}`, found `{}`", short(text)), None);
        }
        let format = form.rule("format").and_then(Json::as_str);
        if let Some(format) = format
            && !has_format(format, text)
        {
            self.misfit(format!("expected the format `{format}`, found `{}`", short(text)), None);
        }
    }

    fn number(&mut self, form: &Form<'_>, number: Number) -> Value {
        let value = number.as_f64().unwrap_or_default();
        let limit = |key: &str| form.rule(key).and_then(Json::as_f64);
        let wrong = [
            ("at least", limit("minimum").filter(|least| value < *least)),
            ("at most", limit("maximum").filter(|most| value > *most)),
            ("more than", limit("exclusiveMinimum").filter(|bound| value <= *bound)),
            ("less than", limit("exclusiveMaximum").filter(|bound| value >= *bound)),
            ("a multiple of", limit("multipleOf").filter(|step| (value / step).fract().abs() > 1e-9)),
        ];
        for (words, limit) in wrong {
            if let Some(limit) = limit {
                self.misfit(format!("expected {words} {limit}, found {number}"), None);
            }
        }
        Value::Number(number)
    }

    fn count(&mut self, form: &Form<'_>, count: usize, keys: (&str, &str), what: &str) {
        let limit = |key: &str| form.rule(key).and_then(Json::as_u64).map(|limit| limit as usize);
        if let Some(least) = limit(keys.0).filter(|least| count < *least) {
            self.misfit(format!("expected at least {least} {what}, found {count}"), None);
        }
        if let Some(most) = limit(keys.1).filter(|most| count > *most) {
            self.misfit(format!("expected at most {most} {what}, found {count}"), None);
        }
    }

    fn choice(&mut self, allowed: &[Json], value: &Value) {
        let json = value.to_json();
        if allowed.contains(&json) {
            return;
        }
        let words: Vec<_> =
            allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        let names = || words.iter().map(String::as_str);
        let hint = value.as_str().and_then(|text| suggest::hint(text, names()));
        self.misfit(format!("expected {}, found {}", suggest::list(names()), found(value)), hint);
    }
}

fn expected(form: &Form<'_>) -> String {
    match (form.is_list(), form.base) {
        (true, Base::Array) => "a list".to_owned(),
        (true, base) => format!("a list (`{}{}`)", base.name(), "[]".repeat(form.lists)),
        (false, base) => base.words().to_owned(),
    }
}

/// What was found, with the value where it is short.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::List(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        scalar => shape::found(&scalar.to_json()),
    }
}

/// The integer that a number is: 3.0 is 3.
fn whole(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_f64() {
        return Some(number.clone());
    }
    let value = number.as_f64()?;
    (value.fract() == 0.0 && value.abs() <= EXACT).then(|| Number::from(value as i64))
}

/// Whether a file is of a kind: `text/csv`, `image/*`, `.csv`.
fn accepts(kind: &str, mime: &str, name: &str) -> bool {
    let mime = mime.split(';').next().unwrap_or_default().trim();
    match kind.strip_suffix('*') {
        Some(prefix) => mime.starts_with(prefix),
        None if kind.starts_with('.') => name.to_ascii_lowercase().ends_with(&kind.to_ascii_lowercase()),
        None => mime.eq_ignore_ascii_case(kind),
    }
}

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date" => text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "time" => chrono::NaiveTime::parse_from_str(text, "%H:%M:%S%.f").is_ok(),
        "uuid" => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
        "email" => text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace)
        }),
        "uri" => text.split_once(':').is_some_and(|(scheme, rest)| {
            let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(letters)
                && !rest.is_empty()
                && !rest.contains(char::is_whitespace)
        }),
        _ => true,
    }
}
