//! The fields of a schema as rows of a table.

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

/// The fields of an object, and those of the objects in it, as `errors[].index`.
pub(super) fn rows(schema: &Schema) -> Vec<Row> {
    let root = schema.as_value();
    let mut rows = Vec::new();
    Reader { definitions: root.get("definitions") }.object(root, "", &mut rows, 0);
    rows
}

/// Deeper fields are left to the editor.
const DEEPEST: u32 = 3;

struct Reader<'a> {
    definitions: Option<&'a Json>,
}

impl<'a> Reader<'a> {
    fn object(&self, schema: &'a Json, prefix: &str, rows: &mut Vec<Row>, depth: u32) {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
        let required = schema.get("required").and_then(Json::as_array);
        for (name, field) in properties {
            let name = format!("{prefix}{name}");
            let bare = name.rsplit('.').next().unwrap_or(&name);
            let is_required = required.is_some_and(|required| required.iter().any(|known| known == bare));
            let default = field.get("default").filter(|default| !is_empty(default)).map(Json::to_string);
            rows.push(Row {
                kind: self.kind(field),
                required: is_required,
                default: default.filter(|_| !is_required),
                description: self.description(field).to_owned(),
                name: name.clone(),
            });
            if depth < DEEPEST {
                self.below(field, &name, rows, depth + 1);
            }
        }
    }

    /// The fields of the object, the items or the members that a field holds.
    fn below(&self, field: &'a Json, name: &str, rows: &mut Vec<Row>, depth: u32) {
        let field = self.resolve(field);
        if field.get("x-liteagent-type").is_some() {
            return;
        }
        for variant in variants(field) {
            let variant = self.resolve(variant);
            self.object(variant, &format!("{name}."), rows, depth);
            self.below_items(variant, name, rows, depth);
        }
        self.object(field, &format!("{name}."), rows, depth);
        self.below_items(field, name, rows, depth);
    }

    fn below_items(&self, field: &'a Json, name: &str, rows: &mut Vec<Row>, depth: u32) {
        if depth > DEEPEST {
            return;
        }
        if let Some(items) = field.get("items") {
            self.below(items, &format!("{name}[]"), rows, depth);
        }
        if let Some(members) = field.get("additionalProperties").filter(|members| members.is_object()) {
            self.below(members, &format!("{name}.NAME"), rows, depth);
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix("#/definitions/"));
        let all_of = schema.get("allOf").and_then(Json::as_array).map(Vec::as_slice);
        match (target, all_of) {
            (Some(target), _) => self.definitions.and_then(|all| all.get(target)).unwrap_or(schema),
            (None, Some([only])) => self.resolve(only),
            _ => schema,
        }
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

/// `` `fail`, `keep` or `drop` ``: schemars writes documented variants as `oneOf` of constants.
fn choice(schema: &Json) -> Option<String> {
    let words: Vec<&Json> = match schema.get("enum").and_then(Json::as_array) {
        Some(words) => words.iter().collect(),
        None => {
            let variants: Vec<_> = schema.get("oneOf")?.as_array()?.iter().collect();
            variants.into_iter().map(|variant| variant.get("const")).collect::<Option<_>>()?
        }
    };
    Some(words.iter().filter_map(|word| word.as_str()).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
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
