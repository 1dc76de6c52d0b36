//! From the schemas of our types to plain JSON Schema.

use serde_json::{Map, Value as Json, json};

/// The keywords that hold schemas by name, one schema, and a list of schemas.
const BY_NAME: [&str; 3] = ["properties", "patternProperties", "definitions"];
const ONE: [&str; 6] = ["items", "additionalProperties", "propertyNames", "if", "then", "else"];
const LIST: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// A value of any kind. Said in full, because an editor inserts a field without a kind as a bare word.
const ANY: [&str; 6] = ["string", "number", "boolean", "object", "array", "null"];

/// What authors may write in place of a text.
const FILE: &str =
    "The text of a file, below the folder of this one or in `prompts`, `code` or `assets` of the project.";

/// A schema without our marks, and everything in it likewise.
pub(super) fn plain(schema: Json) -> Json {
    let Json::Object(mut rules) = schema else { return schema };
    for key in BY_NAME {
        if let Some(Json::Object(members)) = rules.get_mut(key) {
            members.values_mut().for_each(in_place);
        }
    }
    for key in ONE {
        if let Some(inner) = rules.get_mut(key) {
            in_place(inner);
        }
    }
    for key in LIST {
        if let Some(Json::Array(variants)) = rules.get_mut(key) {
            variants.iter_mut().for_each(in_place);
        }
    }
    let is_any = rules.is_empty() || rules.get("x-liteagent-template").is_some_and(|mark| mark == "tree");
    let is_template = rules.contains_key("x-liteagent-template");
    let may_be_file = rules.contains_key("x-liteagent-file");
    rules.retain(|key, value| is_told(key, value));
    if let Some(Json::String(text)) = rules.get_mut("description") {
        *text = unwrapped(text);
    }
    inline_reference(&mut rules);
    enumerate(&mut rules);
    if is_template {
        say_what_is_expected(&mut rules);
    }
    flatten(&mut rules);
    allow_merges(&mut rules);
    if is_any {
        rules.insert("type".to_owned(), json!(ANY));
    }
    if is_template && rules.get("type").is_some_and(|kind| kind == "array") {
        return list_or_template(rules);
    }
    if may_be_file { text_or_file(rules) } else { rules.into() }
}

fn in_place(schema: &mut Json) {
    *schema = plain(schema.take());
}

/// Our marks and the widths of numbers mean nothing to editors, and an empty default would be inserted by them.
fn is_told(key: &str, value: &Json) -> bool {
    let is_empty = || match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        _ => false,
    };
    let is_width = || {
        value.as_str().is_some_and(|name| ["uint", "int", "float", "double"].iter().any(|kind| name.starts_with(kind)))
    };
    match key {
        "default" => !is_empty(),
        "format" => !is_width(),
        _ => !key.starts_with("x-liteagent-"),
    }
}

/// Doc comments are wrapped; a reader's window wraps by itself, and editors take every line for a paragraph.
pub(super) fn unwrapped(text: &str) -> String {
    let mut whole = String::new();
    for line in text.lines() {
        let is_block = line.is_empty() || line.starts_with(['-', '*', '|', ' ', '`']) && !line.starts_with("**");
        if !whole.is_empty() {
            let goes_on = !is_block && !whole.ends_with('\n');
            whole.push(if goes_on { ' ' } else { '\n' });
        }
        whole.push_str(line);
    }
    whole
}

/// `allOf: [{ $ref }]` is how schemars writes a reference with a description beside it. Editors read both as it stands.
fn inline_reference(rules: &mut Map<String, Json>) {
    if let Some(Json::Array(parts)) = rules.get("allOf")
        && let [part] = parts.as_slice()
        && let Some(reference) = part.get("$ref").cloned()
    {
        rules.remove("allOf");
        rules.insert("$ref".to_owned(), reference);
    }
}

