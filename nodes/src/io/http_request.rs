//! `http-request`: a call of an HTTP API.

use liteagent_engine::{capability::HttpReply, node::prelude::*, node::schema_of, store::FileValue};

use self::answer::Answer;
pub(crate) use self::{
    answer::{collect, failure},
    request::{credentials, validate_auth},
};

mod advice;
mod answer;
mod media;
mod pages;
mod request;

/// Calls an HTTP API.
///
/// An answer of 400 or above fails the node, with a class that `retry` and `on_error` understand (404 is `not_found`,
/// 429 `rate_limited`, 5xx `unavailable`), unless its status stands in `accept_status`. JSON is read into `json`; an
/// answer that is no text becomes a file value in `file`. POST, PUT, PATCH and DELETE carry an `Idempotency-Key` that
/// is the same for every attempt. Only public addresses are reached, and those that `[http] allow` in `liteagent.toml`
/// names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequestConfig {
    /// Where to send the request. What templates after the host give is percent-encoded, so that a value stays one
    /// segment or one parameter.
    pub url: Template<String>,
    /// The method. `GET` when missing.
    pub method: Option<Method>,
    /// Parameters that are added to the URL. A list gives the parameter several times; `null` leaves it out.
    #[serde(default)]
    pub query: IndexMap<String, TemplateTree>,
    /// Headers. Secrets may stand in the values, except of those that go along to another origin (`Accept`, `Range`,
    /// `User-Agent` and their like).
    #[serde(default)]
    pub headers: IndexMap<String, SecretTemplate>,
    /// The credentials. They are dropped when a redirect leads to another origin.
    pub auth: Option<Auth>,
    /// A JSON body, with templates at any depth.
    pub json: Option<TemplateTree>,
    /// A form as the body. It is sent as `multipart/form-data` when a value is a file value, else URL-encoded. A list
    /// gives the field several times; `null` leaves it out.
    pub form: Option<IndexMap<String, TemplateTree>>,
    /// A text as the body.
    pub body: Option<Template<String>>,
    /// A file value whose content is the body.
    pub body_file: Option<Template<Value>>,
    /// Follows the pages of a list and gathers their items.
    pub paginate: Option<Paginate>,
    /// Statuses of 400 and above that count as success.
    #[serde(default)]
    pub accept_status: Vec<u16>,
    /// How many redirects are followed; 0 gives the redirect itself as the answer.
    #[serde(default = "ten")]
    #[schemars(range(max = 50))]
    pub redirects: u32,
    /// How large the body of an answer may be, unpacked. A larger one fails the node with the class `limit_exceeded`, and
    /// so do pages that are ten times as large together.
    #[serde(default = "ten_mib")]
    pub max_size: Size,
    /// The members of `json` that the workflow uses, with their types. They are checked when the answer comes, and
    /// references to others are errors. An answer with an accepted status of 400 or above is not checked.
    pub returns: Option<IndexMap<String, Type>>,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names of HTTP say it")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
    Options,
}

impl Method {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether the other side may change something.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch | Self::Delete)
    }
}

/// Credentials: exactly one of the three.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// A token, sent as `Authorization: Bearer ...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretTemplate>,
    /// A user name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// A header of any name, such as `X-Api-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderAuth>,
}

/// A user name and a password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name.
    pub user: SecretTemplate,
    /// The password.
    pub password: SecretTemplate,
}

/// A header that holds the credentials.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAuth {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretTemplate,
}

/// How the pages of a list follow each other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paginate {
    /// The URL of the next page, read from `page` (`status`, `headers`, `json`, `body`, `url`); `null` or an empty text
    /// after the last one. It may be relative to the page: `?page=2`.
    #[schemars(extend("x-liteagent-item" = ["page"]))]
    pub next: Template<Value>,
    /// The items of a page, read from `page`: a list.
    #[schemars(extend("x-liteagent-item" = ["page"]))]
    pub items: Template<Value>,
    /// How many pages are asked for at most. The node fails when there are more.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_pages: u32,
}

/// The answer; of the last page when there were several.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HttpRequestOutput {
    /// The status code.
    pub status: u16,
    /// The headers: lower-case names, and values joined by `, `.
    pub headers: IndexMap<String, String>,
    /// The body, read as JSON; `null` when it is no JSON.
    pub json: Value,
    /// The body as text; empty when it is a file.
    pub body: String,
    /// The body as a file value, when it is no text.
    pub file: Option<FileValue>,
    /// The items of every page; empty without `paginate`.
    pub items: Vec<Value>,
}

