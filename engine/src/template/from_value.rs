//! What a template can give: values are taken as they are, never coerced.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::{
    store::FileValue,
    units::{Duration, Size},
    value::Value,
};

/// A value that a template can give.
pub trait FromValue: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// `expected a string, found a list`.
    fn from_value(value: Value) -> Result<Self, String>;

    /// Reads it where an author wrote it without a template.
    ///
    /// # Errors
    /// As [`FromValue::from_value`].
    fn from_literal(value: Value) -> Result<Self, String> {
        Self::from_value(value)
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(value)
    }
}

/// A number or a boolean in a text field becomes its text; anything else must be a string.
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.to_string()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            other => Err(unlike("a string", &other)),
        }
    }

    fn from_literal(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.to_string()),
            other => Err(unlike("a string", &other)),
        }
    }
}

impl FromValue for FileValue {
    fn from_value(value: Value) -> Result<Self, String> {
        match &value {
            Value::Object(_) => value.to_typed().map_err(|error| format!("expected a file: {error}")),
            _ => Err(unlike("a file", &value)),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| unlike("a boolean", &value))
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_f64().ok_or_else(|| unlike("a number", &value))
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_i64().ok_or_else(|| unlike("an integer", &value))
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, String> {
        match &value {
            Value::Number(number) => number.as_u64().ok_or_else(|| unlike("an integer of 0 or more", &value)),
            _ => Err(unlike("an integer of 0 or more", &value)),
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self, String> {
        let shown = value.to_string();
        let number = u64::from_value(value)?;
        Self::try_from(number).map_err(|_| format!("expected an integer below 2^32, found {shown}"))
    }
}

impl FromValue for Duration {
    fn from_value(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) => Self::parse(text),
            None => Err(unlike("a duration such as `30s`", &value)),
        }
    }
}

impl FromValue for Size {
    fn from_value(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) => Self::parse(text),
            None => Err(unlike("a size such as `10MiB`", &value)),
        }
    }
}

impl FromValue for Arc<Vec<Value>> {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::List(items) => Ok(items),
            other => Err(unlike("a list", &other)),
        }
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        let Value::List(items) = value else { return Err(unlike("a list", &value)) };
        let read = |(index, item): (usize, &Value)| {
            T::from_value(item.clone()).map_err(|error| format!("item {index}: {error}"))
        };
        items.iter().enumerate().map(read).collect()
    }
}

impl<T: FromValue> FromValue for IndexMap<String, T> {
    fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err(unlike("an object", &value)) };
        let read = |(name, member): (&Arc<str>, &Value)| match T::from_value(member.clone()) {
            Ok(member) => Ok((name.to_string(), member)),
            Err(error) => Err(format!("`{name}`: {error}")),
        };
        members.iter().map(read).collect()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

fn unlike(expected: &str, found: &Value) -> String {
    match found {
        Value::Bool(_) | Value::Number(_) => format!("expected {expected}, found `{found}`"),
        Value::String(text) if text.chars().count() <= 40 => format!("expected {expected}, found the string `{text}`"),
        other => format!("expected {expected}, found {}", other.kind()),
    }
}
