//! Filters over the metadata of documents: how they are written, and what they mean.

use std::{cmp::Ordering, fmt::Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    codes,
    error::{ErrorClass, NodeError},
    value::{Object, Value},
};

/// How deep filters are nested at most.
const DEEPEST: usize = 16;

/// The field that is the id of a document.
pub const DOCUMENT: &str = "document";

/// Which documents are looked through, by their metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every one of them holds.
    All(Vec<Filter>),
    /// One of them holds.
    Any(Vec<Filter>),
    /// A comparison of one field. [`DOCUMENT`] is the id of the document; every other name is a key of its metadata.
    Field {
        /// The key.
        name: String,
        /// How it is compared.
        operator: FilterOperator,
        /// With what; `Null` where the operator needs nothing.
        value: Value,
    },
}

/// How a field of the metadata is compared, as in Dify. A field that is missing fits only `empty` and the operators that
/// say what it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FilterOperator {
    /// Equal: texts, numbers, booleans.
    #[serde(rename = "=")]
    Is,
    /// Not equal.
    #[serde(rename = "!=")]
    IsNot,
    /// Less: numbers, or texts by their bytes (dates as `2026-11-25`).
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// A text holds another, without regard to case; a list has a member.
    #[serde(rename = "contains")]
    Contains,
    /// It does not.
    #[serde(rename = "not contains")]
    NotContains,
    /// A text begins so, without regard to case.
    #[serde(rename = "starts with")]
    StartsWith,
    /// A text ends so, without regard to case.
    #[serde(rename = "ends with")]
    EndsWith,
    /// It is one of a list; a list has one of them.
    #[serde(rename = "in")]
    In,
    /// It is none of a list.
    #[serde(rename = "not in")]
    NotIn,
    /// With `true`: it is missing, or an empty text or list. With `false`: it is neither.
    #[serde(rename = "empty")]
    Empty,
}

impl FilterOperator {
    /// Every one of them, as it is written.
    pub const ALL: [(&'static str, Self); 13] = [
        ("=", Self::Is),
        ("!=", Self::IsNot),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::Greater),
        (">=", Self::AtLeast),
        ("contains", Self::Contains),
        ("not contains", Self::NotContains),
        ("starts with", Self::StartsWith),
        ("ends with", Self::EndsWith),
        ("in", Self::In),
        ("not in", Self::NotIn),
        ("empty", Self::Empty),
    ];

    fn takes(self, value: &Value) -> Result<(), &'static str> {
        let scalar = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        let (fits, expected) = match self {
            Self::Is | Self::IsNot | Self::Contains | Self::NotContains => (scalar, "a text, a number or a boolean"),
            Self::Less | Self::AtMost | Self::Greater | Self::AtLeast => {
                (matches!(value, Value::String(_) | Value::Number(_)), "a number or a text")
            }
            Self::StartsWith | Self::EndsWith => (value.as_str().is_some(), "a text"),
            Self::In | Self::NotIn => (value.as_list().is_some(), "a list"),
            Self::Empty => (matches!(value, Value::Bool(_)), "`true` or `false`"),
        };
        if fits { Ok(()) } else { Err(expected) }
    }
}

impl Filter {
    /// Reads a filter as authors write it: an object of fields that must all hold, each a value that it equals or an object
    /// of operators (`{ year: { ">=": 2024 } }`); `and` and `or` hold lists of such objects.
    ///
    /// # Errors
    /// LA2604 that names the place.
    pub fn read(value: &Value) -> Result<Self, NodeError> {
        read(value, "filter", 0)
    }

    /// Whether a document fits.
    pub fn holds(&self, id: &str, metadata: &Object) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.holds(id, metadata)),
            Self::Any(filters) => filters.iter().any(|filter| filter.holds(id, metadata)),
            Self::Field { name, operator, value } if name == DOCUMENT => {
                compare(Some(&Value::from(id)), *operator, value)
            }
            Self::Field { name, operator, value } => {
                compare(metadata.get(name.as_str()).filter(|found| **found != Value::Null), *operator, value)
            }
        }
    }
}

fn read(value: &Value, place: &str, depth: usize) -> Result<Filter, NodeError> {
    if depth > DEEPEST {
        return Err(wrong(place, &format!("filters nested {DEEPEST} deep at most"), "more"));
    }
    let Some(members) = value.as_object() else {
        return Err(wrong(place, "an object of fields", value.kind()));
    };
    let mut all = Vec::new();
    for (key, value) in members {
        let place = format!("{place}.{key}");
        match (&**key, value) {
            ("and" | "or", Value::List(filters)) => {
                let filters = filters.iter().enumerate();
                let filters: Result<Vec<_>, _> =
                    filters.map(|(index, filter)| read(filter, &format!("{place}[{index}]"), depth + 1)).collect();
                all.push(if &**key == "and" { Filter::All(filters?) } else { Filter::Any(filters?) });
            }
            ("and" | "or", other) => return Err(wrong(&place, "a list of filters", other.kind())),
            (name, Value::Object(operators)) => {
                for (written, value) in operators.iter() {
                    let known = FilterOperator::ALL.iter().find(|(known, _)| *known == &**written);
                    let Some((_, operator)) = known else {
                        let known: Vec<&str> = FilterOperator::ALL.iter().map(|(known, _)| *known).collect();
                        return Err(wrong(
                            &place,
                            &format!("an operator of `{}`", known.join("`, `")),
                            &format!("`{written}`"),
                        ));
                    };
                    all.push(field(name, *operator, value, &place)?);
                }
            }
            (name, value) => all.push(field(name, FilterOperator::Is, value, &place)?),
        }
    }
    Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
}

