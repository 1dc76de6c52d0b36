//! The one type syntax of inputs, variables and `returns`: a name such as `string[]` or `"number?"`, or a subset of
//! JSON Schema.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::value::Value;

/// A declared type: what the author wrote, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Type(Json);

/// A value that does not fit its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Where, as a JSON pointer: `/rows/3/name`.
    pub pointer: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Type {
    /// Plain JSON Schema (draft 7) of the values of this type. A file value is `{ id, name, mime, size, sha256 }`.
    pub fn schema(&self) -> Schema {
        json_schema!({})
    }

    /// Whether a value may be left out: `optional: true`, a `?`, or a `default`.
    pub fn is_optional(&self) -> bool {
        false
    }

    /// The default.
    pub fn default_value(&self) -> Option<Value> {
        None
    }

    /// Whether this is `file` or `file[]`.
    pub fn holds_files(&self) -> bool {
        false
    }

    /// Checks a value, and fills in the defaults of members that are missing.
    ///
    /// # Errors
    /// Every misfit in it.
    pub fn fit(&self, value: Value) -> Result<Value, Vec<Misfit>> {
        Ok(value)
    }
}

/// Checks named values against their declarations: unknown names, missing ones, misfits; and fills in defaults.
/// A name that is optional, missing and without default becomes `null`.
///
/// # Errors
/// Every misfit, with its pointer below the object.
pub fn fit_all(types: &IndexMap<String, Type>, values: Value) -> Result<Value, Vec<Misfit>> {
    let _ = types;
    Ok(values)
}

impl JsonSchema for Type {
    fn schema_name() -> Cow<'static, str> {
        "Type".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}
