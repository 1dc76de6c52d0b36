//! The operators of Dify, with their exact meaning.
//!
//! A value is *falsy* when it is `null`, `false`, zero, or an empty text, list or object. A wrong type is an error,
//! never `false`: a branch is not taken by accident.

use std::cmp::Ordering;

use liteagent_engine::node::prelude::*;

use crate::compare;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Operator {
    /// The text holds the other one, the list holds the item. A falsy value holds nothing.
    #[serde(rename = "contains")]
    Contains,
    /// The opposite of `contains`. True for a falsy value.
    #[serde(rename = "not contains")]
    NotContains,
    /// The text begins with the other one. False for a falsy value.
    #[serde(rename = "start with")]
    StartWith,
    /// The text ends with the other one. False for a falsy value.
    #[serde(rename = "end with")]
    EndWith,
    /// The same text, the same boolean. False for `null`.
    #[serde(rename = "is")]
    Is,
    /// Another text, another boolean. False for `null`, as `is` is.
    #[serde(rename = "is not")]
    IsNot,
    /// The value is falsy.
    #[serde(rename = "empty")]
    Empty,
    /// The value is not falsy.
    #[serde(rename = "not empty")]
    NotEmpty,
    /// One of the items of a list. False for a falsy value.
    #[serde(rename = "in")]
    In,
    /// None of the items of a list. True for a falsy value.
    #[serde(rename = "not in")]
    NotIn,
    /// The text or list holds all of these texts, or of these booleans. False for a falsy value.
    #[serde(rename = "all of")]
    AllOf,
    /// The same number. With an integer, the other side is cut to an integer. False for `null`.
    #[serde(rename = "=")]
    Equal,
    /// Another number. With an integer, the other side is cut to an integer. False for `null`.
    #[serde(rename = "≠")]
    NotEqual,
    /// A greater number, fractions included. False for `null`.
    #[serde(rename = ">")]
    Greater,
    /// A smaller number, fractions included. False for `null`.
    #[serde(rename = "<")]
    Less,
    /// A greater number or the same. False for `null`.
    #[serde(rename = "≥")]
    GreaterOrEqual,
    /// A smaller number or the same. False for `null`.
    #[serde(rename = "≤")]
    LessOrEqual,
    /// The value is `null`.
    #[serde(rename = "null")]
    Null,
    /// The value is not `null`.
    #[serde(rename = "not null")]
    NotNull,
    /// The file is there.
    #[serde(rename = "exists")]
    Exists,
    /// The file is not there.
    #[serde(rename = "not exists")]
    NotExists,
}

