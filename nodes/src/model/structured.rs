//! Answers of a declared form: the schema that a model is given, and the check of what it says.

use liteagent_engine::{
    node::prelude::*,
    types::{Misfit, fit_all},
};
use serde_json::{Value as Json, json};

/// The declared members of an answer.
pub(crate) type Returns = IndexMap<String, Type>;

/// The JSON Schema of an object with these members: all of them stand in it, those that may be missing as `null`.
pub(super) fn schema(returns: &Returns) -> Json {
    let property = |(name, declared): (&String, &Type)| {
        let mut schema = declared.schema().to_value();
        if let (Some(description), Some(members)) = (declared.description(), schema.as_object_mut()) {
            members.entry("description").or_insert_with(|| description.into());
        }
        (name.clone(), schema)
    };
    let properties: serde_json::Map<String, Json> = returns.iter().map(property).collect();
    let required: Vec<&String> = returns.keys().collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Reads an answer. What the model added besides the declared members is left out.
///
/// # Errors
/// What is wrong with it, for the model and for people.
pub(super) fn read(returns: &Returns, text: &str) -> Result<Value, String> {
    let json: Json = serde_json::from_str(object_in(text)).map_err(|error| format!("it is no JSON: {error}"))?;
    let Json::Object(mut members) = json else { return Err("it is no JSON object".to_owned()) };
    members.retain(|name, _| returns.contains_key(name));
    // A member that may be missing is as good as missing when it is `null`.
    members.retain(|name, value| !value.is_null() || !returns.get(name).is_some_and(Type::is_optional));
    fit_all(returns, Json::Object(members).into()).map_err(|misfits| describe(&misfits))
}

/// The outermost braces of a text that may have words or a code fence around them.
fn object_in(text: &str) -> &str {
    match (text.find('{'), text.rfind('}')) {
        (Some(start), Some(end)) if start < end => &text[start..=end],
        _ => text.trim(),
    }
}

fn describe(misfits: &[Misfit]) -> String {
    let line = |misfit: &Misfit| match misfit.pointer.as_str() {
        "" => misfit.message.clone(),
        pointer => format!("at `{pointer}`: {}", misfit.message),
    };
    misfits.iter().map(line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns() -> Returns {
        serde_json::from_value(json!({
            "total": { "type": "number", "description": "With tax." },
            "currency": { "type": "string", "enum": ["EUR", "USD"] },
            "note": "string?",
        }))
        .unwrap()
    }

    #[test]
    fn words_and_fences_around_the_object_do_no_harm() {
        let text = "Here it is:\n```json\n{\"total\": 3.5, \"currency\": \"EUR\", \"extra\": 1}\n```";
        let value = read(&returns(), text).unwrap();
        assert_eq!(value.to_json(), json!({ "total": 3.5, "currency": "EUR", "note": null }));
    }

    #[test]
    fn every_misfit_is_told() {
        let wrong = read(&returns(), r#"{ "currency": "GBP" }"#).unwrap_err();
        assert!(wrong.contains("total") && wrong.contains("/currency"), "{wrong}");
        assert_eq!(
            read(&returns(), "I cannot do that").unwrap_err(),
            "it is no JSON: expected value at line 1 column 1"
        );
        assert_eq!(read(&returns(), "[1]").unwrap_err(), "it is no JSON object");
    }

    #[test]
    fn the_schema_demands_every_member_and_allows_no_other() {
        let schema = schema(&returns());
        assert_eq!(schema["required"], json!(["total", "currency", "note"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["total"]["description"], json!("With tax."));
    }
}
