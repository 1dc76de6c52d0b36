//! One provider that is called over HTTP.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use liteagent_engine::{
    capability::{
        Http, HttpBody, HttpCall, Watcher,
        model::{ChatRequest, ChatStream, EmbedRequest, Embeddings, ModelInfo, Models, ToolUse},
    },
    error::NodeError,
    time::Clock,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value as Json};
use tracing::warn;

use self::{
    exchange::{Failed, Reply},
    tries::Tries,
};
use crate::{
    breaker::Breaker,
    catalog::{self, Facts},
    estimate,
    failure::{Fault, Kind, Place},
    limit::Limiter,
    settings::{Auth, Provider},
    wire::{Ask, Format, Manner},
};

mod answer;
mod embed;
mod exchange;
mod tries;

/// What is encoded within a URL: everything but what may stand anywhere in one.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A provider with its key, its limiter and its breaker.
pub(crate) struct Service {
    provider: Provider,
    place: Place,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    limiter: Arc<dyn Limiter>,
    breaker: Breaker,
    /// Who is told how long calls wait.
    watcher: Option<Arc<dyn Watcher>>,
    /// What refusals have taught about models.
    learnt: Mutex<HashMap<String, Manner>>,
}

impl Service {
    pub(crate) fn new(
        provider: Provider,
        http: Arc<dyn Http>,
        limiter: Arc<dyn Limiter>,
        clock: Arc<dyn Clock>,
        watcher: Option<Arc<dyn Watcher>>,
    ) -> Self {
        let breaker = Breaker::watched(&provider.name, watcher.clone());
        let place = Place {
            provider: provider.name.clone(),
            key_from: provider.key.from.clone(),
            base_url: provider.base_url.to_string(),
            is_ollama: provider.vendor == "ollama",
        };
        Self { provider, place, http, clock, limiter, breaker, watcher, learnt: Mutex::default() }
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Asks one of its models. Unless it is the last that is tried, it is not waited for long.
    pub(crate) async fn ask(&self, model: &str, request: &ChatRequest, is_last: bool) -> Result<ChatStream, NodeError> {
        let facts = self.provider.facts(model);
        if facts.embeds == Some(true) {
            let fault = Fault::new(Kind::Unable, "it turns texts into vectors, and does not chat");
            return Err(self.error(model, &fault));
        }
        let mut manner = self.manner(model, &facts);
        let mut tries = Tries::new(self, request.run, estimate::call(request), is_last);
        loop {
            let ask =
                Ask { request, provider: &self.provider.name, model, manner: &manner, extra: &self.provider.extra };
            let failed = match self.begin(&ask, &facts, &mut tries).await {
                Ok(stream) => return Ok(stream),
                Err(failed) => failed,
            };
            match self.learn(&ask, &failed).filter(|_| tries.may_learn()) {
                Some(learnt) => manner = learnt,
                None => tries.after(failed).await.map_err(|failed| self.told(model, failed))?,
            }
        }
    }

    /// One attempt: it is over when the answer begins.
    async fn begin(&self, ask: &Ask<'_>, facts: &Facts, tries: &mut Tries<'_>) -> Result<ChatStream, Failed> {
        let body = self.provider.format.chat(ask)?;
        let pass = tries.enter().await?;
        let url = self.url(ask.model, self.provider.format.chat_path());
        let mut call = self.call(url, &body)?;
        call.headers.push(("accept".to_owned(), "text/event-stream".to_owned()));
        if let (Format::OpenAi, Some(key)) = (self.provider.format, &ask.request.idempotency_key) {
            call.headers.push(("idempotency-key".to_owned(), key.clone()));
        }
        let reply = self.exchange(call, pass).await?;
        self.stream(ask, facts, reply).await
    }

    fn told(&self, model: &str, failed: Failed) -> NodeError {
        match failed {
            Failed::Fault(fault, _) => self.error(model, &fault),
            Failed::Passed(error) => error,
        }
    }

    fn error(&self, model: &str, fault: &Fault) -> NodeError {
        self.place.error(model, fault, self.provider.key.value().as_deref())
    }

    fn manner(&self, model: &str, facts: &Facts) -> Manner {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        learnt.unwrap_or_else(|| self.provider.manner(facts))
    }

    /// How the model wants to be asked after it refused, if that can be told. Others who ask it know from now on.
    fn learn(&self, ask: &Ask<'_>, failed: &Failed) -> Option<Manner> {
        let Failed::Fault(fault @ Fault { kind: Kind::Request, .. }, Some(said)) = failed else { return None };
        let learnt = self.provider.format.learn(ask.manner, ask, said)?;
        let error = self.error(ask.model, fault);
        warn!("{error}; from now on it is asked {}", ask.manner.difference(&learnt));
        // What does not fit one conversation says nothing about others.
        let kept = Manner { replays_reasoning: ask.manner.replays_reasoning, ..learnt.clone() };
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner).insert(ask.model.to_owned(), kept);
        Some(learnt)
    }

