//! The fields of a composite: a type, or the form of another node type's field.

use serde_json::{Map, Value as Json, json};

use crate::{
    codes,
    definition::NodeCommon,
    graph::escape,
    node::{Registry, schema_of},
    shape::Finding,
    suggest,
    template::templated,
    types::Type,
};

/// A declared field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// What it takes.
    pub(super) kind: Kind,
    /// Whether it is known before the run.
    pub(super) is_static: bool,
    /// Whether a node must have it.
    pub(super) required: bool,
    /// What stands in when a node does not have it.
    pub(super) default: Option<Json>,
    /// What the checks and editors go by.
    pub(super) schema: Json,
}

/// What a field takes.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Values of a type.
    Type(Type),
    /// What a field of another node type takes.
    Like {
        /// What its schema refers to.
        definitions: Map<String, Json>,
    },
}

impl Kind {
    pub(super) fn ty(&self) -> Option<&Type> {
        match self {
            Self::Type(ty) => Some(ty),
            Self::Like { .. } => None,
        }
    }
}

impl Field {
    /// Reads a declaration.
    ///
    /// # Errors
    /// What is wrong with it, by pointers from the top of the file.
    pub(super) fn read(name: &str, declared: &Json, registry: &Registry) -> Result<Self, Vec<Finding>> {
        let at = format!("/fields/{}", escape(name));
        if let Some(taken) = taken(name) {
            return Err(vec![wrong(&at, format!("a field cannot be called `{name}`: {taken}")).on_key()]);
        }
        let mut rules = declared.clone();
        let is_static = match rules.as_object_mut().and_then(|rules| rules.remove("static")) {
            None => false,
            Some(Json::Bool(word)) => word,
            Some(_) => return Err(vec![wrong(&format!("{at}/static"), "expected `true` or `false`")]),
        };
        let field = match rules.get("like") {
            Some(like) => Self::like(&at, like, &rules, is_static, registry)?,
            None => Self::typed(&at, rules, is_static)?,
        };
        let secret = json!("secret");
        if !is_static && field.marks().any(|rules| rules.get("x-liteagent-template") == Some(&secret)) {
            let message = format!("`{name}` may hold secrets, and a value that is computed is journaled");
            return Err(vec![
                wrong(&at, message).hint("add `static: true`, and place it with `{ field: ... }`".to_owned()),
            ]);
        }
        Ok(field)
    }

    fn typed(at: &str, rules: Json, is_static: bool) -> Result<Self, Vec<Finding>> {
        let problems = Type::problems(&rules, at);
        if !problems.is_empty() {
            return Err(problems);
        }
        let ty = Type::new(rules).map_err(|_| vec![wrong(at, "expected a type")])?;
        let schema = Json::from(ty.schema());
        Ok(Self {
            required: !ty.is_optional(),
            default: ty.as_json().get("default").cloned(),
            schema: if is_static { schema } else { templated(schema) },
            kind: Kind::Type(ty),
            is_static,
        })
    }

    fn like(at: &str, like: &Json, rules: &Json, is_static: bool, registry: &Registry) -> Result<Self, Vec<Finding>> {
        const KEYS: [&str; 4] = ["like", "description", "optional", "default"];
        let unknown = rules.as_object().into_iter().flatten().find(|(key, _)| !KEYS.contains(&key.as_str()));
        if let Some((key, _)) = unknown {
            let finding = wrong(&format!("{at}/{}", escape(key)), format!("`{key}` does not go with `like`")).on_key();
            return Err(vec![finding.hint(format!("use {}, and `static`", suggest::list(KEYS)))]);
        }
        let pointer = format!("{at}/like");
        let named = like.as_str().and_then(|like| like.split_once('.'));
        let Some((kind, field)) = named else {
            return Err(vec![wrong(&pointer, "expected `type.field`, as in `llm.messages`")]);
        };
        let Some(spec) = registry.get(kind) else {
            let finding = Finding::new(codes::UNKNOWN_NODE_TYPE, pointer, format!("unknown node type `{kind}`"));
            let known = registry.iter().map(|spec| spec.type_name);
            return Err(vec![finding.hint(suggest::hint(kind, known))]);
        };
        let member = |key: &str| spec.config_schema.get(key).and_then(Json::as_object);
        let Some(schema) = member("properties").and_then(|fields| fields.get(field)) else {
            let known = member("properties").into_iter().flat_map(Map::keys).map(String::as_str);
            let finding = wrong(&pointer, format!("`{kind}` has no field `{field}`"));
            return Err(vec![finding.hint(suggest::hint(field, known))]);
        };
        let mut schema = schema.clone();
        let definitions = member("definitions").cloned().unwrap_or_default();
        if is_static
            && schema.get("x-liteagent-tools").is_none()
            && reaches(&schema, Some(&definitions)).any(is_template)
        {
            // Known before the run: what would be rendered must be written out.
            schema = without_templates(&schema, &definitions, 0);
        }
        for key in ["description", "default"] {
            if let Some(value) = rules.get(key) {
                schema[key] = value.clone();
            }
        }
        let default = rules.get("default").cloned();
        let is_required = spec.config_schema.get("required").and_then(Json::as_array);
        let is_required = is_required.is_some_and(|required| required.iter().any(|name| name == field));
        let is_optional = rules.get("optional").and_then(Json::as_bool);
        Ok(Self {
            required: default.is_none() && is_optional.map_or(is_required, |optional| !optional),
            kind: Kind::Like { definitions },
            is_static,
            default,
            schema,
        })
    }

