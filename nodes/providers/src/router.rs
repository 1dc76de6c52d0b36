//! The models of an installation under one roof: names, aliases, fallbacks, cache.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use liteagent_engine::{
    capability::{
        EstimatedTokens, Http, Tokenizer, Watcher,
        model::{ChatEvent, ChatRequest, ChatStream, EmbedRequest, Embeddings, ModelInfo, Models},
    },
    error::NodeError,
    id::Digest,
    queue::Paces,
    time::Clock,
};
use tracing::warn;

use self::names::Aliases;
pub use self::overview::Listed;
use crate::{
    cache::{self, Cache},
    catalog::Facts,
    limit::{Limiter, Memory, Shared},
    ollama,
    service::Service,
    settings::{Deployment, Limits, Provider},
};

mod names;
mod overview;

/// The provider of models that run in this process.
const LOCAL: &str = "local";

/// Every model that is configured. Names are `provider/model`, or aliases.
pub struct Router {
    served: BTreeMap<String, Served>,
    aliases: Aliases,
    cache: Arc<Cache>,
}

/// Who else is there when models are called.
#[derive(Clone, Default)]
pub struct Company {
    /// Is told how long calls wait for limits, and which providers are left alone.
    pub watcher: Option<Arc<dyn Watcher>>,
    /// What processes keep to together that use the same keys.
    pub paces: Option<Arc<dyn Paces>>,
}

/// Who answers for a provider.
enum Served {
    Service(Box<Service>),
    Plugged(Arc<dyn Models>),
}

impl Router {
    /// Opens the providers of a deployment, and those that are `plugged` in under a name, such as the models of this
    /// process. An Ollama is asked for its models when nothing else stands for an alias; that takes half a second at
    /// most.
    pub async fn open(
        deployment: Deployment,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        plugged: impl IntoIterator<Item = (String, Arc<dyn Models>)>,
    ) -> Self {
        Self::open_among(deployment, http, clock, plugged, Company::default()).await
    }

    /// The same, where others watch, or call the same providers.
    pub async fn open_among(
        deployment: Deployment,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        plugged: impl IntoIterator<Item = (String, Arc<dyn Models>)>,
        company: Company,
    ) -> Self {
        let Deployment { mut providers, aliases, default } = deployment;
        let plugged: Vec<(String, Arc<dyn Models>)> = plugged.into_iter().collect();
        let has_local = plugged.iter().any(|(name, _)| name == LOCAL);
        if !names::is_settled(&providers, &aliases, default.as_ref())
            && let Some(provider) = providers.get_mut("ollama")
        {
            for (name, facts) in ollama::models(&http, &clock, provider).await {
                let own = provider.models.remove(&name).unwrap_or_default();
                provider.usual.take(&name, &facts);
                provider.models.insert(name, facts.with(&own));
            }
        }
        let aliases = Aliases::new(&providers, aliases, default, has_local);
        let Company { watcher, paces } = company;
        let mut limiters = Limiters { paces, known: BTreeMap::new() };
        let services = providers.into_values().map(|provider| {
            let limiter = limiters.of(&provider, &clock);
            let name = provider.name.clone();
            (
                name,
                Served::Service(Box::new(Service::new(
                    provider,
                    http.clone(),
                    limiter,
                    clock.clone(),
                    watcher.clone(),
                ))),
            )
        });
        let mut served: BTreeMap<String, Served> = services.collect();
        served.extend(plugged.into_iter().map(|(name, models)| (name, Served::Plugged(models))));
        Self { served, aliases, cache: Arc::default() }
    }

    fn served<'s, 'n>(&'s self, name: &'n str) -> Result<(&'s Served, &'n str), NodeError> {
        let (provider, model) = name.split_once('/').unwrap_or((name, ""));
        match self.served.get(provider) {
            Some(served) if !model.is_empty() => Ok((served, model)),
            _ => Err(names::unknown(name, self.served.keys().map(String::as_str), self.aliases.names())),
        }
    }

    /// Asks one model after the other.
    async fn first_of(&self, names: &[String], request: &ChatRequest) -> Result<ChatStream, NodeError> {
        let mut failed: Vec<String> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let is_last = at + 1 == names.len();
            let answer = match self.served(name) {
                Err(error) => Err(error),
                Ok((Served::Service(service), model)) => service.ask(model, request, is_last).await,
                Ok((Served::Plugged(models), _)) => {
                    models.chat(ChatRequest { models: vec![name.clone()], ..request.clone() }).await
                }
            };
            match answer {
                Ok(stream) => return Ok(stream),
                Err(error) if is_last => return Err(after(error, &failed)),
                Err(error) => {
                    warn!(model = name, code = error.code.0, "{error}; the next model is asked");
                    failed.push(format!("`{name}` ({})", error.code));
                }
            }
        }
        Err(NodeError::internal("a request names no model"))
    }
}

