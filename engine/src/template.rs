//! Templates: Jinja in fields that are declared as templates.

use std::{marker::PhantomData, ops::Range, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    capability::Secrets,
    error::{Code, NodeError},
    scope::Scope,
    value::Value,
};

/// A template that was parsed and compiled.
#[derive(Clone, Debug)]
pub struct Compiled {
    source: Arc<str>,
}

/// What a template reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The root: a node id, `inputs`, `item` and so on.
    pub root: Arc<str>,
    /// The constant path below it, as far as it is known: `search.documents[0].title`.
    pub path: Vec<Segment>,
    /// Its bytes in the template.
    pub span: Range<usize>,
    /// Whether every rendering evaluates it, or only some do.
    pub guarded: bool,
    /// What of the node is read.
    pub reads: Reads,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A member.
    Member(Arc<str>),
    /// An item: a constant index, or `None` for any item (a loop variable, a computed index).
    Item(Option<i64>),
}

/// What of a node a reference reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Its output.
    Output,
    /// `x.error`.
    Error,
    /// `x.ok`, `x is ran`, `x is failed`, `x is skipped`, or the bare `x` as a condition: how it ended.
    Outcome,
}

/// Why a template cannot be parsed.
#[derive(Clone, Debug)]
pub struct TemplateError {
    /// The stable code.
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
    /// Its bytes in the template.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Compiled {
    /// Parses and compiles a template.
    ///
    /// # Errors
    /// Every finding in it, in order.
    pub fn new(source: &str) -> Result<Self, Vec<TemplateError>> {
        Ok(Self { source: source.into() })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads.
    pub fn references(&self) -> &[Reference] {
        &[]
    }

    /// Whether it is a lone `{{ expr }}`, which keeps its type.
    pub fn is_expression(&self) -> bool {
        false
    }

    /// Renders it: a lone expression keeps its type, anything else becomes a string.
    ///
    /// # Errors
    /// What was undefined, of the wrong type, too much work or too large.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        let _ = scope;
        Ok(Value::Null)
    }
}

/// Whether a text holds a template: `{{`, `{%` or `{#`.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

/// A value that a template can give.
pub trait FromValue: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// `expected a string, found a list`.
    fn from_value(value: Value) -> Result<Self, String>;
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(value)
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("expected a boolean, found {}", value.kind()))
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.to_string()),
            other => Err(format!("expected a string, found {}", other.kind())),
        }
    }
}

/// A field that may hold `{{ ... }}`; renders to `T` at run time.
pub struct Template<T> {
    compiled: Compiled,
    _type: PhantomData<fn() -> T>,
}

impl<T> Template<T> {
    /// Renders it.
    ///
    /// # Errors
    /// When it cannot be rendered, or gives a value of another type.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<T, NodeError>
    where
        T: FromValue,
    {
        self.compiled.render(scope).map(|value| T::from_value(value).expect("to be written"))
    }
}

impl<T> Clone for Template<T> {
    fn clone(&self) -> Self {
        Self { compiled: self.compiled.clone(), _type: PhantomData }
    }
}

impl<T> std::fmt::Debug for Template<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.compiled.source())
    }
}

impl<T> Serialize for Template<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.compiled.source())
    }
}

impl<'de, T> Deserialize<'de> for Template<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self { compiled: Compiled { source: text.into() }, _type: PhantomData })
    }
}

impl<T: JsonSchema> JsonSchema for Template<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Template_{}", T::schema_name()).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-liteagent-template": "text" })
    }
}

/// Any JSON value with templates in its strings, at any depth.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateTree(pub Value);

impl TemplateTree {
    /// Renders every template in it.
    ///
    /// # Errors
    /// When one cannot be rendered.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        let _ = scope;
        Ok(self.0.clone())
    }
}

impl JsonSchema for TemplateTree {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TemplateTree".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-liteagent-template": "tree" })
    }
}

/// A text that may hold `{{ secrets.NAME }}`, whole or beside fixed text.
#[derive(Clone, Debug)]
pub struct SecretTemplate(Template<String>);

impl SecretTemplate {
    /// Renders it with the secrets in scope.
    ///
    /// # Errors
    /// When a secret is missing or the template cannot be rendered.
    pub fn render(&self, scope: &Arc<Scope>, secrets: &Secrets) -> Result<String, NodeError> {
        let _ = (scope, secrets, &self.0);
        Ok(String::new())
    }
}

impl Serialize for SecretTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Template::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for SecretTemplate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-liteagent-template": "secret" })
    }
}
