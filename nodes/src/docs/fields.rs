//! The fields of a schema as rows of a table.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::{Map, Value as Json};

/// A field.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    pub(super) description: String,
}

/// The values of a field that takes one of some words, each with its meaning.
pub(super) struct Choice {
    pub(super) field: String,
    pub(super) values: Vec<(String, String)>,
}

/// The fields of an object, and those of the objects in it, as `errors[].index`; each kind of object once.
pub(super) fn rows(schema: &Schema) -> (Vec<Row>, Vec<Choice>) {
    let root = schema.as_value();
    let mut reader = Reader {
        definitions: root.get("definitions"),
        rows: Vec::new(),
        choices: Vec::new(),
        open: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    reader.object(root, "");
    (reader.rows, reader.choices)
}

struct Reader<'a> {
    definitions: Option<&'a Json>,
    rows: Vec<Row>,
    choices: Vec<Choice>,
    open: BTreeSet<&'a str>,
    seen: BTreeSet<&'a str>,
}

impl<'a> Reader<'a> {
    fn object(&mut self, schema: &'a Json, prefix: &str) {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
        let required = schema.get("required").and_then(Json::as_array);
        for (bare, field) in properties {
            let name = format!("{prefix}{bare}");
            let is_required = required.is_some_and(|required| required.iter().any(|known| known == bare));
            let default = field.get("default").filter(|default| !is_empty(default)).map(Json::to_string);
            self.rows.push(Row {
                kind: self.kind(field),
                required: is_required,
                default: default.filter(|_| !is_required),
                description: self.description(field).to_owned(),
                name: name.clone(),
            });
            self.choice(bare, field);
            self.below(field, &name);
        }
    }

    /// The fields of the object, the items or the members that a field holds.
    fn below(&mut self, field: &'a Json, name: &str) {
        if let Some(target) = reference(field) {
            // Each kind of object is shown where it is first met.
            if self.open.contains(target) || !self.seen.insert(target) {
                return;
            }
            self.open.insert(target);
            let schema = self.resolve(field);
            self.inside(schema, name);
            self.open.remove(target);
        } else {
            self.inside(field, name);
        }
    }

    fn inside(&mut self, field: &'a Json, name: &str) {
        if field.get("x-liteagent-type").is_some() {
            return;
        }
        for variant in variants(field) {
            self.below(variant, name);
        }
        self.object(field, &format!("{name}."));
        if let Some(items) = field.get("items") {
            self.below(items, &format!("{name}[]"));
        }
        if let Some(members) = field.get("additionalProperties").filter(|members| members.is_object()) {
            self.below(members, &format!("{name}.NAME"));
        }
    }

    fn choice(&mut self, field: &str, schema: &'a Json) {
        let schema = self.resolve(schema);
        let some = variants(schema).find(|variant| !is_null(variant)).map_or(schema, |variant| self.resolve(variant));
        let schema = if words(schema).is_some() { schema } else { some };
        let values: Vec<(String, String)> = variants(schema)
            .filter_map(|variant| {
                let meaning = variant.get("description").and_then(Json::as_str)?;
                Some((variant.get("const")?.as_str()?.to_owned(), meaning.to_owned()))
            })
            .collect();
        if !values.is_empty() && !self.choices.iter().any(|known| known.field == field && known.values == values) {
            self.choices.push(Choice { field: field.to_owned(), values });
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        reference(schema).and_then(|target| self.definitions?.get(target)).unwrap_or(schema)
    }

    /// Its own description, or that of its type.
    fn description(&self, field: &'a Json) -> &'a str {
        let own = field.get("description").or_else(|| self.resolve(field).get("description"));
        own.and_then(Json::as_str).unwrap_or_default()
    }

    fn kind(&self, field: &'a Json) -> String {
        let schema = self.resolve(field);
        if let Some(mark) = schema.get("x-liteagent-template").and_then(Json::as_str) {
            return match mark {
                "tree" => "any, with templates".to_owned(),
                "secret" => "text, with secrets".to_owned(),
                _ => match self.plain(schema).as_str() {
                    "text" => "template".to_owned(),
                    "any" => "template of any type".to_owned(),
                    kind => format!("{kind} or template"),
                },
            };
        }
        self.plain(schema)
    }

    fn plain(&self, schema: &'a Json) -> String {
        if schema.get("x-liteagent-nodes").is_some() {
            return "nodes by id".to_owned();
        }
        if schema.get("x-liteagent-type").is_some() {
            return "type".to_owned();
        }
        if let Some(kind) = choice(schema) {
            return kind;
        }
        let mut kinds: Vec<String> = variants(schema)
            .filter(|variant| !is_template_pattern(variant) && !is_null(variant))
            .map(|variant| self.kind(variant))
            .collect();
        kinds.dedup();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
        self.named(schema)
    }

    fn named(&self, schema: &'a Json) -> String {
        let names: Vec<&str> = match schema.get("type") {
            Some(Json::String(name)) => vec![name],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect(),
            _ => return "any".to_owned(),
        };
        let name = |name: &&str| match *name {
            "array" => schema.get("items").map_or("list".to_owned(), |items| format!("list of {}", self.kind(items))),
            "object" => match schema.get("additionalProperties").filter(|members| members.is_object()) {
                Some(members) => format!("map of {}", self.kind(members)),
                None => "object".to_owned(),
            },
            "string" => unit(schema).unwrap_or("text").to_owned(),
            other => other.to_owned(),
        };
        names.iter().map(name).collect::<Vec<_>>().join(" or ")
    }
}

/// The definition that a schema names; schemars writes a reference with siblings as `allOf`.
fn reference(schema: &Json) -> Option<&str> {
    let path = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"))?;
    path.as_str()?.strip_prefix("#/definitions/")
}

/// The words of a schema that allows only some; schemars writes documented ones as `oneOf` of constants.
fn words(schema: &Json) -> Option<Vec<&str>> {
    let words: Vec<&Json> = if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        words.iter().collect()
    } else {
        schema.get("oneOf")?.as_array()?.iter().map(|variant| variant.get("const")).collect::<Option<_>>()?
    };
    Some(words.into_iter().filter_map(Json::as_str).collect())
}

/// More words than this do not fit into a cell; those that are described follow below the table.
const MOST_WORDS: usize = 8;

fn choice(schema: &Json) -> Option<String> {
    let words = words(schema)?;
    if words.len() > MOST_WORDS && schema.get("oneOf").is_some() {
        return Some(format!("one of {} words", words.len()));
    }
    Some(words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
}

fn variants(schema: &Json) -> impl Iterator<Item = &Json> {
    ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten()
}

fn is_null(schema: &Json) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// The second half of `Template<T>`: a text that is a lone `{{ ... }}`.
fn is_template_pattern(schema: &Json) -> bool {
    schema.get("pattern").and_then(Json::as_str).is_some_and(|pattern| pattern.contains(r"\{\{"))
}

fn is_empty(default: &Json) -> bool {
    match default {
        Json::Null => true,
        Json::Object(members) => Map::is_empty(members),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn unit(schema: &Json) -> Option<&'static str> {
    use liteagent_engine::units::{Duration, Size};

    match schema.get("pattern")?.as_str()? {
        Duration::PATTERN => Some("duration"),
        Size::PATTERN => Some("size"),
        _ => None,
    }
}
