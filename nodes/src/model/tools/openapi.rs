//! Operations of an HTTP service, from its OpenAPI description.

use liteagent_engine::{
    capability::{HttpBody, HttpCall},
    node::prelude::*,
};
use serde_json::{Map, Value as Json, json};
use url::Url;

use self::spec::{Operation, Place, operations};
use super::{
    http::{answer, destination},
    kind::ToolOutput,
};
use crate::io::http_request::{Auth, credentials, validate_auth};

mod spec;

/// How long an exchange may take when the tool has no `timeout`.
const LONGEST: Duration = Duration::from_secs(60);

/// A configured tool.
#[derive(Debug)]
pub(crate) struct OpenApiTool {
    base: Url,
    operations: IndexMap<String, Operation>,
    auth: Option<Auth>,
}

impl OpenApiTool {
    pub(super) fn new(text: &str, allow: &[String], auth: Option<&Auth>) -> Result<Self, ConfigError> {
        let (base, mut operations) = operations(text)?;
        for (index, name) in allow.iter().enumerate() {
            if !operations.contains_key(name) {
                let message = format!("the description has no operation `{name}`");
                let error = ConfigError::new(codes::TOOL_OPENAPI, format!("/allow/{index}"), message);
                let known = operations.keys().map(String::as_str);
                let hint = liteagent_engine::suggest::hint(name, known.clone());
                return Err(error
                    .hint(hint.unwrap_or_else(|| format!("use {}", liteagent_engine::suggest::list(known.take(12))))));
            }
        }
        if !allow.is_empty() {
            operations.retain(|name, _| allow.contains(name));
        }
        if let Some(auth) = auth {
            validate_auth(auth)?;
        }
        Ok(Self { base, operations, auth: auth.cloned() })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.operations.keys().map(String::as_str)
    }

    /// The operation, when there is one only: it needs no name of its own.
    pub(super) fn only(&self) -> Option<&str> {
        self.operations.first().filter(|_| self.operations.len() == 1).map(|(name, _)| name.as_str())
    }

    pub(super) fn writes(&self) -> bool {
        self.operations.values().any(Operation::writes)
    }

    pub(super) fn description(&self, operation: &str) -> &str {
        self.operations.get(operation).map_or("", |operation| operation.description.as_str())
    }

    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.operations.values().any(|operation| operation.parameters.contains_key(name))
    }

    /// The schema of the arguments of an operation.
    pub(super) fn schema(&self, operation: &str, fixed: &[&str]) -> Json {
        let parameters = self.operations.get(operation).map(|operation| &operation.parameters);
        let open = || parameters.into_iter().flatten().filter(|(name, _)| !fixed.contains(&name.as_str()));
        let properties: Map<_, _> = open().map(|(name, parameter)| (name.clone(), parameter.schema.clone())).collect();
        let required: Vec<_> = open().filter(|(_, parameter)| parameter.required).map(|(name, _)| name).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    pub(super) async fn call(&self, ctx: &NodeCtx, operation: &str, inputs: &Value) -> Result<ToolOutput, NodeError> {
        let Some(found) = self.operations.get(operation) else {
            let message = format!("the tool has no operation `{operation}`");
            return Err(NodeError::new(codes::TOOL_OPERATION, ErrorClass::Invalid, message));
        };
        let (url, mut headers, body) = self.request(found, inputs)?;
        if let Some(auth) = &self.auth {
            headers.push(credentials(auth, ctx, &destination(&url)?)?);
        }
        if found.writes() {
            headers.push(("idempotency-key".to_owned(), ctx.idempotency_key()));
        }
        let call = HttpCall {
            method: found.method.clone(),
            url: url.to_string(),
            headers,
            body,
            redirects: 0,
            timeout: ctx.deadline.is_none().then_some(LONGEST),
        };
        answer(ctx.send(call).await?, &found.method, &url).await
    }

    fn request(&self, operation: &Operation, inputs: &Value) -> Result<Request, NodeError> {
        let mut url = self.base.clone();
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let mut body = HttpBody::Empty;
        let mut path = String::new();
        let value = |name: &str| inputs.get(name).filter(|value| !value.is_null());
        for segment in operation.path.split('/').filter(|segment| !segment.is_empty()) {
            path.push('/');
            path.push_str(&filled(segment, operation, &value)?);
        }
        let before = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{before}{path}"));
        for (name, parameter) in &operation.parameters {
            let Some(value) = value(name) else { continue };
            match parameter.place {
                Place::Path => {}
                Place::Query => {
                    let values = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
                    let pairs: Vec<_> = values.iter().map(|value| (parameter.name.as_str(), plain(value))).collect();
                    url.query_pairs_mut().extend_pairs(pairs);
                }
                Place::Header => headers.push((parameter.name.clone(), plain(value))),
                Place::Body => {
                    headers.push(("content-type".to_owned(), "application/json".to_owned()));
                    body = HttpBody::Bytes(value.to_string().into());
                }
            }
        }
        Ok((url, headers, body))
    }
}

