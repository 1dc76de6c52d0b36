//! Reranking models over HTTP, in the form that Cohere gave it and others took over.

use liteagent_engine::{
    capability::{Destination, HttpBody, HttpCall},
    node::prelude::*,
};
use serde_json::json;
use url::Url;

use crate::io::http_request::{Auth, collect, credentials, failure, validate_auth};

const LONGEST: Duration = Duration::from_secs(60);
/// An answer holds a number for each passage.
const LARGEST: Size = Size(4 << 20);

/// A reranking model that is served over HTTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The whole URL, such as `https://api.cohere.com/v2/rerank`.
    pub url: String,
    /// The name of the model, where the service has several.
    pub model: Option<String>,
    /// Credentials.
    pub auth: Option<Auth>,
}

/// `{ results: [{ index, relevance_score }] }`, or the list alone with `score`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Results { results: Vec<Scored> },
    List(Vec<Scored>),
}

#[derive(Deserialize)]
struct Scored {
    index: usize,
    #[serde(alias = "score")]
    relevance_score: f64,
}

impl Endpoint {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.url().map_err(|message| {
            ConfigError::new(codes::HTTP_URL, "/endpoint/url", message)
                .hint("write the whole URL, such as `https://api.cohere.com/v2/rerank`")
        })?;
        let Some(auth) = &self.auth else { return Ok(()) };
        validate_auth(auth).map_err(|error| ConfigError { field: format!("/endpoint{}", error.field), ..error })
    }

    fn url(&self) -> Result<Url, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("expected a URL, found `{}`: {error}", self.url))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            other => Err(format!("expected `http` or `https`, found `{other}`")),
        }
    }

    /// A score for each passage.
    pub(super) async fn scores(&self, ctx: &NodeCtx, query: &str, texts: &[&str]) -> Result<Vec<f64>, NodeError> {
        let url = self.url().map_err(NodeError::internal)?;
        let mut body = json!({ "query": query, "documents": texts, "texts": texts, "top_n": texts.len() });
        if let Some(model) = &self.model {
            body["model"] = model.clone().into();
        }
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
        ];
        if let Some(auth) = &self.auth {
            let to = Destination {
                scheme: url.scheme().to_owned(),
                host: url.host_str().unwrap_or_default().to_owned(),
                port: url.port_or_known_default().unwrap_or_default(),
                is_fixed: true,
            };
            headers.push(credentials(auth, ctx, &to)?);
        }
        let call = HttpCall {
            method: "POST".to_owned(),
            url: url.to_string(),
            headers,
            body: HttpBody::Bytes(body.to_string().into()),
            redirects: 0,
            timeout: ctx.deadline.is_none().then_some(LONGEST),
        };
        let asked = format!("`POST {}`", self.url);
        let reply = ctx.send(call).await?;
        if !(200..300).contains(&reply.status) {
            return Err(failure(&asked, reply).await);
        }
        self.read(&collect(reply, LARGEST, &asked).await?, texts.len())
    }

    fn read(&self, content: &[u8], count: usize) -> Result<Vec<f64>, NodeError> {
        let wrong = |message: String| {
            NodeError::new(codes::RERANK_ANSWER, ErrorClass::Invalid, format!("`{}`: {message}", self.url))
                .hint("the endpoint has to answer `{ results: [{ index, relevance_score }] }`")
        };
        let answer: Answer =
            serde_json::from_slice(content).map_err(|error| wrong(format!("expected scores, found {error}")))?;
        let (Answer::Results { results } | Answer::List(results)) = answer;
        let mut scores = vec![None; count];
        for Scored { index, relevance_score } in results {
            *scores
                .get_mut(index)
                .ok_or_else(|| wrong(format!("expected {count} passages, found number {index}")))? =
                Some(relevance_score);
        }
        // What it left out is worth nothing to it.
        Ok(scores.into_iter().map(Option::unwrap_or_default).collect())
    }
}
