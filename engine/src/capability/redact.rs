//! Secrets never enter a record or a stream (R8): resolved values are replaced by `[secret NAME]`.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Secrets;
use crate::value::Value;

/// Shorter values are left alone: they would hide ordinary text.
const SHORTEST: usize = 8;

/// Replaces secrets by `[secret NAME]`, also in base64 and percent encoding. What changes in the vault it knows at once; what
/// stood there before it still hides.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    secrets: Arc<Secrets>,
    declared: Vec<String>,
    needles: RwLock<Needles>,
}

/// What is looked for, longest first, and what stands in its place.
#[derive(Clone, Default)]
struct Needles {
    /// The revision of the secrets that they are made of.
    revision: u64,
    forms: Arc<Vec<(String, String)>>,
}

impl Redactor {
    /// A redactor for these secrets, such as those that a workflow declares. Values of less than 8 bytes are left alone.
    pub fn new(secrets: &Arc<Secrets>, declared: &[String]) -> Self {
        let needles = RwLock::new(Needles::of(secrets, declared));
        Self(Arc::new(Shared { secrets: secrets.clone(), declared: declared.to_vec(), needles }))
    }

    fn forms(&self) -> Arc<Vec<(String, String)>> {
        let Shared { secrets, declared, needles } = &*self.0;
        let known = needles.read().unwrap_or_else(PoisonError::into_inner).clone();
        if declared.is_empty() || known.revision == secrets.revision() {
            return known.forms;
        }
        let fresh = Needles::of(secrets, declared);
        let mut kept = needles.write().unwrap_or_else(PoisonError::into_inner);
        if kept.revision < fresh.revision {
            *kept = fresh.clone();
        }
        fresh.forms
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.forms().is_empty()
    }

    /// The text without secrets; `None` when it holds none.
    pub fn text(&self, text: &str) -> Option<String> {
        hidden(&self.forms(), text)
    }

    /// Hides secrets in a text that comes in pieces: gives what can be shown of it so far. `held` is what was held back
    /// before: the end of the text, when that may be the beginning of a secret.
    pub(crate) fn piece(&self, held: &mut String, text: &str) -> String {
        held.push_str(text);
        let forms = self.forms();
        let mut shown = hidden(&forms, held).unwrap_or_else(|| std::mem::take(held));
        let longest = forms.first().map_or(0, |(form, _)| form.len());
        let begins = |at: &usize| forms.iter().any(|(form, _)| form.starts_with(&shown[*at..]));
        let mut ends = (shown.len().saturating_sub(longest)..shown.len()).filter(|at| shown.is_char_boundary(*at));
        let from = ends.find(begins).unwrap_or(shown.len());
        *held = shown.split_off(from);
        shown
    }

    /// The value without secrets, in keys as well.
    pub fn value(&self, value: Value) -> Value {
        let forms = self.forms();
        if forms.is_empty() { value } else { hidden_in(&forms, value) }
    }
}

impl Needles {
    fn of(secrets: &Secrets, declared: &[String]) -> Self {
        let (revision, values) = secrets.to_hide(declared);
        let mut forms = Vec::new();
        for (name, value) in values.iter().filter(|(_, value)| value.len() >= SHORTEST) {
            let shown = format!("[secret {name}]");
            let encoded = STANDARD.encode(&**value);
            let bare = encoded.trim_end_matches('=').to_owned();
            let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            for form in [value.to_string(), encoded, bare, percent] {
                forms.push((form, shown.clone()));
            }
        }
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self { revision, forms: Arc::new(forms) }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redactor").field(&self.0.declared).finish()
    }
}

fn hidden(forms: &[(String, String)], text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    for (form, shown) in forms {
        let current = out.as_deref().unwrap_or(text);
        if current.contains(form.as_str()) {
            out = Some(current.replace(form.as_str(), shown));
        }
    }
    out
}

fn hidden_in(forms: &[(String, String)], value: Value) -> Value {
    match value {
        Value::String(text) => hidden(forms, &text).map_or(Value::String(text), Value::from),
        Value::List(items) => Value::from(items.iter().map(|item| hidden_in(forms, item.clone())).collect::<Vec<_>>()),
        Value::Object(members) => Value::from_pairs(members.iter().map(|(key, value)| {
            (hidden(forms, key).map_or_else(|| key.clone(), Arc::from), hidden_in(forms, value.clone()))
        })),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{SecretRules, VaultSecret};

    #[test]
    fn a_secret_that_comes_in_pieces_is_hidden() {
        let secrets = Arc::new(Secrets::new([("KEY".to_owned(), "s3cret/+value".to_owned())]));
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
    fn a_value_that_changes_while_a_run_goes_on_is_hidden_as_it_was_and_as_it_is() {
        let secrets = Arc::new(Secrets::default());
        let set = |value: &str| {
            let secret = VaultSecret { value: Ok(value.into()), rules: SecretRules::default() };
            secrets.set_vault([("KEY".to_owned(), secret)]);
        };
        set("first-value");
        let redactor = Redactor::new(&secrets, &["KEY".to_owned()]);
        assert_eq!(redactor.text("first-value, second-value").unwrap(), "[secret KEY], second-value");
        set("second-value");
        assert_eq!(redactor.text("first-value, second-value").unwrap(), "[secret KEY], [secret KEY]");
        secrets.set_vault([]);
        assert_eq!(redactor.text("second-value").unwrap(), "[secret KEY]");
        assert!(!format!("{redactor:?}").contains("value"));
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let values = [("KEY".to_owned(), "s3cret/+value".to_owned()), ("PIN".to_owned(), "1234".to_owned())];
        let secrets = Arc::new(Secrets::new(values));
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