    /// Something that the field takes; `None` where only its form is known.
    pub(super) fn sample(&self) -> Option<Json> {
        let ty = self.kind.ty();
        self.default.clone().or_else(|| ty.filter(|ty| !ty.is_optional()).map(sample))
    }

    /// Its type, as inputs of a workflow are declared.
    pub(super) fn declared(&self) -> Json {
        self.kind.ty().map_or_else(|| "any".into(), |ty| ty.as_json().clone())
    }

    /// Every rule of its schema, with what that refers to.
    fn marks(&self) -> impl Iterator<Item = &Map<String, Json>> {
        let definitions = match &self.kind {
            Kind::Like { definitions } => Some(definitions),
            Kind::Type(_) => None,
        };
        reaches(&self.schema, definitions)
    }

    /// Whether its author may write templates in it.
    pub(super) fn holds_templates(&self) -> bool {
        self.marks().any(is_template)
    }

    /// Whether the nodes see it as `inputs.NAME`: a form that is static may hold templates of the author.
    pub(super) fn is_value(&self) -> bool {
        !self.is_static || self.kind.ty().is_some()
    }
}

/// Every rule of a schema, with what it refers to.
fn reaches<'s>(
    schema: &'s Json,
    definitions: Option<&'s Map<String, Json>>,
) -> impl Iterator<Item = &'s Map<String, Json>> {
    let mut open = vec![schema];
    // Names that a schema does not hold at any depth are not reached by it.
    let mut seen = Vec::new();
    let mut text = schema.to_string();
    while let Some((name, more)) =
        definitions.into_iter().flatten().find(|(name, _)| !seen.contains(name) && text.contains(&format!("/{name}\"")))
    {
        seen.push(name);
        text.push_str(&more.to_string());
        open.push(more);
    }
    std::iter::from_fn(move || {
        while let Some(next) = open.pop() {
            match next {
                Json::Object(rules) => {
                    open.extend(rules.values());
                    return Some(rules);
                }
                Json::Array(items) => open.extend(items),
                _ => {}
            }
        }
        None
    })
}

fn is_template(rules: &Map<String, Json>) -> bool {
    rules.contains_key("x-liteagent-template")
}

/// A schema that takes no templates, with what it refers to in its place.
fn without_templates(schema: &Json, definitions: &Map<String, Json>, depth: u32) -> Json {
    const DEEPEST: u32 = 16;
    match schema {
        Json::Object(_) if depth > DEEPEST => json!({}),
        Json::Object(rules) => {
            let named = rules.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix("#/definitions/"));
            if let Some(target) = named.and_then(|name| definitions.get(name)) {
                return without_templates(target, definitions, depth + 1);
            }
            let kept = rules.iter().filter(|(key, _)| *key != "x-liteagent-template");
            let kept = kept.map(|(key, value)| (key.clone(), without_templates(value, definitions, depth + 1)));
            Json::Object(kept.collect())
        }
        Json::Array(items) => {
            let is_lone = |item: &&Json| {
                item.get("pattern").and_then(Json::as_str).is_some_and(|pattern| pattern.contains(r"\{\{"))
            };
            let kept = items.iter().filter(|item| !is_lone(item));
            kept.map(|item| without_templates(item, definitions, depth + 1)).collect::<Vec<_>>().into()
        }
        other => other.clone(),
    }
}

fn wrong(at: &str, message: impl Into<String>) -> Finding {
    Finding::new(codes::COMPOSITE_FIELD, at, message)
}

/// Why a name cannot be that of a field.
fn taken(name: &str) -> Option<&'static str> {
    let common = schema_of::<NodeCommon>();
    let common = common.get("properties").and_then(Json::as_object);
    if name == "type" || common.is_some_and(|common| common.contains_key(name)) {
        return Some("every node has a field of this name");
    }
    if name == "nodes" {
        return Some("it is the body of a container");
    }
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let is_name = starts_well && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    (!is_name).then_some("expected lower-case letters, digits and `_`, beginning with a letter")
}

/// A value of a type.
fn sample(ty: &Type) -> Json {
    let rules = ty.as_json();
    if let Some(first) = rules.get("enum").and_then(|words| words.get(0)) {
        return first.clone();
    }
    let schema = Json::from(ty.schema());
    match schema["type"].as_str() {
        Some("integer" | "number") => rules.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    }
}
