//! `/openapi.json`, and `/docs`: the same as a page, without a script and without anything from elsewhere.

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use liteagent_engine::editor::workflow_schema;
use serde_json::Value;
use utoipa_axum::routes;

use crate::{access::Access, app::App, extract::Json, routes::Routes};

const STYLE: &str = include_str!("docs.css");

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.add(Access::Open, routes!(openapi)).add(Access::Open, routes!(page)).add(Access::Open, routes!(schema))
}

/// The JSON Schema of workflow files, for editors
///
/// With the node types of this installation.
#[utoipa::path(get, path = "/schemas/workflow.schema.json", tag = "docs", responses((status = 200, body = serde_json::Value)))]
async fn schema(State(app): State<Arc<App>>) -> Json<Value> {
    Json(workflow_schema(app.workflows.registry()))
}

/// The OpenAPI document
#[utoipa::path(get, path = "/openapi.json", tag = "docs", responses((status = 200, body = serde_json::Value)))]
async fn openapi() -> Response {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| crate::document().to_pretty_json().expect("the document has a JSON form"));
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (json, TEXT.as_str()).into_response()
}

/// This documentation
#[utoipa::path(get, path = "/docs", tag = "docs", responses((status = 200, body = String, content_type = "text/html")))]
async fn page() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| {
        let document = serde_json::to_value(crate::document()).expect("the document has a JSON form");
        render(&document)
    });
    let policy = [(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    )];
    (policy, Html(PAGE.as_str())).into_response()
}

/// The page of a document.
fn render(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>LiteAgent API</title><style>{STYLE}</style>\
         <main><h1>LiteAgent API</h1><p>{} <a href=\"/openapi.json\">OpenAPI document</a></p>",
        escape(text(document, "/info/description")),
    );
    let operations = operations(document);
    let mut tags: Vec<&str> = operations.iter().map(|operation| operation.tag).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        push(&mut page, format_args!("<h2 id=\"{0}\">{0}</h2>", escape(tag)));
        for operation in operations.iter().filter(|operation| operation.tag == tag) {
            operation.render(&mut page);
        }
    }
    page.push_str("<h2 id=\"schemas\">schemas</h2>");
    for (name, schema) in members(document, "/components/schemas") {
        push(
            &mut page,
            format_args!(
                "<h3 id=\"schema-{0}\">{0}</h3><p>{1}</p>",
                escape(name),
                escape(text(schema, "/description"))
            ),
        );
        let json = serde_json::to_string_pretty(schema).expect("a schema has a JSON form");
        push(&mut page, format_args!("<details><summary>JSON Schema</summary><pre>{}</pre></details>", escape(&json)));
        fields(&mut page, schema);
    }
    page.push_str("</main></html>");
    page
}

/// A method of a path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    tag: &'a str,
    json: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    members(document, "/paths")
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(method, json)| Operation {
                method,
                path,
                tag: text(json, "/tags/0"),
                json,
            })
        })
        .collect()
}

impl Operation<'_> {
    fn render(&self, page: &mut String) {
        push(
            page,
            format_args!(
                "<section><h3><code>{} {}</code></h3><p><strong>{}</strong></p><p>{}</p>",
                self.method.to_uppercase(),
                escape(self.path),
                escape(text(self.json, "/summary")),
                escape(text(self.json, "/description")).replace("\n\n", "</p><p>"),
            ),
        );
        let parameters = self.json.pointer("/parameters").and_then(Value::as_array);
        if let Some(parameters) = parameters {
            page.push_str("<table><tr><th>parameter</th><th>in</th><th>what</th></tr>");
            for parameter in parameters {
                push(
                    page,
                    format_args!(
                        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                        escape(text(parameter, "/name")),
                        escape(text(parameter, "/in")),
                        escape(text(parameter, "/description")),
                    ),
                );
            }
            page.push_str("</table>");
        }
        for (kind, content) in members(self.json, "/requestBody/content") {
            push(
                page,
                format_args!("<p>Body <code>{}</code>: {}</p>", escape(kind), shown(content.pointer("/schema"))),
            );
        }
        for (status, response) in members(self.json, "/responses") {
            let contents = members(response, "/content");
            let bodies: Vec<String> = contents
                .map(|(kind, content)| format!("{} {}", escape(kind), shown(content.pointer("/schema"))))
                .collect();
            push(
                page,
                format_args!(
                    "<p>Reply {}: {} {}</p>",
                    escape(status),
                    escape(text(response, "/description")),
                    bodies.join(", ")
                ),
            );
        }
        page.push_str("</section>");
    }
}

/// The members of an object.
fn fields(page: &mut String, schema: &Value) {
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten().chain([schema]);
    for part in parts {
        let mut rows = members(part, "/properties").peekable();
        if rows.peek().is_none() {
            continue;
        }
        page.push_str("<table><tr><th>field</th><th>type</th><th>what</th></tr>");
        for (name, field) in rows {
            push(
                page,
                format_args!(
                    "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                    escape(name),
                    shown(Some(field)),
                    escape(text(field, "/description")),
                ),
            );
        }
        page.push_str("</table>");
    }
}

/// A schema in a few words.
fn shown(schema: Option<&Value>) -> String {
    let Some(schema) = schema else { return String::new() };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema.get(key).and_then(Value::as_array) {
            return choices.iter().map(|choice| shown(Some(choice))).collect::<Vec<_>>().join(" or ");
        }
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "array" => format!("list of {}", shown(schema.get("items"))),
        Some(Value::String(kind)) => escape(kind),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn members<'a>(json: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    json.pointer(pointer).and_then(Value::as_object).into_iter().flatten().map(|(name, member)| (name.as_str(), member))
}

fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a text takes what is written to it");
}

/// Text that stands in a page as it is.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
