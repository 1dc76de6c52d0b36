//! Walks a value along the JSON Schema of its type: all findings at once, and every place of a template.
//!
//! Schemas are what schemars makes of our types (draft 7), with the marks `x-liteagent-*` that say where templates,
//! nodes, declared types and files stand. Messages are made here, so that no reader ever sees "no variant matches".

mod check;
mod describe;
mod template;
mod variant;

use schemars::Schema;
use serde_json::{Map, Value};

use self::describe::field_name;
pub(crate) use self::describe::{conversion, found, short};
use crate::{codes, error::Code, suggest, template::is_template, types::Type};

/// A finding about a value, placed by a JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Stable id.
    pub code: Code,
    /// The value that it is about.
    pub pointer: String,
    /// Whether the key that leads there is meant, and not the value.
    pub on_key: bool,
    /// What was expected and what was found.
    pub message: String,
    /// A few words under the caret; may be empty.
    pub label: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding about the value at a pointer.
    pub fn new(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), on_key: false, message: message.into(), label: String::new(), hint: None }
    }

    /// Points at the key and not at the value.
    pub fn on_key(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// Adds the words under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what to do, if there is something.
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// What kind of field a template stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A `Template<T>`.
    Text,
    /// A string within a `TemplateTree`.
    Tree,
    /// A `SecretTemplate`.
    Secret,
}

/// A string that holds a template.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it stands.
    pub pointer: String,
    /// Its text.
    pub text: String,
    /// The kind of field.
    pub mark: Mark,
    /// Whether its references are guarded: candidates, of which any may be missing.
    pub optional: bool,
    /// Whether it is rendered in the scope of the body of its container.
    pub inner: bool,
    /// Further roots that it sees: `item`, `page`.
    pub locals: Vec<String>,
    /// The schema of what it must give, where only one type will do.
    pub expects: Option<Schema>,
}

/// A text that stands in a file of its own: `prompt: { file: path }`, or `file: path` where a field is marked so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSite {
    /// The pointer of the path.
    pub path: String,
    /// The pointer of the text.
    pub text: String,
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Every string with a template, at a place where templates are read.
    pub sites: Vec<Site>,
    /// The pointers of maps of nodes. The walk does not go into them.
    pub bodies: Vec<String>,
    /// The pointers of declared types. They were checked.
    pub types: Vec<String>,
    /// The pointers of maps of tools.
    pub tools: Vec<String>,
    /// The texts that files may fill and do. What a file holds is walked when it stands in its place.
    pub files: Vec<FileSite>,
}

/// Walks `value`, which stands at `pointer`, along a schema. The title of the schema names the whole in messages, else
/// the last part of the pointer does. At the top of a file, keys that begin with `x-` are free.
pub fn walk(schema: &Schema, value: &Value, pointer: &str) -> Shape {
    let name = schema.as_value().get("title").and_then(Value::as_str);
    walk_as(name.unwrap_or_default(), schema, value, pointer)
}

/// Like [`walk`], with a name for the whole, as in ``unknown field `methd` in `http-request` ``.
pub fn walk_as(name: &str, schema: &Schema, value: &Value, pointer: &str) -> Shape {
    let mut walker = Walker {
        root: schema.as_value(),
        name,
        top: pointer.len(),
        pointer: pointer.to_owned(),
        around: Around::default(),
        shape: Shape::default(),
    };
    walker.visit(schema.as_value(), value);
    walker.shape
}

/// What the fields around a place say about the templates in it.
#[derive(Clone, Debug, Default)]
struct Around {
    optional: bool,
    inner: bool,
    /// Texts are taken as they are, braces and all.
    literal: bool,
    locals: Vec<String>,
}

struct Walker<'s> {
    root: &'s Value,
    name: &'s str,
    top: usize,
    pointer: String,
    around: Around,
    shape: Shape,
}

impl<'s> Walker<'s> {
    fn visit(&mut self, schema: &'s Value, value: &Value) {
        let Some(rules) = schema.as_object() else {
            return self.free(value);
        };
        let around = self.around.clone_if_marked(rules);
        let before = self.shape.findings.len();
        self.visit_rules(schema, rules, value);
        if let Some(around) = around {
            self.around = around;
        }
        // A value that the field does not take, but for which there is something else.
        let instead = rules.get("x-liteagent-instead").and_then(|all| all.get(value.as_str()?)?.as_str());
        if let Some(instead) = instead {
            self.shape.findings[before..].iter_mut().for_each(|finding| finding.hint = Some(instead.to_owned()));
        }
    }

