//! Templates as fields of nodes: read from YAML with a type, checked there, rendered at run time.

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Compiled, FromValue, TemplateError, explain::invalid, is_template};
use crate::{error::NodeError, scope::Scope, value::Value};

/// What editors and checks accept where a field of another type than text takes a template.
const LONE: &str = r"^\s*\{\{[\s\S]*\}\}\s*$";

/// A field that may hold `{{ ... }}`; renders to `T` at run time.
pub struct Template<T> {
    form: Form,
    _type: PhantomData<fn() -> T>,
}

/// What was written.
#[derive(Clone)]
enum Form {
    /// A value without a template.
    Literal(Value),
    /// A template.
    Compiled(Compiled),
}

impl<T> Template<T> {
    /// A field that always gives this value.
    pub fn literal(value: impl Into<Value>) -> Self {
        Self { form: Form::Literal(value.into()), _type: PhantomData }
    }

    /// A field that holds this text: a template when it has `{{`, `{%` or `{#`, else the text itself.
    ///
    /// # Errors
    /// Every finding in the template.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        let form = if is_template(text) { Form::Compiled(Compiled::new(text)?) } else { Form::Literal(text.into()) };
        Ok(Self { form, _type: PhantomData })
    }

    /// The template, when it is one.
    pub fn compiled(&self) -> Option<&Compiled> {
        match &self.form {
            Form::Compiled(compiled) => Some(compiled),
            Form::Literal(_) => None,
        }
    }

    /// The value, when there is no template in it.
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.form {
            Form::Literal(value) => Some(value),
            Form::Compiled(_) => None,
        }
    }

    /// Renders it.
    ///
    /// # Errors
    /// LA2001 when it cannot be rendered or gives a value of another type, LA2002 when it is too much.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<T, NodeError>
    where
        T: FromValue,
    {
        match &self.form {
            Form::Literal(value) => T::from_value(value.clone()).map_err(invalid),
            Form::Compiled(compiled) => {
                let value = compiled.render(scope)?;
                T::from_value(value).map_err(|error| unlike(compiled.source(), &error))
            }
        }
    }

    /// Renders it as a URL: what is inserted after the host is percent-encoded as one segment or value, unless the
    /// field is a lone template or the inserted expression ends in `| raw_url`.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_url(&self, scope: &Arc<Scope>) -> Result<String, NodeError> {
        match &self.form {
            Form::Literal(value) => String::from_value(value.clone()).map_err(invalid),
            Form::Compiled(compiled) => compiled.render_url(scope),
        }
    }
}

fn unlike(source: &str, error: &str) -> NodeError {
    let shown = source.trim();
    let shown = if shown.chars().count() <= 120 { Cow::Borrowed(shown) } else { Cow::Borrowed("the template") };
    let failure = invalid(format!("`{shown}`: {error}"));
    if error.ends_with("found null") {
        failure.hint("write `| default(...)` with a value for that case")
    } else {
        failure
    }
}

impl<T> Clone for Template<T> {
    fn clone(&self) -> Self {
        Self { form: self.form.clone(), _type: PhantomData }
    }
}

impl<T> std::fmt::Debug for Template<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.form {
            Form::Literal(value) => std::fmt::Debug::fmt(value, f),
            Form::Compiled(compiled) => std::fmt::Debug::fmt(compiled, f),
        }
    }
}

impl<T> Serialize for Template<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Literal(value) => value.serialize(serializer),
            Form::Compiled(compiled) => serializer.serialize_str(compiled.source()),
        }
    }
}

impl<'de, T: FromValue> Deserialize<'de> for Template<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let form = if let Some(text) = value.as_str().filter(|text| is_template(text)) {
            Form::Compiled(compile(text)?)
        } else {
            T::from_literal(value.clone()).map_err(D::Error::custom)?;
            Form::Literal(value)
        };
        Ok(Self { form, _type: PhantomData })
    }
}

fn compile<E: serde::de::Error>(text: &str) -> Result<Compiled, E> {
    Compiled::new(text).map_err(|findings| match findings.first() {
        Some(first) => E::custom(&first.message),
        None => E::custom("the template cannot be compiled"),
    })
}

impl<T: JsonSchema> JsonSchema for Template<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Template_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let literal = generator.subschema_for::<T>();
        if literal == json_schema!({ "type": "string" }) {
            return json_schema!({ "type": "string", "x-liteagent-template": "text" });
        }
        json_schema!({ "anyOf": [literal, lone()], "x-liteagent-template": "text" })
    }
}

/// The schema of a template where a value of another type than text is expected.
fn lone() -> serde_json::Value {
    serde_json::json!({
        "type": "string",
        "pattern": LONE,
        "errorMessage": "expected a value of this type, or a template such as {{ inputs.name }}",
    })
}

/// The schema of a field that takes values of a schema, or templates that give them.
pub(crate) fn templated(mut literal: serde_json::Value) -> serde_json::Value {
    let kinds = literal.get("type").map(|kind| kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]));
    let is = |kind: &str| kinds.iter().flatten().any(|known| known == kind);
    let description = literal.get("description").cloned();
    let mut schema = if is("string") {
        literal["x-liteagent-template"] = "text".into();
        return literal;
    } else if is("integer") || is("number") || is("boolean") {
        serde_json::json!({ "anyOf": [literal, lone()], "x-liteagent-template": "text" })
    } else {
        serde_json::json!({ "x-liteagent-template": "tree" })
    };
    if let Some(description) = description {
        schema["description"] = description;
    }
    schema
}

