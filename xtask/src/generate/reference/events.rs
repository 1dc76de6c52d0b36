//! What a journal holds, from the types of its records.

use liteagent_engine::{event::Record, node::schema_of};
use serde_json::Value;

/// Every event with its fields.
pub(in super::super) fn events() -> String {
    let schema = schema_of::<Record>().to_value();
    let mut page = format!(
        "{}# Events\n\nA journal is a list of records. Each has `seq` (its position, from 1, without gaps), `at` \
         (milliseconds since 1970-01-01 UTC), `type`, and the fields of its type. `liteagent runs show RUN --journal` \
         prints them. Types and fields are added over time, and none ever changes its meaning.\n",
        super::NOTE
    );
    for event in variants(&schema) {
        let name = event["properties"]["type"]["const"].as_str().unwrap_or_default();
        page.push_str(&format!("\n## {name}\n\n{}\n", line(&event["description"])));
        let fields = event["properties"].as_object().into_iter().flatten().filter(|(field, _)| *field != "type");
        let rows: String = fields.map(|(field, schema)| row(event, field, schema)).collect();
        if !rows.is_empty() {
            page.push_str(&format!("\n| field | |\n|---|---|\n{rows}"));
        }
    }
    page
}

/// The variants of the flattened event, wherever the generator puts them.
fn variants(schema: &Value) -> Vec<&Value> {
    let lists =
        [&schema["oneOf"], &schema["anyOf"], &schema["allOf"][0]["oneOf"], &schema["definitions"]["Event"]["oneOf"]];
    lists.into_iter().find_map(Value::as_array).map(|list| list.iter().collect()).unwrap_or_default()
}

fn row(event: &Value, field: &str, schema: &Value) -> String {
    let required = event["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field));
    let optional = if required { "" } else { " (optional)" };
    format!("| `{field}`{optional} | {} |\n", line(&schema["description"]))
}

fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}
