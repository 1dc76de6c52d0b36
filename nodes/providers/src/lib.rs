//! Language models over HTTP: OpenAI and Anthropic wire formats, routing, traffic and prices.
//!
//! # Layout
//! * [`Router`]: names, aliases, fallbacks, cache; what nodes get as their models
//! * `service`: one provider: attempts, streams, vectors
//! * `wire`: requests and answers as JSON, without input or output
//! * [`limit`]: who may call now; `breaker`: whom to leave alone
//! * `catalog`: prices and abilities of known models, in `catalog/models.yaml`
//! * `failure`: the one taxonomy of what goes wrong
//! * [`sse`]: server-sent events, read as the bytes come
//! * `testing`: with the feature of this name, a scripted provider on loopback
//! * [`resolve`]: from settings, secrets and the environment to a [`Deployment`]

pub use self::{
    catalog::{Facts, LongPrices, prices_checked},
    router::{Company, Listed, Router},
    settings::{Deployment, Limits, Names, ProviderSettings, SettingError, resolve, variables},
    wire::Format,
};

mod breaker;
mod cache;
mod catalog;
mod estimate;
mod failure;
pub mod limit;
mod ollama;
mod router;
mod service;
mod settings;
pub mod sse;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;