impl Operator {
    /// The name in YAML.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::NotContains => "not contains",
            Self::StartWith => "start with",
            Self::EndWith => "end with",
            Self::Is => "is",
            Self::IsNot => "is not",
            Self::Empty => "empty",
            Self::NotEmpty => "not empty",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::AllOf => "all of",
            Self::Equal => "=",
            Self::NotEqual => "≠",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterOrEqual => "≥",
            Self::LessOrEqual => "≤",
            Self::Null => "null",
            Self::NotNull => "not null",
            Self::Exists => "exists",
            Self::NotExists => "not exists",
        }
    }

    /// Whether it compares with something.
    pub(super) const fn is_binary(self) -> bool {
        !matches!(self, Self::Empty | Self::NotEmpty | Self::Null | Self::NotNull | Self::Exists | Self::NotExists)
    }

    /// Whether it can look at each file of a list.
    pub(super) const fn takes_files(self) -> bool {
        matches!(self, Self::Contains | Self::NotContains | Self::AllOf)
    }

    /// Whether a list of files is asked for every file instead of any: the name holds "not".
    pub(super) const fn is_negative(self) -> bool {
        matches!(self, Self::NotContains | Self::IsNot | Self::NotEmpty | Self::NotIn | Self::NotNull | Self::NotExists)
    }

    /// Compares.
    ///
    /// # Errors
    /// LA2101 when a value has a type that the operator does not take.
    pub fn holds(self, value: &Value, to: &Value) -> Result<bool, NodeError> {
        let to = &self.like(value, to)?;
        match self {
            Self::Contains => Ok(!is_falsy(value) && self.contains(value, to)?),
            Self::NotContains => Ok(is_falsy(value) || !self.contains(value, to)?),
            Self::StartWith => Ok(!is_falsy(value) && self.text(value)?.starts_with(self.text(to)?)),
            Self::EndWith => Ok(!is_falsy(value) && self.text(value)?.ends_with(self.text(to)?)),
            Self::Is => Ok(!value.is_null() && self.same(value, to)?),
            Self::IsNot => Ok(!value.is_null() && !self.same(value, to)?),
            Self::Empty => Ok(is_falsy(value)),
            Self::NotEmpty => Ok(!is_falsy(value)),
            Self::In => Ok(!is_falsy(value) && holds_item(self.list(to)?, value)),
            Self::NotIn => Ok(is_falsy(value) || !holds_item(self.list(to)?, value)),
            Self::AllOf => self.all_of(value, to),
            Self::Equal => Ok(!value.is_null() && self.equal(value, to)?),
            Self::NotEqual => Ok(!value.is_null() && !self.equal(value, to)?),
            Self::Greater => Ok(!value.is_null() && self.order(value, to)?.is_gt()),
            Self::Less => Ok(!value.is_null() && self.order(value, to)?.is_lt()),
            Self::GreaterOrEqual => Ok(!value.is_null() && self.order(value, to)?.is_ge()),
            Self::LessOrEqual => Ok(!value.is_null() && self.order(value, to)?.is_le()),
            Self::Null | Self::NotExists => Ok(value.is_null()),
            Self::NotNull | Self::Exists => Ok(!value.is_null()),
        }
    }

    /// Beside a boolean or a list of them, the other side is read as a boolean: `"true"`, `1`.
    fn like(self, value: &Value, to: &Value) -> Result<Value, NodeError> {
        let booleans = match value {
            Value::Bool(_) => true,
            Value::List(items) => !items.is_empty() && items.iter().all(|item| matches!(item, Value::Bool(_))),
            _ => false,
        };
        if !booleans || !self.is_binary() {
            return Ok(to.clone());
        }
        match to {
            Value::Null => Ok(Value::Null),
            Value::List(items) => {
                items.iter().map(|item| self.boolean(item)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            other => self.boolean(other),
        }
    }

    fn boolean(self, value: &Value) -> Result<Value, NodeError> {
        let read = match value {
            Value::String(text) => serde_json::from_str::<Value>(text).unwrap_or_default(),
            other => other.clone(),
        };
        match read {
            Value::Bool(_) => Ok(read),
            Value::Number(ref number) if !number.is_f64() => Ok(Value::from(!is_falsy(&read))),
            _ => Err(self.misfit("`true` or `false`", value)),
        }
    }

    fn contains(self, value: &Value, to: &Value) -> Result<bool, NodeError> {
        match value {
            Value::String(text) => Ok(match to {
                Value::String(part) => text.contains(&**part),
                other => text.contains(&other.to_string()),
            }),
            Value::List(items) => Ok(holds_item(items, to)),
            other => Err(self.misfit("a text or a list", other)),
        }
    }

    fn all_of(self, value: &Value, to: &Value) -> Result<bool, NodeError> {
        let wanted = self.list(to)?;
        let texts = wanted.iter().all(|item| matches!(item, Value::String(_)));
        if !texts && !wanted.iter().all(|item| matches!(item, Value::Bool(_))) {
            return Err(self.misfit("a list of texts, or one of booleans", to));
        }
        if is_falsy(value) {
            return Ok(false);
        }
        Ok(match value {
            Value::String(text) if texts => wanted.iter().filter_map(Value::as_str).all(|part| text.contains(part)),
            Value::List(items) => wanted.iter().all(|item| holds_item(items, item)),
            _ => false,
        })
    }

    fn same(self, value: &Value, to: &Value) -> Result<bool, NodeError> {
        match value {
            Value::String(_) | Value::Bool(_) => Ok(value == to),
            other => Err(self.misfit("a text or a boolean", other)),
        }
    }

    fn equal(self, value: &Value, to: &Value) -> Result<bool, NodeError> {
        match value {
            Value::Bool(value) => match to {
                Value::Bool(to) => Ok(value == to),
                other => Err(self.misfit("a boolean", other)),
            },
            Value::Number(number) if number.is_f64() => Ok(value.as_f64() == Some(self.number(to)?)),
            Value::Number(_) => Ok(compare::equal(value, &self.integer(to)?)),
            other => Err(self.misfit("a number or a boolean", other)),
        }
    }

    fn order(self, value: &Value, to: &Value) -> Result<Ordering, NodeError> {
        let left = match value {
            Value::Bool(value) => Value::from(i64::from(*value)),
            Value::Number(_) => value.clone(),
            other => return Err(self.misfit("a number", other)),
        };
        let right = match to {
            Value::Bool(to) => Value::from(i64::from(*to)),
            Value::Number(_) => to.clone(),
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(integer) => Value::from(integer),
                Err(_) => serde_json::Number::from_f64(self.number(to)?).map(Value::Number).unwrap_or_default(),
            },
            other => return Err(self.misfit("a number", other)),
        };
        compare::order(&left, &right).ok_or_else(|| self.misfit("a finite number", to))
    }

    /// As Python's `int()`: cuts a fraction off, but only takes whole numbers from text.
    fn integer(self, to: &Value) -> Result<Value, NodeError> {
        match to {
            Value::Bool(to) => Ok(Value::from(i64::from(*to))),
            Value::Number(number) if number.is_f64() => Ok(Value::from(number.as_f64().unwrap_or_default() as i64)),
            Value::Number(_) => Ok(to.clone()),
            Value::String(text) => {
                text.trim().parse::<i64>().map(Value::from).map_err(|_| self.misfit("a whole number", to))
            }
            other => Err(self.misfit("a number", other)),
        }
    }

    fn number(self, to: &Value) -> Result<f64, NodeError> {
        let number = match to {
            Value::Bool(to) => Some(f64::from(u8::from(*to))),
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        number.ok_or_else(|| self.misfit("a number", to))
    }

    fn text(self, value: &Value) -> Result<&str, NodeError> {
        value.as_str().ok_or_else(|| self.misfit("a text", value))
    }

    fn list(self, value: &Value) -> Result<&[Value], NodeError> {
        value.as_list().ok_or_else(|| self.misfit("a list", value))
    }

    fn misfit(self, expected: &str, found: &Value) -> NodeError {
        let found = match found {
            Value::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
            other => other.kind().to_owned(),
        };
        let message = format!("the operator `{}` expected {expected}, found {found}", self.as_str());
        NodeError::new(codes::COMPARISON, ErrorClass::Invalid, message)
            .hint("convert the value in its template, or choose another `operator`")
    }
}

fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn holds_item(items: &[Value], wanted: &Value) -> bool {
    items.iter().any(|item| compare::equal(item, wanted))
}