type Request = (Url, Vec<(String, String)>, HttpBody);

/// A segment of the path with its parameters, each percent-encoded as one segment.
fn filled<'v>(
    segment: &str,
    operation: &Operation,
    value: &impl Fn(&str) -> Option<&'v Value>,
) -> Result<String, NodeError> {
    let mut filled = segment.to_owned();
    for (name, parameter) in operation.parameters.iter().filter(|(_, parameter)| parameter.place == Place::Path) {
        let place = format!("{{{}}}", parameter.name);
        if !filled.contains(&place) {
            continue;
        }
        let text = value(name).map(plain).unwrap_or_default();
        if text.is_empty() || text == "." || text == ".." {
            let message = format!("`{name}` is a part of the path and cannot be `{text}`");
            return Err(NodeError::new(codes::TOOL_ARGUMENTS, ErrorClass::Invalid, message));
        }
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        filled = filled.replace(&place, &encoded);
    }
    Ok(filled)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use liteagent_engine::value;

    use super::*;

    const SHOP: &str = "\
openapi: 3.0.3
info: { title: Shop, version: '1' }
servers: [{ url: https://shop.example.org/v1/ }]
paths:
  /orders/{id}:
    parameters: [{ $ref: '#/components/parameters/Id' }]
    get:
      operationId: getOrder
      summary: Finds an order.
      parameters: [{ name: expand, in: query, schema: { type: array, items: { type: string } } }]
    delete: { description: Cancels an order. }
  /orders:
    post:
      operationId: create order
      requestBody:
        required: true
        content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } }
components:
  parameters: { Id: { name: id, in: path, required: true, schema: { type: string } } }
  schemas:
    Order: { type: object, properties: { parts: { type: array, items: { $ref: '#/components/schemas/Order' } } } }
";

    #[test]
    fn operations_become_schemas_and_requests() {
        let tool = OpenApiTool::new(SHOP, &[], None).unwrap();
        assert_eq!(tool.names().collect::<Vec<_>>(), ["getOrder", "delete_orders_id", "create order"]);
        assert!(tool.writes() && !OpenApiTool::new(SHOP, &["getOrder".to_owned()], None).unwrap().writes());
        let schema = tool.schema("getOrder", &[]);
        assert_eq!(schema["required"], json!(["id"]));
        assert_eq!(tool.schema("getOrder", &["id"])["required"], json!([]));
        assert_eq!(tool.schema("create order", &[])["properties"]["body"]["type"], "object");

        let inputs = value!({ "id": "a/../b ?", "expand": ["x", "y z"] });
        let (url, ..) = tool.request(&tool.operations["getOrder"], &inputs).unwrap();
        assert_eq!(url.as_str(), "https://shop.example.org/v1/orders/a%2F%2E%2E%2Fb%20%3F?expand=x&expand=y+z");
        assert!(tool.request(&tool.operations["getOrder"], &value!({ "id": ".." })).is_err());
        let (.., body) = tool.request(&tool.operations["create order"], &value!({ "body": { "parts": [] } })).unwrap();
        assert!(matches!(body, HttpBody::Bytes(bytes) if &bytes[..] == b"{\"parts\":[]}"));
    }

    #[test]
    fn a_description_that_cannot_be_used_says_why() {
        let wrong = [
            "{",
            "swagger: '2.0'\npaths: {}",
            "openapi: 3.1.0\npaths: { /a: { get: {} } }",
            "openapi: 3.1.0\nservers: [{ url: /relative }]\npaths: { /a: { get: {} } }",
            "openapi: 3.1.0\nservers: [{ url: https://a.test }]\npaths: {}",
            "openapi: 3.1.0\nservers: [{ url: https://a.test }]\npaths: { /a: { get: { parameters: [{ $ref: '#/no' }] } } }",
        ];
        let said: Vec<_> = wrong.iter().map(|text| OpenApiTool::new(text, &[], None).err().unwrap().message).collect();
        insta::assert_snapshot!(said.join("\n"));
        let unknown = OpenApiTool::new(SHOP, &["getOrdr".to_owned()], None).err().unwrap();
        assert_eq!((unknown.field.as_str(), unknown.hint.as_deref()), ("/allow/0", Some("did you mean `getOrder`?")));
    }
}