fn field(name: &str, operator: FilterOperator, value: &Value, place: &str) -> Result<Filter, NodeError> {
    operator.takes(value).map_err(|expected| wrong(place, expected, value.kind()))?;
    Ok(Filter::Field { name: name.to_owned(), operator, value: value.clone() })
}

fn wrong(place: &str, expected: &str, found: &str) -> NodeError {
    NodeError::new(
        codes::KNOWLEDGE_FILTER,
        ErrorClass::Invalid,
        format!("expected {expected} in `{place}`, found {found}"),
    )
    .hint("write `{ department: hr, year: { \">=\": 2024 } }`; `or: [{ … }, { … }]` where one of several must hold")
}

fn compare(found: Option<&Value>, operator: FilterOperator, with: &Value) -> bool {
    let ordered = |fits: fn(Ordering) -> bool| found.and_then(|found| order(found, with)).is_some_and(fits);
    match operator {
        FilterOperator::Is => found.is_some_and(|found| found == with || order(found, with) == Some(Ordering::Equal)),
        FilterOperator::IsNot => !compare(found, FilterOperator::Is, with),
        FilterOperator::Less => ordered(Ordering::is_lt),
        FilterOperator::AtMost => ordered(Ordering::is_le),
        FilterOperator::Greater => ordered(Ordering::is_gt),
        FilterOperator::AtLeast => ordered(Ordering::is_ge),
        FilterOperator::Contains => match found {
            Some(Value::List(members)) => members.iter().any(|member| compare(Some(member), FilterOperator::Is, with)),
            Some(found) => texts(found, with, |found, with| found.contains(with)),
            None => false,
        },
        FilterOperator::NotContains => !compare(found, FilterOperator::Contains, with),
        FilterOperator::StartsWith => {
            found.is_some_and(|found| texts(found, with, |found, with| found.starts_with(with)))
        }
        FilterOperator::EndsWith => found.is_some_and(|found| texts(found, with, |found, with| found.ends_with(with))),
        FilterOperator::In => {
            let is_one = |found: &Value| {
                let all = with.as_list().unwrap_or_default();
                all.iter().any(|one| compare(Some(found), FilterOperator::Is, one))
            };
            match found {
                Some(Value::List(members)) => members.iter().any(is_one),
                Some(found) => is_one(found),
                None => false,
            }
        }
        FilterOperator::NotIn => !compare(found, FilterOperator::In, with),
        FilterOperator::Empty => {
            let is_empty = match found {
                None => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(Value::List(members)) => members.is_empty(),
                Some(_) => false,
            };
            is_empty == (*with == Value::Bool(true))
        }
    }
}

/// Numbers by size, texts by their bytes.
fn order(found: &Value, with: &Value) -> Option<Ordering> {
    match (found, with) {
        (Value::String(found), Value::String(with)) => Some(found.cmp(with)),
        (Value::Number(_), Value::Number(_)) => found.as_f64()?.partial_cmp(&with.as_f64()?),
        _ => None,
    }
}

fn texts(found: &Value, with: &Value, fits: impl Fn(&str, &str) -> bool) -> bool {
    fn text(value: &Value) -> String {
        let mut text = String::new();
        match value {
            Value::String(found) => text = found.to_lowercase(),
            Value::Number(_) | Value::Bool(_) => {
                let _ = write!(text, "{value}");
            }
            _ => {}
        }
        text
    }
    fits(&text(found), &text(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).expect("the test is YAML")
    }

    #[test]
    fn documents_fit_or_not() {
        let document = value(
            "{ department: HR, year: 2024, score: 1.5, day: 2026-11-25, tags: [travel, food], draft: false, none: '' }",
        );
        let metadata = document.as_object().expect("it is an object");
        let holds = |filter: &str| Filter::read(&value(filter)).expect(filter).holds("docs/a.md", metadata);
        for filter in [
            "{}",
            "{ department: HR }",
            "{ year: 2024, draft: false }",
            "{ year: 2024.0 }",
            "{ year: { '>=': 2024, '<': 2025 } }",
            "{ score: { '>': 1 } }",
            "{ day: { '>': '2026-11-01' } }",
            "{ tags: { contains: food } }",
            "{ tags: { in: [food, sleep] } }",
            "{ department: { contains: h } }",
            "{ department: { starts with: hR, ends with: r } }",
            "{ department: { in: [HR, IT] } }",
            "{ department: { '!=': IT, not in: [IT], not contains: x } }",
            "{ missing: { empty: true }, none: { empty: true }, year: { empty: false } }",
            "{ missing: { '!=': 1, not in: [1], not contains: a } }",
            "{ or: [{ year: 1 }, { and: [{ year: 2024 }, { tags: { contains: travel } }] }] }",
            "{ document: { starts with: docs/ } }",
        ] {
            assert!(holds(filter), "{filter}");
        }
        for filter in [
            "{ department: hr }",
            "{ year: '2024' }",
            "{ missing: { '<': 1 } }",
            "{ missing: 1 }",
            "{ department: { '>': 1 } }",
            "{ tags: travel }",
            "{ or: [] }",
            "{ none: { empty: false } }",
            "{ document: docs/b.md }",
        ] {
            assert!(!holds(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_its_place() {
        let said = |filter: &str| Filter::read(&value(filter)).expect_err(filter).message;
        assert_eq!(said("[]"), "expected an object of fields in `filter`, found a list");
        assert_eq!(said("{ or: [{ a: { in: 1 } }] }"), "expected a list in `filter.or[0].a`, found an integer");
        assert!(said("{ a: { near: 1 } }").ends_with("found `near`"), "{}", said("{ a: { near: 1 } }"));
        assert_eq!(said("{ a: null }"), "expected a text, a number or a boolean in `filter.a`, found null");
    }
}
