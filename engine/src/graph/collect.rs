//! Finds the templates in a value: the fields that its schema marks.

use schemars::Schema;
use serde_json::{Map, Value as Json};

use super::Mark;

/// A field that holds a template.
pub(super) struct Field {
    pub(super) pointer: String,
    pub(super) text: String,
    pub(super) mark: Mark,
    pub(super) optional: bool,
    pub(super) inner: bool,
    pub(super) locals: Vec<String>,
    pub(super) expects: Option<Json>,
}

/// The templates in `value`, in the order of the value, each field once.
pub(super) fn collect(schema: &Schema, value: &Json, pointer: &str) -> Vec<Field> {
    let root = schema.as_value();
    let mut collector = Collector { definitions: root.get("definitions"), fields: Vec::new() };
    collector.visit(root, value, pointer, &Context::default());
    collector.fields
}

struct Collector<'a> {
    definitions: Option<&'a Json>,
    fields: Vec<Field>,
}

/// What the marks around a field say about it.
#[derive(Clone, Default)]
struct Context {
    optional: bool,
    inner: bool,
    locals: Vec<String>,
}

impl<'a> Collector<'a> {
    fn visit(&mut self, schema: &'a Json, value: &Json, pointer: &str, around: &Context) {
        let Some(schema) = schema.as_object() else { return };
        let context = around.with(schema);
        if let Some(mark) = mark(schema) {
            return self.template(schema, mark, value, pointer, &context);
        }
        let definition = schema
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|path| self.definitions?.get(path.strip_prefix("#/definitions/")?));
        let parts = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        for part in definition.into_iter().chain(parts) {
            self.visit(part, value, pointer, &context);
        }
        match value {
            Json::Object(members) => self.members(schema, members, pointer, &context),
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let Some(schema) = schema.get("items") else { break };
                    self.visit(schema, item, &format!("{pointer}/{index}"), &context);
                }
            }
            _ => {}
        }
    }

    fn members(
        &mut self,
        schema: &'a Map<String, Json>,
        members: &Map<String, Json>,
        pointer: &str,
        context: &Context,
    ) {
        for (key, member) in members {
            let named = schema.get("properties").and_then(|properties| properties.get(key));
            if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
                self.visit(schema, member, &format!("{pointer}/{}", escape(key)), context);
            }
        }
    }

    fn template(&mut self, schema: &Map<String, Json>, mark: Mark, value: &Json, pointer: &str, context: &Context) {
        match value {
            Json::String(text) => self.push(schema, mark, text, pointer, context),
            Json::Object(members) if mark == Mark::Tree => {
                for (key, member) in members {
                    self.template(schema, mark, member, &format!("{pointer}/{}", escape(key)), context);
                }
            }
            Json::Array(items) if mark == Mark::Tree => {
                for (index, item) in items.iter().enumerate() {
                    self.template(schema, mark, item, &format!("{pointer}/{index}"), context);
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, schema: &Map<String, Json>, mark: Mark, text: &str, pointer: &str, context: &Context) {
        if self.fields.iter().any(|field| field.pointer == pointer) {
            return;
        }
        self.fields.push(Field {
            pointer: pointer.to_owned(),
            text: text.to_owned(),
            mark,
            optional: context.optional,
            inner: context.inner,
            locals: context.locals.clone(),
            expects: (mark == Mark::Text).then(|| Json::Object(schema.clone())),
        });
    }
}

impl Context {
    fn with(&self, schema: &Map<String, Json>) -> Self {
        let is = |key: &str| schema.get(key).and_then(Json::as_bool) == Some(true);
        let names = schema.get("x-liteagent-item").and_then(Json::as_array).into_iter().flatten();
        let mut locals = self.locals.clone();
        locals.extend(names.filter_map(Json::as_str).map(str::to_owned));
        Self {
            optional: self.optional || is("x-liteagent-optional"),
            inner: self.inner || is("x-liteagent-inner"),
            locals,
        }
    }
}

fn mark(schema: &Map<String, Json>) -> Option<Mark> {
    match schema.get("x-liteagent-template")?.as_str()? {
        "tree" => Some(Mark::Tree),
        "secret" => Some(Mark::Secret),
        _ => Some(Mark::Text),
    }
}

/// A key as a step of a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
