//! Fields that take templates.

use schemars::Schema;
use serde_json::{Map, Value};

use super::{Finding, Mark, Site, Walker, describe::field_name, resolve};
use crate::{codes, template::is_template};

impl<'s> Walker<'s> {
    pub(super) fn template(&mut self, mark: &str, schema: &'s Value, value: &Value) {
        match mark {
            "tree" => self.tree(value),
            "secret" => self.secret(value),
            _ => self.text(schema, value),
        }
    }

    fn text(&mut self, schema: &'s Value, value: &Value) {
        let wanted = inner(schema);
        let Some(text) = value.as_str().filter(|text| is_template(text)) else {
            return self.literal(wanted, value);
        };
        let takes_text = wanted.is_none_or(|schema| self.takes_text(schema));
        if !takes_text && !is_lone(text) {
            let expected = wanted.map(|schema| self.expected(schema)).unwrap_or_default();
            let message =
                format!("expected {expected} {}, found a template with text around it", field_name(&self.pointer));
            let finding =
                Finding::new(codes::TEMPLATE_NOT_ALONE, &self.pointer, message).label("this becomes a string");
            self.shape.findings.push(finding.hint("write a lone `{{ ... }}`, which keeps its type".to_owned()));
        }
        let expects = wanted.filter(|schema| !is_free(schema)).map(|schema| self.detached(schema));
        self.site(Mark::Text, text, expects);
    }

    /// A value without a template at a place for templates.
    fn literal(&mut self, wanted: Option<&'s Value>, value: &Value) {
        match wanted {
            Some(Value::Object(rules)) if rules.contains_key("x-liteagent-template") => self.plain(rules, value),
            Some(schema) => self.visit(schema, value),
            None => self.free(value),
        }
    }

    fn tree(&mut self, value: &Value) {
        match value {
            Value::String(text) if is_template(text) => self.site(Mark::Tree, text, None),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&index.to_string(), |this| this.tree(item));
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    self.below(key, |this| this.tree(member));
                }
            }
            _ => {}
        }
    }

    fn secret(&mut self, value: &Value) {
        match value {
            Value::String(text) if is_template(text) => self.site(Mark::Secret, text, None),
            Value::String(_) => {}
            other => self.wrong_type("a string", other),
        }
    }

    fn site(&mut self, mark: Mark, text: &str, expects: Option<Schema>) {
        self.shape.sites.push(Site {
            pointer: self.pointer.clone(),
            text: text.to_owned(),
            mark,
            optional: self.around.optional,
            inner: self.around.inner,
            locals: self.around.locals.clone(),
            expects,
        });
    }

    /// Whether a schema allows any string, so that rendered text will do.
    fn takes_text(&self, schema: &'s Value) -> bool {
        let Some(rules) = schema.as_object() else { return true };
        if let Some(target) = resolve(self.root, rules) {
            return self.takes_text(target);
        }
        if let Some(variants) =
            ["anyOf", "oneOf", "allOf"].iter().find_map(|key| rules.get(*key)).and_then(Value::as_array)
        {
            return variants.iter().any(|variant| self.takes_text(variant));
        }
        rules.get("type").is_none_or(|kind| super::check::has_kind(kind, &Value::String(String::new())))
    }

    /// The schema with what it refers to, to be used on its own.
    fn detached(&self, schema: &'s Value) -> Schema {
        let target = schema.as_object().and_then(|rules| resolve(self.root, rules)).unwrap_or(schema);
        let mut rules = target.as_object().cloned().unwrap_or_default();
        rules.remove("x-liteagent-template");
        if has_reference(target)
            && let Some(definitions) = self.root.get("definitions")
        {
            rules.insert("definitions".to_owned(), definitions.clone());
        }
        Schema::from(rules)
    }
}

/// The schema of `T` in the schema of a `Template<T>`: the schema itself for strings; `None` for any value.
pub(super) fn inner(schema: &Value) -> Option<&Value> {
    if let Some(Value::Array(variants)) = schema.get("anyOf") {
        let is_lone_form = |variant: &&Value| {
            variant.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains(r"\{\{"))
        };
        return variants.iter().find(|variant| !is_lone_form(variant));
    }
    ["type", "enum", "const"].iter().any(|key| schema.get(key).is_some()).then_some(schema)
}

fn is_free(schema: &Value) -> bool {
    schema.as_object().is_none_or(Map::is_empty)
}

fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(rules) => rules.contains_key("$ref") || rules.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

/// Whether a text is one `{{ ... }}` and nothing else.
pub(super) fn is_lone(text: &str) -> bool {
    let text = text.trim();
    let Some(inside) = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
        return false;
    };
    !is_template(inside)
}