    fn visit_rules(&mut self, schema: &'s Value, rules: &'s Map<String, Value>, value: &Value) {
        self.around.enter(rules);
        if rules.contains_key("x-liteagent-file") && is_file_form(value) {
            let text = self.pointer.clone();
            self.shape.files.push(FileSite { path: format!("{text}/file"), text });
            return;
        }
        if let Some(Value::String(sibling)) = rules.get("x-liteagent-file-of") {
            let around = self.pointer.rsplit_once('/').map_or("", |(around, _)| around);
            let text = format!("{around}/{sibling}");
            self.shape.files.push(FileSite { path: self.pointer.clone(), text });
        }
        if let Some(mark) = rules.get("x-liteagent-template") {
            return self.template(mark.as_str().unwrap_or("text"), schema, value);
        }
        if let Some(target) = self.target(rules) {
            return self.visit(target, value);
        }
        if rules.contains_key("x-liteagent-type") {
            self.shape.types.push(self.pointer.clone());
            self.shape.findings.extend(Type::problems(value, &self.pointer));
            return;
        }
        if let Some(variants) = rules.get("anyOf").or_else(|| rules.get("oneOf")).and_then(Value::as_array) {
            return self.variants(variants, value);
        }
        if let Some(all) = rules.get("allOf").and_then(Value::as_array) {
            for part in all {
                self.visit(part, value);
            }
            return;
        }
        self.plain(rules, value);
    }

