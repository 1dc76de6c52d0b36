use serde_json::json;

use super::*;
use crate::value;

fn declared(json: Json) -> Type {
    Type::new(json).expect("a valid type")
}

#[test]
fn names_and_long_forms_give_plain_json_schema() {
    let cases = [
        (json!("string"), json!({ "type": "string" })),
        (json!("integer[]"), json!({ "type": "array", "items": { "type": "integer" } })),
        (json!("number?"), json!({ "type": ["number", "null"] })),
        (json!("any"), json!({})),
        (
            json!({ "type": "string[]", "enum": ["a", "b"], "minItems": 1, "description": "d" }),
            json!({ "type": "array", "items": { "type": "string", "enum": ["a", "b"] }, "minItems": 1, "description": "d" }),
        ),
        (
            json!({ "type": "object", "properties": { "a": "string", "b": { "type": "integer", "optional": true } } }),
            json!({
                "type": "object",
                "properties": { "a": { "type": "string" }, "b": { "type": ["integer", "null"] } },
                "required": ["a"],
            }),
        ),
    ];
    for (written, schema) in cases {
        assert_eq!(declared(written).schema().to_value(), schema);
    }
}

#[test]
fn values_are_fitted_and_defaults_filled_in() {
    let row = declared(json!({ "type": "object", "properties": {
        "name": "string", "size": { "type": "integer", "default": 3 }, "note": "string?",
    } }));
    let fitted = row.fit(value!({ "name": "x", "more": 1 })).unwrap();
    assert_eq!(fitted, value!({ "name": "x", "more": 1, "size": 3, "note": null }));
    assert_eq!(declared(json!("integer")).fit(value!(3.0)).unwrap(), value!(3));
    assert!(declared(json!("integer")).fit(value!(3.5)).is_err());
    assert!(declared(json!("string?")).fit(Value::Null).is_ok());
    assert!(declared(json!("string")).fit(Value::Null).is_err());
}

#[test]
fn every_misfit_is_named_with_its_place() {
    let rows = declared(json!({ "type": "array", "items": { "type": "object", "properties": {
        "kind": { "type": "string", "enum": ["bug", "feature"] },
        "size": { "type": "integer", "minimum": 1 },
        "mail": { "type": "string", "format": "email" },
    } } }));
    let misfits = rows
        .fit(value!([{ "kind": "bugg", "size": 0, "mail": "a@b" }, { "kind": "bug", "size": "1" }, 5]))
        .unwrap_err();
    let lines: Vec<_> = misfits
        .iter()
        .map(|misfit| format!("{}: {} ({})", misfit.pointer, misfit.message, misfit.hint.as_deref().unwrap_or("-")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn named_values_are_fitted_together() {
    let types: IndexMap<String, Type> = serde_json::from_value(json!({
        "question": "string", "limit": { "type": "integer", "default": 5 }, "note": "string?", "files": "file[]",
    }))
    .unwrap();
    let files = json!([{ "id": "1", "name": "a.txt", "mime": "text/plain", "size": 1, "sha256": "0" }]);
    let fitted = fit_all(&types, value!({ "question": "q", "files": files })).unwrap();
    assert_eq!(fitted, value!({ "question": "q", "limit": 5, "note": null, "files": files }));
    let misfits = fit_all(&types, value!({ "qestion": "q", "limit": "many", "files": [1] })).unwrap_err();
    let lines: Vec<_> = misfits.iter().map(|misfit| format!("{}: {}", misfit.pointer, misfit.message)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn problems_of_declarations_come_all_at_once_with_hints() {
    let written = json!({
        "a": "strng", "b": "int[]", "c": { "type": "string", "required": false }, "d": { "type": "string", "minimum": 1 },
        "e": { "type": "integer", "default": "x" }, "f": { "type": "string", "pattern": "(" }, "g": 5,
        "h": { "name": "string" }, "i": { "type": "string", "format": "datetime" }, "j": { "type": ["string", "null"] },
        "k": { "type": "object", "properties": { "x": { "type": "list" } } }, "l": { "type": "string", "min": 1 },
        "m": "array",
    });
    let lines: Vec<_> = written
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(name, json)| Type::problems(json, &format!("/{name}")))
        .map(|finding| {
            format!(
                "{} {}: {} ({})",
                finding.code,
                finding.pointer,
                finding.message,
                finding.hint.as_deref().unwrap_or("-")
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}
