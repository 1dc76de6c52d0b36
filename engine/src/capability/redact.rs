//! Secrets never enter a record or a stream (R8): resolved values are replaced by `[secret NAME]`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Secrets;
use crate::value::Value;

/// Shorter values are left alone: they would hide ordinary text.
const SHORTEST: usize = 8;

/// Replaces secrets by `[secret NAME]`, also in base64 and percent encoding.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// What is looked for, longest first, and what stands in its place.
    needles: Arc<Vec<(String, String)>>,
}

impl Redactor {
    /// A redactor for these secrets, such as those that a workflow declares. Values of less than 8 bytes are left alone.
    pub fn new(secrets: &Secrets, declared: &[String]) -> Self {
        let mut needles = Vec::new();
        for name in declared {
            let Some(value) = secrets.get(name).filter(|value| value.len() >= SHORTEST) else { continue };
            let shown = format!("[secret {name}]");
            let encoded = STANDARD.encode(value);
            let bare = encoded.trim_end_matches('=').to_owned();
            let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            for form in [value.to_owned(), encoded, bare, percent] {
                needles.push((form, shown.clone()));
            }
        }
        needles.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        needles.dedup();
        Self { needles: Arc::new(needles) }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// The text without secrets; `None` when it holds none.
    pub fn text(&self, text: &str) -> Option<String> {
        let mut out: Option<String> = None;
        for (form, shown) in self.needles.iter() {
            let current = out.as_deref().unwrap_or(text);
            if current.contains(form.as_str()) {
                out = Some(current.replace(form.as_str(), shown));
            }
        }
        out
    }

    /// Hides secrets in a text that comes in pieces: gives what can be shown of it so far. `held` is what was held back
    /// before: the end of the text, when that may be the beginning of a secret.
    pub(crate) fn piece(&self, held: &mut String, text: &str) -> String {
        held.push_str(text);
        let mut shown = self.text(held).unwrap_or_else(|| std::mem::take(held));
        let longest = self.needles.first().map_or(0, |(form, _)| form.len());
        let begins = |at: &usize| self.needles.iter().any(|(form, _)| form.starts_with(&shown[*at..]));
        let mut ends = (shown.len().saturating_sub(longest)..shown.len()).filter(|at| shown.is_char_boundary(*at));
        let from = ends.find(begins).unwrap_or(shown.len());
        *held = shown.split_off(from);
        shown
    }

    /// The value without secrets, in keys as well.
    pub fn value(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => self.text(&text).map_or(Value::String(text), Value::from),
            Value::List(items) => Value::from(items.iter().map(|item| self.value(item.clone())).collect::<Vec<_>>()),
            Value::Object(members) => Value::from_pairs(members.iter().map(|(key, value)| {
                (self.text(key).map_or_else(|| key.clone(), Arc::from), self.value(value.clone()))
            })),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_comes_in_pieces_is_hidden() {
        let secrets = Secrets::new([("KEY".to_owned(), "s3cret/+value".to_owned())]);
        let redactor = Redactor::new(&secrets, &["KEY".to_owned()]);
        for size in 1..9 {
            let text = "über s3cret/+value, s3cret/+s3cret/+value und s3";
            let (mut held, mut shown) = (String::new(), String::new());
            let letters: Vec<char> = text.chars().collect();
            for piece in letters.chunks(size) {
                shown.push_str(&redactor.piece(&mut held, &piece.iter().collect::<String>()));
                assert!(!shown.contains("s3cret/+va"), "{shown}");
            }
            assert_eq!(shown, "über [secret KEY], s3cret/+[secret KEY] und ", "in pieces of {size}");
            assert_eq!(held, "s3");
        }
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let secrets =
            Secrets::new([("KEY".to_owned(), "s3cret/+value".to_owned()), ("PIN".to_owned(), "1234".to_owned())]);
        let redactor = Redactor::new(&secrets, &["KEY".to_owned(), "PIN".to_owned()]);
        let shown = redactor.value(crate::value!({
            "plain": "Bearer s3cret/+value",
            "base64": STANDARD.encode("s3cret/+value"),
            "percent": "?k=s3cret%2F%2Bvalue",
            "s3cret/+value": [1, "1234"],
        }));
        assert_eq!(
            shown,
            crate::value!({
                "plain": "Bearer [secret KEY]",
                "base64": "[secret KEY]",
                "percent": "?k=[secret KEY]",
                "[secret KEY]": [1, "1234"],
            })
        );
    }
}
