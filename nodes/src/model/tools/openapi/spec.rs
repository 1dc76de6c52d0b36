//! Reads an OpenAPI description, 3.0 or 3.1: where the service is, and what can be asked of it.

use liteagent_engine::{node::prelude::*, source};
use serde_json::{Map, Value as Json, json};
use url::Url;

use super::super::callable;

/// The methods of operations.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// A schema that refers to itself is cut off here.
const DEEPEST: u32 = 8;

/// Something that can be asked.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) description: String,
    /// By the name that a model uses.
    pub(super) parameters: IndexMap<String, Parameter>,
}

#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name in the request.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) required: bool,
    pub(super) schema: Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Body,
}

impl Operation {
    pub(super) fn writes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// The address of the service, and its operations by id.
pub(super) fn operations(text: &str) -> Result<(Url, IndexMap<String, Operation>), ConfigError> {
    let (document, findings) = source::parse("openapi.yaml", text.to_owned());
    let Some(document) = document else {
        let why = findings.into_iter().next().map(|finding| finding.message).unwrap_or_default();
        return Err(wrong(format!("the description is neither YAML nor JSON: {why}")));
    };
    let root = document.value;
    let version = root.get("openapi").and_then(Json::as_str).unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(wrong("expected an OpenAPI description of version 3, with `openapi: 3.x` at its top")
            .hint("convert an older description first; most services offer both"));
    }
    let base = base(&root)?;
    let reader = Reader { root: &root };
    let mut operations = IndexMap::new();
    for (path, item) in root.get("paths").and_then(Json::as_object).into_iter().flatten() {
        let item = reader.resolved(item)?;
        for method in METHODS {
            let Some(found) = item.get(method) else { continue };
            let id = found.get("operationId").and_then(Json::as_str).map(str::to_owned);
            let id = id.unwrap_or_else(|| named(method, path));
            let operation = reader.operation(method, path, item, found)?;
            if operations.insert(id.clone(), operation).is_some() {
                return Err(wrong(format!("two operations are called `{id}`")));
            }
        }
    }
    if operations.is_empty() {
        return Err(wrong("the description has no operations under `paths`"));
    }
    Ok((base, operations))
}

fn wrong(message: impl Into<String>) -> ConfigError {
    ConfigError::new(codes::TOOL_OPENAPI, "/openapi", message)
}

fn base(root: &Json) -> Result<Url, ConfigError> {
    let url = root.pointer("/servers/0/url").and_then(Json::as_str).unwrap_or_default();
    let read = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    read.ok_or_else(|| {
        wrong(format!("expected the address of the service as the first of `servers`, found `{url}`"))
            .hint("add `servers: [{ url: https://api.example.org }]` to the description")
    })
}

/// `get /orders/{id}` as `get_orders_id`.
fn named(method: &str, path: &str) -> String {
    let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).map(callable).collect::<Vec<_>>().join("_")
}

struct Reader<'r> {
    root: &'r Json,
}

impl<'r> Reader<'r> {
    fn operation(&self, method: &str, path: &str, item: &'r Json, found: &'r Json) -> Result<Operation, ConfigError> {
        let mut parameters = IndexMap::new();
        let all = [item, found].into_iter().flat_map(|of| of.get("parameters").and_then(Json::as_array)).flatten();
        for declared in all {
            let declared = self.resolved(declared)?;
            let text = |key: &str| declared.get(key).and_then(Json::as_str).unwrap_or_default();
            let place = match text("in") {
                "path" => Place::Path,
                "query" => Place::Query,
                "header" => Place::Header,
                // Cookies are no place for what a model writes.
                _ => continue,
            };
            let mut schema = self.schema(declared.get("schema").unwrap_or(&Json::Null), 0)?;
            describe(&mut schema, text("description"));
            let required = declared.get("required") == Some(&Json::Bool(true)) || place == Place::Path;
            let parameter = Parameter { name: text("name").to_owned(), place, required, schema };
            parameters.insert(callable(text("name")), parameter);
        }
        if let Some(body) = found.get("requestBody") {
            let body = self.resolved(body)?;
            let content = body.get("content").and_then(Json::as_object);
            let json = content.into_iter().flatten().find(|(media, _)| media.contains("json"));
            if let Some((_, media)) = json {
                let schema = self.schema(media.get("schema").unwrap_or(&Json::Null), 0)?;
                let required = body.get("required") == Some(&Json::Bool(true));
                parameters
                    .insert("body".to_owned(), Parameter { name: String::new(), place: Place::Body, required, schema });
            }
        }
        let text = |key: &str| found.get(key).and_then(Json::as_str).map(str::trim).filter(|text| !text.is_empty());
        let description = [text("summary"), text("description")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let description =
            if description.is_empty() { format!("{} {path}", method.to_uppercase()) } else { description };
        Ok(Operation { method: method.to_uppercase(), path: path.to_owned(), description, parameters })
    }

    /// What a `$ref` names; a part of the description itself.
    fn resolved(&self, value: &'r Json) -> Result<&'r Json, ConfigError> {
        let mut value = value;
        for _ in 0..DEEPEST {
            let Some(name) = value.get("$ref").and_then(Json::as_str) else { return Ok(value) };
            let target = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            value =
                target.ok_or_else(|| wrong(format!("the description refers to `{name}`, which it does not have")))?;
        }
        Err(wrong("references of the description lead in a circle"))
    }

    /// A schema with what it refers to in its place.
    fn schema(&self, schema: &'r Json, depth: u32) -> Result<Json, ConfigError> {
        if depth >= DEEPEST {
            return Ok(json!({}));
        }
        let schema = self.resolved(schema)?;
        let Some(rules) = schema.as_object() else { return Ok(json!({})) };
        let mut made = Map::new();
        for (key, value) in rules {
            let value = match (key.as_str(), value) {
                ("properties", Json::Object(members)) => {
                    let members = members.iter().map(|(name, of)| Ok((name.clone(), self.schema(of, depth + 1)?)));
                    Json::Object(members.collect::<Result<_, ConfigError>>()?)
                }
                ("items" | "additionalProperties", of @ Json::Object(_)) => self.schema(of, depth + 1)?,
                ("allOf" | "anyOf" | "oneOf", Json::Array(parts)) => {
                    parts.iter().map(|part| self.schema(part, depth + 1)).collect::<Result<Vec<_>, _>>()?.into()
                }
                // What models do not read.
                ("example" | "examples" | "xml" | "externalDocs" | "deprecated", _) => continue,
                (_, value) => value.clone(),
            };
            made.insert(key.clone(), value);
        }
        Ok(made.into())
    }
}

fn describe(schema: &mut Json, description: &str) {
    if !description.is_empty() && schema.get("description").is_none() {
        schema["description"] = description.into();
    }
}
