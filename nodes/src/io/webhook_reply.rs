//! `webhook-reply`: what the sender of a webhook's request is answered.

use liteagent_engine::node::{WEBHOOK_REPLY, prelude::*};

/// Answers the request that started the run.
///
/// The answer is sent once this node is durable, and the run goes on after it. Only the first reply of a run is sent, and only
/// where the trigger says `reply: wait`; a run that was started otherwise computes it all the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReplyConfig {
    /// The HTTP status, from 200 to 599.
    #[serde(default = "ok")]
    pub status: Template<Value>,
    /// Further headers by name; those of the connection cannot be set.
    #[serde(default)]
    pub headers: IndexMap<String, Template<String>>,
    /// The body as JSON, with templates at any depth.
    pub json: Option<TemplateTree>,
    /// The body as text.
    pub body: Option<Template<String>>,
}

fn ok() -> Template<Value> {
    Template::literal(200_i64)
}

/// The answer as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookReplyOutput {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: IndexMap<String, String>,
    /// The body, where it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The body, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// See [`WebhookReplyConfig`].
pub struct WebhookReply {
    config: WebhookReplyConfig,
}

/// Headers that belong to the connection or to the server.
const OURS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Node for WebhookReply {
    const TYPE: &'static str = WEBHOOK_REPLY;
    const META: NodeMeta = NodeMeta::pure(Family::Io, EXAMPLES);
    type Config = WebhookReplyConfig;
    type Output = WebhookReplyOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.json.is_some() && config.body.is_some() {
            return Err(ConfigError::new(codes::REPLY_CONFIG, "/body", "a reply has one body: `json` or `body`")
                .hint("remove one of the two"));
        }
        if let Some(status) = config.status.as_literal() {
            read_status(status).map_err(|message| {
                ConfigError::new(codes::REPLY_CONFIG, "/status", message).hint("write a number such as 200")
            })?;
        }
        for name in config.headers.keys() {
            check_header(name).map_err(|message| {
                ConfigError::new(codes::REPLY_CONFIG, format!("/headers/{name}"), message)
                    .hint("use another header, or leave it out")
            })?;
        }
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let failed = |message| NodeError::new(codes::REPLY_VALUE, ErrorClass::Invalid, message);
        let status = read_status(&ctx.render(&self.config.status)?).map_err(failed)?;
        let mut headers = IndexMap::new();
        for (name, value) in &self.config.headers {
            let value = ctx.render(value)?;
            if value.chars().any(|letter| letter.is_control() && letter != '\t') {
                return Err(failed(format!("the header `{name}` has a line break or another control character")));
            }
            headers.insert(name.to_ascii_lowercase(), value);
        }
        let json = self.config.json.as_ref().map(|json| ctx.render_tree(json)).transpose()?;
        let body = self.config.body.as_ref().map(|body| ctx.render(body)).transpose()?;
        Ok(Outcome::Done(WebhookReplyOutput { status, headers, json, body }))
    }
}

fn read_status(value: &Value) -> Result<u16, String> {
    let status = value.as_i64().and_then(|status| u16::try_from(status).ok());
    status
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| format!("expected a status from 200 to 599, found {}", value.to_json()))
}

fn check_header(name: &str) -> Result<(), String> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_name {
        return Err(format!("`{name}` is no name of a header"));
    }
    if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(format!("the header `{name}` cannot be set"));
    }
    Ok(())
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Answers with JSON",
        yaml: "\
type: webhook-reply
status: 201
headers: { Location: \"/orders/{{ order.id }}\" }
json: { id: \"{{ order.id }}\", total: \"{{ order.total }}\" }
",
        scope: "order: { id: o-7, total: 12.5 }",
        gives: "{ output: { status: 201, headers: { location: /orders/o-7 }, json: { id: o-7, total: 12.5 } } }",
    },
    Example {
        title: "Says no",
        yaml: "\
type: webhook-reply
status: \"{{ 404 if gone else 410 }}\"
body: There is no such order.
",
        scope: "gone: { x: 1 }",
        gives: "{ output: { status: 404, body: There is no such order. } }",
    },
    Example {
        title: "A header that would be two",
        yaml: "\
type: webhook-reply
headers: { X-Note: \"{{ inputs.note }}\" }
",
        scope: "inputs: { note: \"a\\r\\nSet-Cookie: b\" }",
        gives: "{ error: LA2250 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{codes, testing::NodeTest};

    #[test]
    fn what_cannot_be_sent_is_said_when_the_workflow_is_loaded() {
        for wrong in [
            "status: 100",
            "status: 600",
            "json: 1\nbody: x",
            "headers: { Transfer-Encoding: chunked }",
            "headers: { 'a b': c }",
            "headers: { Set-Cookie: a=b }",
        ] {
            let node = NodeTest::new(&crate::registry(), &format!("type: webhook-reply\n{wrong}"));
            let Err(error) = node.build() else { panic!("{wrong} is taken") };
            assert_eq!(error.code, codes::REPLY_CONFIG, "{wrong}");
        }
    }
}
