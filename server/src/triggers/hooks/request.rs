//! What templates see of a request.

use axum::http::{HeaderMap, header, request::Parts};
use indexmap::IndexMap;
use liteagent_engine::{
    codes,
    definition::{HookAuth, Webhook},
    value,
    value::{Object, Value},
};

use super::{LONGEST_ID, verify::SIGNATURES};
use crate::problem::Problem;

/// `trigger` as the inputs of a webhook see it.
pub(super) fn trigger(name: &str, webhook: &Webhook, parts: &Parts, body: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::invalid(
            codes::HOOK_BODY,
            format!("expected text in UTF-8, found other bytes at {}", error.valid_up_to()),
        )
        .hint("send JSON, a form, or other text")
    })?;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = if kind == "application/x-www-form-urlencoded" {
        pairs(text)
    } else if (kind == "application/json" || kind.ends_with("+json")) && !text.is_empty() {
        let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            Problem::invalid(codes::HOOK_BODY, format!("the body is no JSON: {error}"))
                .hint("send JSON, or another `Content-Type`")
        })?;
        json.into()
    } else {
        Value::Null
    };
    Ok(value!({
        "type": "webhook",
        "name": name,
        "json": json,
        "body": text,
        "headers": headers(webhook, &parts.headers),
        "query": pairs(parts.uri.query().unwrap_or_default()),
    }))
}

/// What tells a delivery apart: the header that the trigger names, else what was signed.
pub(super) fn delivery(
    webhook: &Webhook,
    headers: &HeaderMap,
    signed: Option<String>,
) -> Result<Option<String>, Problem> {
    let Some(name) = &webhook.delivery else { return Ok(signed) };
    let Some(id) = headers.get(name) else { return Ok(signed) };
    let id = id.to_str().ok().filter(|id| (1..=LONGEST_ID).contains(&id.len())).ok_or_else(|| {
        Problem::invalid(
            codes::REQUEST_PARAMETER,
            format!("`{name}` is no text of 1 to {LONGEST_ID} visible characters"),
        )
        .hint("send the id of the delivery, the same when it is sent again")
    })?;
    Ok(Some(id.to_owned()))
}

/// The headers by their names in lower case, without those that hold secrets.
fn headers(webhook: &Webhook, headers: &HeaderMap) -> Value {
    const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];
    let own = match &webhook.auth {
        HookAuth::Hmac { hmac } => hmac.header.as_deref(),
        HookAuth::Bearer { .. } | HookAuth::None(_) => None,
    };
    let is_secret = |name: &str| {
        SECRET.contains(&name)
            || SIGNATURES.contains(&name)
            || own.is_some_and(|own| own.eq_ignore_ascii_case(name))
            || ["secret", "token", "password"].iter().any(|word| name.contains(word))
    };
    let mut seen = Object::default();
    for name in headers.keys().filter(|name| !is_secret(name.as_str())) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        seen.insert(name.as_str().into(), Value::from(values.join(", ")));
    }
    Value::Object(seen.into())
}

/// The fields of a form or query; one that comes several times is a list.
fn pairs(text: &str) -> Value {
    let mut fields: IndexMap<_, Vec<Value>> = IndexMap::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        fields.entry(name).or_default().push(value.into_owned().into());
    }
    let one_or_all = |mut values: Vec<Value>| match values.len() {
        1 => values.pop().unwrap_or_default(),
        _ => values.into(),
    };
    Value::from_pairs(fields.into_iter().map(|(name, values)| (name.into_owned(), one_or_all(values))))
}
