//! Values that may have one of several shapes: the best fit is chosen first, so that messages speak of one shape.

use serde_json::{Map, Value};

use super::{
    Around, Finding, Shape, Walker,
    check::has_kind,
    describe::{either, field_name, found, is_null},
    resolve,
};
use crate::{codes, suggest, template::is_template};

impl<'s> Walker<'s> {
    pub(super) fn variants(&mut self, variants: &'s [Value], value: &Value) {
        if value.is_null() && variants.iter().any(is_null) {
            return;
        }
        if let [one] = without_null(variants).as_slice() {
            return self.visit(one, value);
        }
        let candidates = self.flatten(variants);
        let fitting: Vec<_> = candidates.iter().copied().filter(|schema| self.accepts(schema, value)).collect();
        match fitting.as_slice() {
            [] => self.no_variant(&candidates, value),
            [one] => self.visit(one, value),
            several => self.several(several, value),
        }
    }

    /// The variants without `null`, references resolved, nested variants drawn out.
    fn flatten(&self, variants: &'s [Value]) -> Vec<&'s Value> {
        let mut flat = Vec::new();
        for variant in without_null(variants) {
            let target = self.resolved(variant);
            let nested = target.get("anyOf").or_else(|| target.get("oneOf")).and_then(Value::as_array);
            match nested {
                Some(nested) if !has_mark(target) => flat.extend(self.flatten(nested)),
                _ => flat.push(target),
            }
        }
        flat
    }

    /// What a reference stands for, also one that a description stands beside.
    fn resolved(&self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        while let Some(rules) = schema.as_object() {
            let described = || match rules.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
                Some([one]) if !has_mark(schema) => Some(one),
                _ => None,
            };
            match resolve(self.root, rules).or_else(described) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// Whether a value has the kind that a schema is about; its details may be wrong.
    fn accepts(&self, schema: &'s Value, value: &Value) -> bool {
        let schema = self.resolved(schema);
        let Some(rules) = schema.as_object() else { return true };
        if rules.contains_key("x-liteagent-type") {
            return value.is_string() || value.is_object();
        }
        match rules.get("x-liteagent-template").and_then(Value::as_str) {
            Some("tree") => return true,
            Some("secret") => return value.is_string(),
            Some(_) => {
                let inner = super::template::inner(schema);
                let is_own = inner.is_some_and(|inner| std::ptr::eq(inner, schema));
                return value.as_str().is_some_and(is_template)
                    || inner
                        .is_none_or(|inner| if is_own { kind_fits(rules, value) } else { self.accepts(inner, value) });
            }
            None => {}
        }
        if let Some(variants) = rules.get("anyOf").or_else(|| rules.get("oneOf")).and_then(Value::as_array) {
            return variants.iter().any(|variant| self.accepts(variant, value));
        }
        if let Some(all) = rules.get("allOf").and_then(Value::as_array) {
            return all.iter().all(|part| self.accepts(part, value));
        }
        kind_fits(rules, value)
    }

    fn no_variant(&mut self, candidates: &[&'s Value], value: &Value) {
        if value.as_str().is_some_and(is_template) && !self.around.literal {
            return self.free(value);
        }
        let mut words: Vec<_> = candidates.iter().map(|candidate| self.expected(candidate)).collect();
        words.dedup();
        let units = candidates.iter().copied().find(|candidate| candidate.get("pattern").is_some());
        match units.and_then(Value::as_object) {
            Some(rules) if value.is_number() => self.plain(rules, value),
            _ => self.wrong_type(&either(&words), value),
        }
    }

    fn several(&mut self, candidates: &[&'s Value], value: &Value) {
        if let Value::Object(members) = value
            && let Some(candidate) = self.by_keys(candidates, members)
        {
            return self.visit(candidate, value);
        }
        if value.is_object() {
            return;
        }
        if value.as_str().is_some_and(is_template) {
            let takes = candidates.iter().find(|candidate| has_mark(candidate));
            return match takes {
                Some(candidate) => self.visit(candidate, value),
                None => self.free(value),
            };
        }
        let mut tries: Vec<_> = candidates.iter().map(|candidate| self.attempt(candidate, value)).collect();
        let fits = tries.iter().position(|shape| shape.findings.is_empty());
        if let Some(fits) = fits {
            return self.take(tries.swap_remove(fits));
        }
        let constants: Option<Vec<_>> = candidates.iter().map(|candidate| self.constants(candidate)).collect();
        if let Some(constants) = constants {
            return self.wrong_choice(&constants.concat(), value);
        }
        if value.is_array() {
            let best = tries.into_iter().min_by_key(|shape| shape.findings.len());
            return self.take(best.unwrap_or_default());
        }
        let words: Vec<_> = candidates.iter().map(|candidate| self.expected(candidate)).collect();
        let message = format!("expected {} {}, found {}", either(&words), field_name(&self.pointer), found(value));
        let names = candidates.iter().filter_map(|candidate| self.constants(candidate)).flatten().collect::<Vec<_>>();
        let hint = value.as_str().and_then(|text| suggest::hint(text, names.iter().map(String::as_str)));
        self.shape.findings.push(Finding::new(codes::WRONG_CHOICE, &self.pointer, message).hint(hint));
    }

    /// Walks without keeping what was found.
    fn attempt(&self, schema: &'s Value, value: &Value) -> Shape {
        let mut walker = Walker {
            root: self.root,
            name: self.name,
            top: self.top,
            pointer: self.pointer.clone(),
            around: Around::clone(&self.around),
            shape: Shape::default(),
        };
        walker.visit(schema, value);
        walker.shape
    }

    fn take(&mut self, shape: Shape) {
        self.shape.findings.extend(shape.findings);
        self.shape.sites.extend(shape.sites);
        self.shape.bodies.extend(shape.bodies);
        self.shape.types.extend(shape.types);
        self.shape.tools.extend(shape.tools);
        self.shape.files.extend(shape.files);
    }

    /// The variant of a map that its keys mean. `None` when none of them does; that is reported.
    fn by_keys(&mut self, candidates: &[&'s Value], members: &Map<String, Value>) -> Option<&'s Value> {
        if let Some(tag) = tag_of(candidates) {
            return self.by_tag(candidates, members, tag);
        }
        let best = candidates.iter().copied().max_by_key(|candidate| score(candidate, members))?;
        let is_meant = |candidate: &Value| {
            let known = candidate.get("properties").and_then(Value::as_object);
            known.is_none_or(|known| members.keys().any(|key| known.contains_key(key)))
        };
        let names: Vec<_> = candidates.iter().filter_map(|candidate| leading_key(candidate)).collect();
        if is_meant(best) || names.len() != candidates.len() {
            return Some(best);
        }
        let list = suggest::list(names.iter().copied());
        let near = members.keys().find_map(|key| Some((key, suggest::nearest(key, names.iter().copied())?)));
        let found = members.keys().next().map_or_else(|| "an empty map".to_owned(), |key| format!("`{key}`"));
        let message = format!("expected one of the keys {list} {}, found {found}", field_name(&self.pointer));
        let hint = near.map_or_else(|| format!("use {list}"), |(_, name)| format!("did you mean `{name}`?"));
        let finding = match near.map(|(key, _)| key).or_else(|| members.keys().next()) {
            Some(key) => {
                let mut pointer = self.pointer.clone();
                super::push(&mut pointer, key);
                Finding::new(codes::UNKNOWN_FIELD, pointer, message).on_key().label("no such field")
            }
            None => Finding::new(codes::MISSING_FIELD, &self.pointer, message),
        };
        self.shape.findings.push(finding.hint(hint));
        None
    }

    /// The variant whose tag (`type: x`) the map has.
    fn by_tag(&mut self, candidates: &[&'s Value], members: &Map<String, Value>, tag: &str) -> Option<&'s Value> {
        let constant = |candidate: &'s Value| candidate.get("properties")?.get(tag)?.get("const");
        let names: Vec<_> =
            candidates.iter().filter_map(|candidate| constant(candidate)?.as_str()).map(str::to_owned).collect();
        let Some(value) = members.get(tag) else {
            let message = format!("missing field `{tag}`{}", self.owner());
            let hint = format!("add `{tag}` with {}", suggest::list(names.iter().map(String::as_str)));
            self.shape.findings.push(Finding::new(codes::MISSING_FIELD, &self.pointer, message).on_key().hint(hint));
            return None;
        };
        let found = candidates.iter().copied().find(|candidate| constant(candidate) == Some(value));
        if found.is_none() {
            self.below(tag, |this| this.wrong_choice(&names, value));
        }
        found
    }
}

fn without_null(variants: &[Value]) -> Vec<&Value> {
    variants.iter().filter(|variant| !is_null(variant)).collect()
}

fn has_mark(schema: &Value) -> bool {
    ["x-liteagent-template", "x-liteagent-type", "x-liteagent-nodes"].iter().any(|mark| schema.get(mark).is_some())
}

fn kind_fits(rules: &Map<String, Value>, value: &Value) -> bool {
    if let Some(kind) = rules.get("type") {
        return has_kind(kind, value);
    }
    let same_kind = |other: &Value| std::mem::discriminant(other) == std::mem::discriminant(value);
    match (rules.get("const"), rules.get("enum").and_then(Value::as_array)) {
        (Some(constant), _) => same_kind(constant),
        (None, Some(values)) => values.iter().any(same_kind),
        (None, None) => !rules.contains_key("properties") || value.is_object(),
    }
}

/// The field that tells the variants apart by a constant.
fn tag_of<'s>(candidates: &[&'s Value]) -> Option<&'s str> {
    let known = candidates.first()?.get("properties")?.as_object()?;
    let is_tag = |key: &str| {
        candidates.iter().all(|candidate| {
            candidate
                .get("properties")
                .and_then(|known| known.get(key))
                .is_some_and(|field| field.get("const").is_some())
        })
    };
    known.keys().map(String::as_str).find(|key| is_tag(key))
}

/// The first required field: what a variant is called by.
fn leading_key(candidate: &Value) -> Option<&str> {
    candidate.get("required")?.as_array()?.first()?.as_str()
}

/// How well a map fits a variant: known keys count for it, unknown and missing ones against it.
fn score(candidate: &Value, members: &Map<String, Value>) -> i64 {
    let known = candidate.get("properties").and_then(Value::as_object);
    let is_closed = candidate.get("additionalProperties") == Some(&Value::Bool(false));
    let mut score = 0;
    for key in members.keys() {
        score += match known {
            Some(known) if known.contains_key(key) => 2,
            _ if is_closed => -3,
            _ => 0,
        };
    }
    let required = candidate.get("required").and_then(Value::as_array);
    let missing = required.into_iter().flatten().filter_map(Value::as_str).filter(|key| !members.contains_key(*key));
    score - 2 * missing.count() as i64
}