    fn url(&self, model: &str, path: &str) -> String {
        let base = self.provider.base_url.as_str().trim_end_matches('/');
        match (&self.provider.api_version, self.provider.format) {
            (Some(version), Format::OpenAi) => {
                let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
                format!(
                    "{base}/openai/deployments/{}/{path}?api-version={version}",
                    encode(model),
                    version = encode(version)
                )
            }
            (_, Format::OpenAi) => format!("{base}/{path}"),
            (_, Format::Anthropic) => format!("{}/v1/{path}", base.trim_end_matches("/v1")),
        }
    }

    fn call(&self, url: String, body: &Map<String, Json>) -> Result<HttpCall, Failed> {
        let Provider { auth, key, headers, format, .. } = &self.provider;
        let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
        match (key.value(), auth) {
            (Some(key), Auth::Bearer) => all.push(("authorization".to_owned(), format!("Bearer {key}"))),
            (Some(key), Auth::Header(name)) => all.push(((*name).to_owned(), key.to_string())),
            (None, _) if key.is_needed => return Err(Fault::new(Kind::NoKey, "").into()),
            (None, _) => {}
        }
        if *format == Format::Anthropic {
            all.push(("anthropic-version".to_owned(), "2023-06-01".to_owned()));
        }
        all.extend(headers.iter().cloned());
        let body = serde_json::to_vec(body).map_err(|error| Fault::new(Kind::Request, error.to_string()))?;
        Ok(HttpCall {
            method: "POST".to_owned(),
            url,
            headers: all,
            body: HttpBody::Bytes(Bytes::from(body)),
            redirects: 0,
            timeout: None,
        })
    }
}

/// Names are `provider/model`.
#[async_trait]
impl Models for Service {
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        let model = self.model(name);
        let facts = self.provider.facts(model);
        let chats = facts.embeds != Some(true);
        let manner = self.manner(model, &facts);
        Ok(ModelInfo {
            name: format!("{}/{model}", self.provider.name),
            chats,
            // Of one that nobody knows, the provider itself may say no.
            tools: match facts.tools {
                _ if !chats => ToolUse::No,
                Some(false) => ToolUse::InWords,
                _ => ToolUse::Native,
            },
            structured: chats && manner.structured.is_held(),
            images: chats && facts.images.unwrap_or(true),
            context: facts.context,
        })
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let Some((last, others)) = request.models.split_last() else {
            return Err(NodeError::internal("the request names no model"));
        };
        for name in others {
            if let Ok(stream) = self.ask(self.model(name), &request, false).await {
                return Ok(stream);
            }
        }
        self.ask(self.model(last), &request, true).await
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        self.vectors(self.model(&request.model), &request).await
    }

    fn list(&self) -> Vec<ModelInfo> {
        let mut names: Vec<&str> = self.provider.models.keys().map(String::as_str).collect();
        // An Ollama has what was pulled; whatever else is known of its models is not there.
        let vendor = if self.place.is_ollama { "" } else { self.provider.vendor };
        let known = catalog::names(vendor).into_iter();
        names.extend(known.filter(|name| !self.provider.models.contains_key(*name)));
        names.into_iter().filter_map(|model| self.describe(&format!("{}/{model}", self.provider.name)).ok()).collect()
    }
}

impl Service {
    fn model<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(self.provider.name.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
    }

    /// A reply with a good status, as far as it was read.
    fn limits_of(&self, reply: &Reply) -> crate::limit::Told {
        crate::limit::Told::read(&reply.headers, self.clock.now())
    }
}