/// Variants that are constants become an `enum` with a description for each.
fn enumerate(rules: &mut Map<String, Json>) {
    let Some(Json::Array(variants)) = rules.get("oneOf") else { return };
    let (mut values, mut descriptions) = (Vec::new(), Vec::new());
    for variant in variants {
        let told = variant.get("description").cloned().unwrap_or_else(|| "".into());
        match (variant.get("const"), variant.get("enum").and_then(Json::as_array)) {
            (Some(constant), _) => {
                values.push(constant.clone());
                descriptions.push(told);
            }
            (None, Some(words)) => {
                descriptions.extend(words.iter().map(|_| told.clone()));
                values.extend(words.iter().cloned());
            }
            (None, None) => return,
        }
    }
    rules.remove("oneOf");
    rules.insert("type".to_owned(), "string".into());
    rules.insert("enum".to_owned(), values.into());
    rules.insert("enumDescriptions".to_owned(), descriptions.into());
}

/// A value of a type or a lone template: both variants say the same, since editors show what one of them says.
fn say_what_is_expected(rules: &mut Map<String, Json>) {
    let Some(Json::Array(variants)) = rules.get_mut("anyOf") else { return };
    let what = match variants.first().and_then(|literal| literal.get("type")?.as_str()) {
        Some("boolean") => "a boolean",
        Some("integer") => "an integer",
        Some("number") => "a number",
        Some("array") => "a list",
        _ => return,
    };
    for variant in variants.iter_mut().filter_map(Json::as_object_mut) {
        let message = format!("expected {what}, or a template such as {{{{ inputs.name }}}}");
        variant.insert("errorMessage".to_owned(), message.into());
    }
}

/// Variants of variants become variants. `null` is left out: in an editor, a field without a value is not finished.
fn flatten(rules: &mut Map<String, Json>) {
    if let Some(Json::Array(kinds)) = rules.get_mut("type").filter(|kinds| **kinds != json!(ANY)) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            rules.insert("type".to_owned(), kind);
        }
    }
    let Some(Json::Array(variants)) = rules.remove("anyOf") else { return };
    let mut flat = Vec::new();
    for variant in variants {
        match variant.as_object().filter(|rules| rules.len() == 1).and_then(|rules| rules.get("anyOf")?.as_array()) {
            Some(nested) => flat.extend(nested.iter().cloned()),
            None => flat.push(variant),
        }
    }
    flat.retain(|variant| variant != &json!({ "type": "null" }));
    if flat.iter().any(|variant| variant.get("type") == Some(&json!(ANY))) {
        rules.insert("type".to_owned(), json!(ANY));
    } else if let [Json::Object(one)] = flat.as_mut_slice() {
        let mut one = std::mem::take(one);
        one.append(rules);
        *rules = one;
    } else if !flat.is_empty() {
        rules.insert("anyOf".to_owned(), flat.into());
    }
}

/// `<<` is no name but merges a map.
fn allow_merges(rules: &mut Map<String, Json>) {
    if let Some(Json::String(pattern)) = rules.get_mut("propertyNames").and_then(|names| names.get_mut("pattern")) {
        *pattern = format!("^<<$|{pattern}");
    }
}

/// A list that may be computed as a whole.
fn list_or_template(mut rules: Map<String, Json>) -> Json {
    let (title, description) = (rules.remove("title"), rules.remove("description"));
    let template = json!({
        "type": "string",
        "pattern": r"^\s*\{\{[\s\S]*\}\}\s*$",
        "errorMessage": "expected a list, or a template such as {{ inputs.name }}",
    });
    let mut whole = json!({ "anyOf": [rules, template] });
    for (key, value) in [("title", title), ("description", description)] {
        if let Some(value) = value {
            whole[key] = value;
        }
    }
    whole
}

fn text_or_file(mut rules: Map<String, Json>) -> Json {
    let told = ["title", "description"].map(|key| (key, rules.remove(key)));
    let file = json!({
        "type": "object",
        "properties": { "file": { "type": "string", "description": FILE } },
        "required": ["file"],
        "additionalProperties": false,
    });
    let mut either = Map::new();
    either.extend(told.into_iter().filter_map(|(key, told)| Some((key.to_owned(), told?))));
    either.insert("anyOf".to_owned(), json!([rules, file]));
    either.into()
}
