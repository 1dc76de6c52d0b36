//! From the configuration to the request that is sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use liteagent_engine::{
    capability::{Destination, FormPart, HttpBody, HttpCall},
    node::prelude::*,
};
use url::Url;

use super::{Auth, HttpRequestConfig, Method, advice};
use crate::{
    egress::{is_harmless, read_url},
    io::file_value,
};

/// How long an exchange may take when the node has no `timeout`.
const LONGEST: Duration = Duration::from_secs(600);
/// Headers that say where a message ends or who is asked: they belong to the client.
const RESERVED: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "proxy-authorization"];

/// The engine keeps the `timeout` of the node; without one, nothing else would end a call.
fn own_limit(ctx: &NodeCtx) -> Option<Duration> {
    ctx.deadline.is_none().then_some(LONGEST)
}

/// What types cannot say about the fields.
pub(super) fn validate(config: &HttpRequestConfig) -> Result<(), ConfigError> {
    let wrong = |field: &str, message: String| ConfigError::new(codes::HTTP_CONFIG, field, message);
    let bodies: Vec<&str> = [
        ("json", config.json.is_some()),
        ("form", config.form.is_some()),
        ("body", config.body.is_some()),
        ("body_file", config.body_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_set)| is_set.then_some(name))
    .collect();
    if let [first, second, ..] = bodies[..] {
        return Err(wrong(&format!("/{second}"), format!("expected one body, found `{first}` and `{second}`"))
            .hint(format!("keep `{first}` or `{second}`")));
    }
    if let ([body], None) = (&bodies[..], config.method) {
        return Err(wrong(&format!("/{body}"), format!("`{body}` is a body, and a GET has none"))
            .hint("say `method: POST`, or PUT or PATCH"));
    }
    if let ([body], Some(Method::Head)) = (&bodies[..], config.method) {
        return Err(
            wrong(&format!("/{body}"), format!("`{body}` is a body, and a HEAD has none")).hint("say `method: POST`")
        );
    }
    for (name, value) in &config.headers {
        check_header(name, &format!("/headers/{name}"))?;
        if is_harmless(name) && value.secrets().next().is_some() {
            let message = format!("the header `{name}` goes along to another origin, so it is no place for a secret");
            return Err(wrong(&format!("/headers/{name}"), message).hint("use `auth`, or a header of another name"));
        }
    }
    if let Some(auth) = &config.auth {
        validate_auth(auth)?;
    }
    if let Some(status) = config.accept_status.iter().find(|status| !(400..=599).contains(*status)) {
        return Err(wrong("/accept_status", format!("expected statuses from 400 to 599, found {status}"))
            .hint("list only failures here: statuses below 400 are accepted always"));
    }
    Ok(())
}

pub(crate) fn validate_auth(auth: &Auth) -> Result<(), ConfigError> {
    let set = [auth.bearer.is_some(), auth.basic.is_some(), auth.header.is_some()];
    if set.into_iter().filter(|is_set| *is_set).count() != 1 {
        let message = "expected exactly one of `bearer`, `basic` and `header`";
        return Err(ConfigError::new(codes::HTTP_CONFIG, "/auth", message)
            .hint("say `auth: { bearer: \"{{ secrets.NAME }}\" }`"));
    }
    match &auth.header {
        Some(header) if is_harmless(&header.name) => {
            let message = format!("the header `{}` goes along to another origin", header.name);
            Err(ConfigError::new(codes::HTTP_CONFIG, "/auth/header/name", message)
                .hint("use the header that the service reads credentials from, such as `X-Api-Key`"))
        }
        Some(header) => check_header(&header.name, "/auth/header/name"),
        None => Ok(()),
    }
}

fn check_header(name: &str, field: &str) -> Result<(), ConfigError> {
    let is_token =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return Err(ConfigError::new(
            codes::HTTP_CONFIG,
            field,
            format!("expected the name of a header, found `{name}`"),
        )
        .hint("use letters, digits and `-`"));
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        let message = format!("the header `{name}` is set by the client");
        return Err(ConfigError::new(codes::HTTP_CONFIG, field, message).hint(format!("remove `{name}`")));
    }
    Ok(())
}

/// Renders the request.
pub(super) async fn build(config: &HttpRequestConfig, method: Method, ctx: &NodeCtx) -> Result<HttpCall, NodeError> {
    let text = config.url.render_url(&ctx.scope)?;
    check_segments(&text)?;
    let mut url = read_url(&text, None)?;
    add_query(&mut url, &config.query, ctx)?;
    let to = destination(config, &url)?;
    let mut headers = Vec::new();
    for (name, value) in &config.headers {
        headers.push((name.clone(), ctx.render_secret(value, &to)?));
    }
    if let Some(auth) = &config.auth {
        headers.push(credentials(auth, ctx, &to)?);
    }
    let (body, content_type) = body(config, ctx).await?;
    if let Some(content_type) = content_type {
        add_unless_set(&mut headers, "content-type", content_type);
    }
    if method.writes() {
        add_unless_set(&mut headers, "idempotency-key", ctx.idempotency_key());
    }
    let redirects = config.redirects;
    Ok(HttpCall {
        method: method.as_str().to_owned(),
        url: url.into(),
        headers,
        body,
        redirects,
        timeout: own_limit(ctx),
    })
}