/// Any JSON value with templates in its strings, at any depth.
#[derive(Clone, Debug, Default)]
pub struct TemplateTree {
    source: Value,
    tree: Tree,
}

#[derive(Clone, Debug, Default)]
enum Tree {
    /// Nothing in it is a template.
    #[default]
    Literal,
    Template(Compiled),
    List(Arc<[Tree]>),
    Object(Arc<IndexMap<Arc<str>, Tree>>),
}

impl TemplateTree {
    /// Compiles every template in a value.
    ///
    /// # Errors
    /// Every finding in the first template that has some.
    pub fn new(source: Value) -> Result<Self, Vec<TemplateError>> {
        let tree = Tree::new(&source)?;
        Ok(Self { source, tree })
    }

    /// What was written.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Every template in it, in order.
    pub fn templates(&self) -> Vec<&Compiled> {
        let mut templates = Vec::new();
        self.tree.collect(&mut templates);
        templates
    }

    /// The template, when the whole value is one.
    pub fn lone(&self) -> Option<&Compiled> {
        match &self.tree {
            Tree::Template(compiled) => Some(compiled),
            _ => None,
        }
    }

    /// Renders every template in it.
    ///
    /// # Errors
    /// LA2001 when one cannot be rendered, LA2002 when it is too much.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        self.tree.render(&self.source, scope)
    }
}

impl Tree {
    fn new(source: &Value) -> Result<Self, Vec<TemplateError>> {
        Ok(match source {
            Value::String(text) if is_template(text) => Self::Template(Compiled::new(text)?),
            Value::List(items) => {
                let trees = items.iter().map(Self::new).collect::<Result<Vec<_>, _>>()?;
                if trees.iter().all(Self::is_literal) { Self::Literal } else { Self::List(trees.into()) }
            }
            Value::Object(members) => {
                let tree = |(key, value): (&Arc<str>, &Value)| Self::new(value).map(|tree| (key.clone(), tree));
                let trees = members.iter().map(tree).collect::<Result<IndexMap<_, _>, _>>()?;
                if trees.values().all(Self::is_literal) { Self::Literal } else { Self::Object(Arc::new(trees)) }
            }
            _ => Self::Literal,
        })
    }

    fn collect<'a>(&'a self, templates: &mut Vec<&'a Compiled>) {
        match self {
            Self::Literal => {}
            Self::Template(compiled) => templates.push(compiled),
            Self::List(trees) => trees.iter().for_each(|tree| tree.collect(templates)),
            Self::Object(trees) => trees.values().for_each(|tree| tree.collect(templates)),
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Self::Literal)
    }

    fn render(&self, source: &Value, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        match (self, source) {
            (Self::Template(compiled), _) => compiled.render(scope),
            (Self::List(trees), Value::List(items)) => {
                let items = trees.iter().zip(items.iter()).map(|(tree, item)| tree.render(item, scope));
                items.collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            (Self::Object(trees), Value::Object(members)) => {
                let members = trees.iter().zip(members.values());
                let members = members.map(|((key, tree), member)| Ok((key.clone(), tree.render(member, scope)?)));
                members.collect::<Result<_, NodeError>>().map(|members| Value::Object(Arc::new(members)))
            }
            _ => Ok(source.clone()),
        }
    }
}

impl Serialize for TemplateTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TemplateTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Value::deserialize(deserializer)?;
        Self::new(source).map_err(|findings| match findings.first() {
            Some(first) => D::Error::custom(&first.message),
            None => D::Error::custom("a template cannot be compiled"),
        })
    }
}

impl JsonSchema for TemplateTree {
    fn schema_name() -> Cow<'static, str> {
        "TemplateTree".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-liteagent-template": "tree" })
    }
}

/// A text that may hold `{{ secrets.NAME }}`, whole or beside fixed text.
#[derive(Clone, Debug)]
pub struct SecretTemplate(Template<String>);

impl SecretTemplate {
    /// A field that holds this text.
    ///
    /// # Errors
    /// Every finding in the template.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        Template::parse(text).map(Self)
    }

    /// The template, when it is one.
    pub fn compiled(&self) -> Option<&Compiled> {
        self.0.compiled()
    }

    /// The names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.compiled().map_or(&[][..], Compiled::secrets).iter().filter_map(|secret| secret.name.as_deref())
    }

    /// Renders it with the secrets in scope; `released` gives each of them, or says why not.
    ///
    /// # Errors
    /// When a secret is not released, or the template cannot be rendered.
    pub fn render(
        &self,
        scope: &Arc<Scope>,
        released: impl Fn(&str) -> Result<Arc<str>, NodeError>,
    ) -> Result<String, NodeError> {
        let mut values = Vec::new();
        for name in self.secrets() {
            values.push((name, Value::from(&*released(name)?)));
        }
        if values.is_empty() {
            return self.0.render(scope);
        }
        let mut scope = scope.with_locals([]);
        scope.secrets = Value::from_pairs(values);
        self.0.render(&Arc::new(scope))
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
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-liteagent-template": "secret" })
    }
}