/// See [`HttpRequestConfig`].
pub struct HttpRequest {
    config: HttpRequestConfig,
    method: Method,
    returns: Option<Arc<IndexMap<String, Type>>>,
}

const fn ten() -> u32 {
    10
}

const fn ten_mib() -> Size {
    Size(10 << 20)
}

impl Node for HttpRequest {
    const TYPE: &'static str = "http-request";
    const META: NodeMeta = NodeMeta {
        family: Family::Io,
        effect: Effect::AtLeastOnce,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Http],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = HttpRequestConfig;
    type Output = HttpRequestOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        request::validate(&config)?;
        let method = config.method.unwrap_or(Method::Get);
        let returns = config.returns.clone().map(Arc::new);
        Ok(Self { config, method, returns })
    }

    fn acts(&self) -> bool {
        self.method.writes()
    }

    fn effect(&self) -> Effect {
        match self.method {
            Method::Post | Method::Patch => Effect::AtLeastOnce,
            _ => Effect::Idempotent,
        }
    }

    fn output_schema(&self) -> Option<Schema> {
        let returns = self.config.returns.as_ref()?;
        let mut schema = schema_of::<HttpRequestOutput>();
        *schema.pointer_mut("/properties/json")? = answer::schema(returns);
        Some(schema)
    }

    fn check(&self, _: &Known) -> Vec<ConfigFinding> {
        advice::findings(&self.config)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let first = request::build(&self.config, self.method, ctx).await?;
        let Some(paginate) = &self.config.paginate else {
            let (answer, _) = self.ask(ctx, first).await?;
            return Ok(Outcome::Done(answer.into_output(Vec::new())));
        };
        let (answer, items) = pages::gather(self, ctx, paginate, first).await?;
        Ok(Outcome::Done(answer.into_output(items)))
    }
}

impl HttpRequest {
    /// One request and its whole answer, with the URL that gave it.
    async fn ask(
        &self,
        ctx: &NodeCtx,
        call: liteagent_engine::capability::HttpCall,
    ) -> Result<(Answer, String), NodeError> {
        let asked = request::shown(&call);
        let reply = ctx.send(call).await?;
        let url = reply.url.clone();
        if reply.status >= 400 && !self.config.accept_status.contains(&reply.status) {
            return Err(failure(&asked, reply).await);
        }
        let answer = answer::read(ctx, self, &asked, reply).await?;
        Ok((answer, url))
    }
}

/// The first header of this name.
fn header<'a>(reply: &'a HttpReply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Reads an order, and says what it uses of it",
        yaml: "\
type: http-request
url: https://shop.example.org/orders/{{ inputs.order }}
returns: { status: string, total: number, shipped_at: \"string?\" }
accept_status: [404]
",
        scope: "\
inputs: { order: \"70012\" }
fakes: { http: [{ json: { status: shipped, total: 40, currency: EUR } }] }
",
        gives: "\
output: { status: 200, json: { status: shipped, total: 40, shipped_at: null, currency: EUR } }
",
    },
    Example {
        title: "Sends JSON; every attempt has the same idempotency key",
        yaml: "\
type: http-request
method: POST
url: https://api.example.org/items
query: { notify: true }
json: { name: \"{{ inputs.name }}\", tags: [new] }
retry: { attempts: 3, backoff: 1s }
",
        scope: "\
inputs: { name: Lamp }
fakes: { http: [{ status: 201, headers: { Location: /items/7 }, json: { id: 7 } }] }
",
        gives: "\
output: { status: 201, headers: { location: /items/7 }, json: { id: 7 } }
",
    },
    Example {
        title: "Gathers the items of every page",
        yaml: "\
type: http-request
url: https://api.example.org/issues
query: { per_page: 2 }
paginate:
  next: \"{{ page.json.next }}\"
  items: \"{{ page.json.items }}\"
",
        scope: "\
fakes:
  http:
    - json: { items: [{ id: 1 }, { id: 2 }], next: \"?page=2\" }
    - json: { items: [{ id: 3 }], next: null }
",
        gives: "output: { items: [{ id: 1 }, { id: 2 }, { id: 3 }] }",
    },
    Example {
        title: "An answer of 404 fails, unless it is accepted",
        yaml: "\
type: http-request
url: https://shop.example.org/orders/1
",
        scope: "fakes: { http: [{ status: 404, body: no such order }] }",
        gives: "\
error: LA2205
message: \"`GET https://shop.example.org/orders/1` answered 404: no such order\"
",
    },
];