    /// The schema that a reference names.
    fn target(&self, rules: &'s Map<String, Value>) -> Option<&'s Value> {
        resolve(self.root, rules)
    }

    fn plain(&mut self, rules: &'s Map<String, Value>, value: &Value) {
        if !self.around.literal && value.as_str().is_some_and(is_template) {
            return self.free(value);
        }
        if !self.check_kind(rules, value) {
            return;
        }
        match value {
            Value::String(text) => self.check_text(rules, text),
            Value::Number(number) => self.check_number(rules, number),
            Value::Array(items) => self.list(rules, items),
            Value::Object(members) => self.map(rules, members),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn list(&mut self, rules: &'s Map<String, Value>, items: &[Value]) {
        self.check_count(rules, items.len(), ("minItems", "maxItems"), "items");
        let each = rules.get("items");
        for (index, item) in items.iter().enumerate() {
            self.below(&index.to_string(), |this| match each {
                Some(schema) => this.visit(schema, item),
                None => this.free(item),
            });
        }
    }

    fn map(&mut self, rules: &'s Map<String, Value>, members: &Map<String, Value>) {
        self.check_count(rules, members.len(), ("minProperties", "maxProperties"), "entries");
        self.check_required(rules, members);
        if rules.contains_key("x-liteagent-nodes") {
            self.shape.bodies.push(self.pointer.clone());
            return;
        }
        if rules.contains_key("x-liteagent-tools") {
            self.shape.tools.push(self.pointer.clone());
        }
        let known = rules.get("properties").and_then(Value::as_object);
        let further = rules.get("additionalProperties");
        self.check_allowed(known, members);
        for (key, member) in members {
            let schema = known.and_then(|known| known.get(key)).or(further);
            match schema {
                Some(Value::Bool(false)) if self.pointer.is_empty() && key.starts_with("x-") => {}
                Some(Value::Bool(false)) => self.unknown(key, member, known),
                Some(schema) => self.below(key, |this| {
                    this.check_name(rules, key);
                    this.visit(schema, member);
                }),
                None => self.below(key, |this| this.free(member)),
            }
        }
    }

    fn unknown(&mut self, key: &str, member: &Value, known: Option<&'s Map<String, Value>>) {
        let owner = self.owner();
        let names = || known.into_iter().flat_map(|known| known.keys().map(String::as_str));
        let hint = suggest::hint(key, names()).unwrap_or_else(|| match names().count() {
            0 => "remove the key: this map is empty".to_owned(),
            _ => format!("use {}", suggest::list(names())),
        });
        self.below(key, |this| {
            let finding = Finding::new(codes::UNKNOWN_FIELD, &this.pointer, format!("unknown field `{key}`{owner}"));
            let hint = if key == "required" && member == &Value::Bool(false) {
                "write `optional: true`".to_owned()
            } else {
                hint
            };
            this.shape.findings.push(finding.on_key().label("no such field").hint(hint));
        });
    }

    fn check_required(&mut self, rules: &'s Map<String, Value>, members: &Map<String, Value>) {
        let required = rules.get("required").and_then(Value::as_array);
        let known = rules.get("properties").and_then(Value::as_object);
        let names = || known.into_iter().flat_map(|known| known.keys().map(String::as_str));
        let is_meant = |key: &str| {
            let mut unknown = members.keys().filter(|member| !known.is_some_and(|known| known.contains_key(*member)));
            unknown.any(|member| suggest::nearest(member, names()) == Some(key))
        };
        let missing = required.into_iter().flatten().filter_map(Value::as_str);
        for key in missing.filter(|key| !members.contains_key(*key) && !is_meant(key)) {
            let schema = known.and_then(|known| known.get(key));
            let form = schema.map_or_else(|| "...".to_owned(), |schema| self.example(schema));
            let message = format!("missing field `{key}`{}", self.owner());
            let finding = Finding::new(codes::MISSING_FIELD, &self.pointer, message).on_key();
            self.shape.findings.push(finding.label(format!("needs `{key}`")).hint(format!("add `{key}: {form}`")));
        }
    }

    /// A value of any shape, in which templates are not read.
    fn free(&mut self, value: &Value) {
        match value {
            Value::String(text) if is_template(text) && !self.around.literal => {
                let field = field_name(&self.pointer);
                let finding =
                    Finding::new(codes::TEMPLATE_NOT_READ, &self.pointer, format!("templates are not read {field}"));
                self.shape.findings.push(
                    finding
                        .label("taken as plain text")
                        .hint("write the value itself, or compute it in a node whose field takes templates".to_owned()),
                );
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&index.to_string(), |this| this.free(item));
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    self.below(key, |this| this.free(member));
                }
            }
            _ => {}
        }
    }

    fn below(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        push(&mut self.pointer, key);
        visit(self);
        self.pointer.truncate(length);
    }

    /// `` in `http-request` ``: the thing that has the fields at the current place.
    fn owner(&self) -> String {
        if self.pointer.len() == self.top && !self.name.is_empty() {
            return format!(" in `{}`", self.name);
        }
        let mut steps = self.pointer.rsplit('/');
        match steps.find(|step| !step.is_empty() && step.parse::<usize>().is_err()) {
            Some(step) => format!(" in `{}`", step.replace("~1", "/").replace("~0", "~")),
            None => String::new(),
        }
    }

    fn wrong_type(&mut self, expected: &str, value: &Value) {
        let field = field_name(&self.pointer);
        let message = format!("expected {expected} {field}, found {}", found(value));
        let hint = conversion(expected, value);
        self.shape.findings.push(Finding::new(codes::WRONG_TYPE, &self.pointer, message).hint(hint));
    }
}

impl Around {
    /// A copy to come back to, when the marks of a schema change something.
    fn clone_if_marked(&self, rules: &Map<String, Value>) -> Option<Self> {
        let marks = ["x-liteagent-optional", "x-liteagent-inner", "x-liteagent-item", "x-liteagent-literal"];
        marks.iter().any(|mark| rules.contains_key(*mark)).then(|| self.clone())
    }

    fn enter(&mut self, rules: &Map<String, Value>) {
        let is_set = |mark: &str| rules.get(mark).is_some_and(|value| value == true);
        self.optional |= is_set("x-liteagent-optional");
        self.inner |= is_set("x-liteagent-inner");
        self.literal |= is_set("x-liteagent-literal");
        let locals = rules.get("x-liteagent-item").and_then(Value::as_array);
        self.locals.extend(locals.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
}

/// Appends a step to a JSON pointer.
pub(crate) fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    if key.contains(['~', '/']) {
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(key);
    }
}

fn resolve<'s>(root: &'s Value, rules: &Map<String, Value>) -> Option<&'s Value> {
    let name = rules.get("$ref")?.as_str()?;
    root.pointer(name.strip_prefix('#')?)
}

fn is_file_form(value: &Value) -> bool {
    value.as_object().is_some_and(|form| form.len() == 1 && form.get("file").is_some_and(Value::is_string))
}
