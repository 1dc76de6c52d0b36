//! The one type syntax of inputs, variables and `returns`: a name such as `string[]` or `"number?"`, or a subset of
//! JSON Schema.

mod fit;
mod form;
mod problem;
mod schema;

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value as Json;

use self::{
    fit::Fitter,
    form::{Base, Form},
};
use crate::{
    shape::Finding,
    suggest,
    value::{Object, Value},
};

/// A declared type: what the author wrote, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// The type that a text or a map declares.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(json: Json) -> Result<Self, Vec<Finding>> {
        let problems = Self::problems(&json, "");
        if problems.is_empty() { Ok(Self(json)) } else { Err(problems) }
    }

    /// What is wrong with a declared type that stands at a pointer.
    pub fn problems(json: &Json, pointer: &str) -> Vec<Finding> {
        problem::problems(json, pointer)
    }

    /// As the author wrote it.
    pub fn as_json(&self) -> &Json {
        &self.0
    }

    /// Plain JSON Schema (draft 7) of the values of this type. A file value is `{ id, name, mime, size, sha256 }`.
    pub fn schema(&self) -> Schema {
        schema::schema(&self.0)
    }

    /// The description that the author gave.
    pub fn description(&self) -> Option<&str> {
        self.0.get("description").and_then(Json::as_str)
    }

    /// Whether a value may be left out: `optional: true`, a `?`, or a `default`.
    pub fn is_optional(&self) -> bool {
        let form = Form::of(&self.0);
        form.optional || form.rule("default").is_some()
    }

    /// The default.
    pub fn default_value(&self) -> Option<Value> {
        self.0.get("default").cloned().map(Value::from)
    }

    /// Whether this is `file` or `file[]`.
    pub fn holds_files(&self) -> bool {
        Form::of(&self.0).base == Base::File
    }

    /// Checks a value, and fills in the defaults of members that are missing.
    ///
    /// # Errors
    /// Every misfit in it.
    pub fn fit(&self, value: Value) -> Result<Value, Vec<Misfit>> {
        let mut fitter = Fitter::default();
        let value = fitter.fit(&Form::of(&self.0), value);
        fitter.done(value)
    }
}

/// Checks named values against their declarations: unknown names, missing ones, misfits; and fills in defaults.
/// A name that is optional, missing and without default becomes `null`.
///
/// # Errors
/// Every misfit, with its pointer below the object.
pub fn fit_all(types: &IndexMap<String, Type>, values: Value) -> Result<Value, Vec<Misfit>> {
    let mut fitter = Fitter::default();
    let empty = Object::default();
    let given = match &values {
        Value::Object(members) => &**members,
        Value::Null => &empty,
        other => {
            fitter.misfit(format!("expected an object of inputs, found {}", fit::found(other)), None);
            return fitter.done(Value::Null);
        }
    };
    for key in given.keys().filter(|key| !types.contains_key(&***key)) {
        let names = || types.keys().map(String::as_str);
        let hint = suggest::hint(key, names()).unwrap_or_else(|| match types.len() {
            0 => "pass nothing: no inputs are declared".to_owned(),
            _ => format!("use {}", suggest::list(names())),
        });
        fitter.below(key, |fitter| fitter.misfit(format!("unknown name `{key}`"), Some(hint)));
    }
    let fitted = types.iter().map(|(name, declared)| {
        let form = Form::of(&declared.0);
        let value = match given.get(name.as_str()) {
            Some(value) => fitter.member(name, &form, value.clone()),
            None => fitter.absent(name, &form),
        };
        (name.as_str(), value)
    });
    let fitted = Value::from_pairs(fitted.collect::<Vec<_>>());
    fitter.done(fitted)
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        Self::new(json).map_err(|problems| {
            let all: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            D::Error::custom(all.join("; "))
        })
    }
}

impl JsonSchema for Type {
    fn schema_name() -> Cow<'static, str> {
        "Type".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let nested = generator.subschema_for::<Self>();
        schema::of_declarations(&nested)
    }
}

#[cfg(test)]
mod tests;