/// The error of the last model also tells which ones were asked before.
fn after(error: NodeError, failed: &[String]) -> NodeError {
    if failed.is_empty() {
        return error;
    }
    NodeError { message: format!("{}; before it failed {}", error.message, failed.join(", ")), ..error }
}

#[async_trait]
impl Models for Router {
    /// Of an alias with models that stand in: the first model, as far as all of them can what it can.
    fn describe(&self, name: &str) -> Result<ModelInfo, NodeError> {
        let describe = |name: &String| match self.served(name)? {
            (Served::Service(service), _) => service.describe(name),
            (Served::Plugged(models), _) => models.describe(name),
        };
        let names = self.aliases.resolve(name)?;
        let mut infos = names.iter().map(describe);
        let first = infos.next().unwrap_or_else(|| Err(NodeError::internal("a name stands for no model")))?;
        // One that is not there cannot answer either.
        Ok(infos.flatten().fold(first, |first, other| ModelInfo {
            tools: first.tools.min(other.tools),
            structured: first.structured && other.structured,
            images: first.images && other.images,
            context: first.context.into_iter().chain(other.context).min(),
            ..first
        }))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, NodeError> {
        let mut names: Vec<String> = Vec::new();
        for name in &request.models {
            let more = self.aliases.resolve(name)?;
            names.extend(more.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
        if !request.cache {
            return self.first_of(&names, &request).await;
        }
        let key = cache::key(&names, &request);
        if let Some(events) = self.cache.get(&key) {
            return Ok(stream::iter(events.into_iter().map(Ok)).boxed());
        }
        let answer = self.first_of(&names, &request).await?;
        Ok(keep(answer, self.cache.clone(), key))
    }

    async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, NodeError> {
        // Vectors of different models do not compare: there is no other to fall back to.
        let names = self.aliases.resolve(&request.model)?;
        let name = names.first().cloned().unwrap_or_default();
        let request = EmbedRequest { model: name.clone(), ..request };
        match self.served(&name)? {
            (Served::Service(service), _) => service.embed(request).await,
            (Served::Plugged(models), _) => models.embed(request).await,
        }
    }

    fn tokenizer(&self, name: &str) -> Result<Arc<dyn Tokenizer>, NodeError> {
        let names = self.aliases.resolve(name)?;
        let name = names.first().map_or(name, String::as_str);
        match self.served(name)? {
            // Services do not say what their tokens are.
            (Served::Service(_), _) => Ok(Arc::new(EstimatedTokens)),
            (Served::Plugged(models), _) => models.tokenizer(name),
        }
    }

    fn list(&self) -> Vec<ModelInfo> {
        self.overview().into_iter().map(|listed| listed.info).collect()
    }
}

/// Passes an answer on, and keeps it when it is whole.
fn keep(answer: ChatStream, cache: Arc<Cache>, key: cache::Key) -> ChatStream {
    let mut so_far = Some(Vec::new());
    answer
        .inspect(move |event| match event {
            Ok(event) => {
                if let Some(events) = &mut so_far {
                    events.push(event.clone());
                }
                if let (ChatEvent::End(_), Some(events)) =
                    (event, so_far.take_if(|_| matches!(event, ChatEvent::End(_))))
                {
                    cache.put(key, events);
                }
            }
            Err(_) => so_far = None,
        })
        .boxed()
}

/// One limiter for each key, also when several providers share it.
struct Limiters {
    paces: Option<Arc<dyn Paces>>,
    known: BTreeMap<Account, Arc<dyn Limiter>>,
}

/// Whose limits they are: an origin, and the key there.
type Account = (String, Option<Arc<str>>);

impl Limiters {
    fn of(&mut self, provider: &Provider, clock: &Arc<dyn Clock>) -> Arc<dyn Limiter> {
        let origin = provider.base_url.origin().ascii_serialization();
        let limits: Limits = provider.limits;
        let key = provider.key.value();
        // Others see it, so it tells nothing of the key.
        let account = Digest::of(format!("{origin} {}", key.as_deref().unwrap_or_default()).as_bytes()).to_string();
        let limiter = self.known.entry((origin, key)).or_insert_with(|| {
            let max_wait = provider.patience.max_wait;
            let own = Arc::new(Memory::new(limits, max_wait, clock.clone()));
            match &self.paces {
                None => own,
                Some(paces) => Arc::new(Shared::new(own, paces.clone(), account, limits, max_wait, clock.clone())),
            }
        });
        limiter.clone()
    }
}

impl crate::settings::Usual {
    /// The first model that can stands for an alias.
    fn take(&mut self, name: &str, facts: &Facts) {
        let place = if facts.embeds == Some(true) || name.contains("embed") { &mut self.embed } else { &mut self.chat };
        place.get_or_insert_with(|| name.to_owned());
    }
}