/// Where the secrets of a request go. A redirect or a page at another origin gets none.
fn destination(config: &HttpRequestConfig, url: &Url) -> Result<Destination, NodeError> {
    let no_host = || NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, "expected a URL with a host");
    Ok(Destination {
        scheme: url.scheme().to_owned(),
        host: url.host_str().ok_or_else(no_host)?.to_owned(),
        port: url.port_or_known_default().ok_or_else(no_host)?,
        is_fixed: !advice::is_host_chosen(config),
    })
}

/// Refuses a value that would leave its segment: `..` climbs, and so does its encoded form by the rules of URLs.
fn check_segments(url: &str) -> Result<(), NodeError> {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let climbs = |segment: &str| segment.contains("%2e") && matches!(&*segment.replace("%2e", "."), "." | "..");
    if !path.split('/').any(climbs) {
        return Ok(());
    }
    let message = "expected a segment of the path, found `.` or `..` in a value of `url`";
    Err(NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, message)
        .hint("restrict the value, for example with a `pattern` on the input"))
}

/// A request as messages show it: without its query.
pub(super) fn shown(call: &HttpCall) -> String {
    let url = call.url.split(['?', '#']).next().unwrap_or_default();
    format!("`{} {url}`", call.method)
}

fn add_unless_set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
        headers.push((name.to_owned(), value));
    }
}

pub(crate) fn credentials(auth: &Auth, ctx: &NodeCtx, to: &Destination) -> Result<(String, String), NodeError> {
    if let Some(token) = &auth.bearer {
        return Ok(("authorization".to_owned(), format!("Bearer {}", ctx.render_secret(token, to)?)));
    }
    if let Some(basic) = &auth.basic {
        let pair = format!("{}:{}", ctx.render_secret(&basic.user, to)?, ctx.render_secret(&basic.password, to)?);
        return Ok(("authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair))));
    }
    let header = auth.header.as_ref().ok_or_else(|| NodeError::internal("`auth` is empty after its check"))?;
    Ok((header.name.clone(), ctx.render_secret(&header.value, to)?))
}

fn add_query(url: &mut Url, query: &IndexMap<String, TemplateTree>, ctx: &NodeCtx) -> Result<(), NodeError> {
    let mut pairs = Vec::new();
    for (name, tree) in query {
        for value in repeated(ctx.render_tree(tree)?) {
            pairs.push((name, scalar(&value, &format!("query.{name}"))?));
        }
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(())
}

async fn body(config: &HttpRequestConfig, ctx: &NodeCtx) -> Result<(HttpBody, Option<String>), NodeError> {
    if let Some(json) = &config.json {
        let text = ctx.render_tree(json)?.to_string();
        return Ok((HttpBody::Bytes(text.into()), Some("application/json".to_owned())));
    }
    if let Some(text) = &config.body {
        let text = ctx.render(text)?;
        return Ok((HttpBody::Bytes(text.into()), Some("text/plain; charset=utf-8".to_owned())));
    }
    if let Some(file) = &config.body_file {
        let (file, content) = file_value::open(ctx, &ctx.render(file)?, "body_file").await?;
        return Ok((HttpBody::Bytes(content), Some(file.mime)));
    }
    match &config.form {
        Some(fields) => form(fields, ctx).await,
        None => Ok((HttpBody::Empty, None)),
    }
}

async fn form(fields: &IndexMap<String, TemplateTree>, ctx: &NodeCtx) -> Result<(HttpBody, Option<String>), NodeError> {
    let mut parts = Vec::new();
    for (name, tree) in fields {
        for value in repeated(ctx.render_tree(tree)?) {
            parts.push(form_part(name, &value, ctx).await?);
        }
    }
    if parts.iter().any(|part| part.file.is_some()) {
        return Ok((HttpBody::Form(parts), None));
    }
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for part in &parts {
        text.append_pair(&part.name, &String::from_utf8_lossy(&part.content));
    }
    let body = HttpBody::Bytes(text.finish().into());
    Ok((body, Some("application/x-www-form-urlencoded".to_owned())))
}

async fn form_part(name: &str, value: &Value, ctx: &NodeCtx) -> Result<FormPart, NodeError> {
    let field = format!("form.{name}");
    if value.as_object().is_some() {
        let (file, content) = file_value::open(ctx, value, &field).await?;
        return Ok(FormPart { name: name.to_owned(), file: Some((file.name, file.mime)), content });
    }
    Ok(FormPart { name: name.to_owned(), file: None, content: Bytes::from(scalar(value, &field)?) })
}

/// A list as its items, `null` as nothing.
fn repeated(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::List(items) => items.iter().filter(|item| !item.is_null()).cloned().collect(),
        value => vec![value],
    }
}

fn scalar(value: &Value, field: &str) -> Result<String, NodeError> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::List(_) | Value::Object(_) => {
            let message = format!("expected a text, number or boolean in `{field}`, found {}", value.kind());
            Err(NodeError::new(codes::HTTP_REQUEST, ErrorClass::Invalid, message)
                .hint("use the filter `tojson`, or give each member a name of its own"))
        }
    }
}
