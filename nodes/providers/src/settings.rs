//! What is configured: `[providers.NAME]` and `[models]` of `liteagent.toml`, and the environment.

use std::{collections::BTreeMap, fmt, sync::Arc};

use liteagent_engine::{
    capability::{Destination, Secrets},
    units::Duration,
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value as Json};
use url::Url;

pub(crate) use self::presets::PRESETS;
pub use self::{
    presets::variables,
    resolve::{SettingError, resolve},
};
use crate::{
    catalog::{self, Facts},
    wire::{Format, Manner},
};

mod presets;
mod resolve;

/// `[providers.NAME]`. A name that LiteAgent knows, such as `openai`, has defaults for what is missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderSettings {
    /// The wire format: `openai` or `anthropic`.
    pub kind: Option<Format>,
    /// Where it is reached: `https://llm.example.org/v1`. Calls of models may go there, whatever the address is.
    pub base_url: Option<String>,
    /// The name of the secret that holds the key.
    pub key: Option<String>,
    /// Headers that go along.
    pub headers: BTreeMap<String, String>,
    /// The version of Azure's interface; models are then deployments.
    pub api_version: Option<String>,
    /// How many calls a minute.
    pub requests_per_minute: Option<u32>,
    /// How many tokens a minute, questions and answers together.
    pub tokens_per_minute: Option<u32>,
    /// How many calls at once, of each process.
    pub in_flight: Option<u32>,
    /// How long the first token may take; 2 minutes by default.
    pub first_token: Option<Duration>,
    /// How long the next token may take; 1 minute by default.
    pub between_tokens: Option<Duration>,
    /// How long a call waits for a provider that asks to slow down; 2 minutes by default.
    pub max_wait: Option<Duration>,
    /// Fields that are added to every request as they are.
    pub extra: Map<String, Json>,
    /// What is known of its models, by their names there.
    pub models: BTreeMap<String, Facts>,
}

/// A value of `[models]`: one name, or several of which the next stands in for the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> de::Visitor<'de> for Reader {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a model, or a list of names")
            }
            fn visit_str<E>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut access: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = access.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// Everything that the router needs to be opened.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    pub(crate) providers: BTreeMap<String, Provider>,
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
    /// What stands for `default`, and who says so.
    pub(crate) default: Option<(String, &'static str)>,
}

impl Deployment {
    /// Hosts with their ports that calls of models may reach though they are not public: those that someone configured.
    pub fn endpoints(&self) -> Vec<String> {
        self.providers.values().filter_map(|provider| provider.allow.clone()).collect()
    }
}

/// A provider with everything that a call needs.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    /// Whose models it serves, as the table of models calls them.
    pub(crate) vendor: &'static str,
    pub(crate) format: Format,
    pub(crate) base_url: Url,
    pub(crate) api_version: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) key: Key,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) limits: Limits,
    pub(crate) patience: Patience,
    pub(crate) extra: Map<String, Json>,
    pub(crate) models: BTreeMap<String, Facts>,
    /// The models that stand for aliases.
    pub(crate) usual: Usual,
    pub(crate) manner: Manner,
    /// How many texts one request for vectors has at most.
    pub(crate) batch: usize,
    /// `HOST:PORT`, when someone configured the address.
    pub(crate) allow: Option<String>,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// `authorization: Bearer KEY`
    Bearer,
    /// Another header, with the key alone.
    Header(&'static str),
}

/// The key of a provider.
#[derive(Clone, Default)]
pub(crate) struct Key {
    /// The key, or where it is looked up for each call.
    pub(crate) given: Given,
    /// Where it comes from, or has to come from, as hints say it.
    pub(crate) from: String,
    /// Whether calls without a key make no sense.
    pub(crate) is_needed: bool,
}

/// A key that is given.
#[derive(Clone, Default)]
pub(crate) enum Given {
    /// None.
    #[default]
    Nothing,
    /// By the environment.
    Text(Arc<str>),
    /// A secret, which may change while the process lives: its name, and where it is sent.
    Secret(Arc<Secrets>, String, Box<Destination>),
}

impl Key {
    /// The key, if there is one that may be sent.
    pub(crate) fn value(&self) -> Option<Arc<str>> {
        match &self.given {
            Given::Nothing => None,
            Given::Text(key) => Some(key.clone()),
            Given::Secret(secrets, name, to) => secrets.read_for(name, to).ok(),
        }
    }
}

/// Keys are shown nowhere.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.from, if self.value().is_some() { "set" } else { "missing" })
    }
}

/// The models of a provider that stand for aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) chat: Option<String>,
    pub(crate) fast: Option<String>,
    pub(crate) embed: Option<String>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Calls a minute.
    pub requests: Option<u32>,
    /// Tokens a minute.
    pub tokens: Option<u32>,
    /// Calls at once.
    pub in_flight: Option<u32>,
}

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) first_token: Duration,
    pub(crate) between_tokens: Duration,
    pub(crate) max_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(120),
            between_tokens: Duration::from_secs(60),
            max_wait: Duration::from_secs(120),
        }
    }
}

impl Provider {
    /// What is known of one of its models.
    pub(crate) fn facts(&self, model: &str) -> Facts {
        let known = catalog::known(self.vendor, model);
        match self.models.get(model) {
            Some(own) => known.with(own),
            None => known,
        }
    }

    /// How one of its models wants to be asked, as far as that is known before it refuses something.
    pub(crate) fn manner(&self, facts: &Facts) -> Manner {
        const SAMPLING: [&str; 4] = ["temperature", "top_p", "frequency_penalty", "presence_penalty"];
        /// Answers without a stated limit are not longer, where a limit has to be stated.
        const MOST: u64 = 32_000;
        let mut manner = self.manner.clone();
        if facts.sampling == Some(false) {
            manner.without.extend(SAMPLING);
        }
        manner.structured = facts.structured.unwrap_or(manner.structured);
        manner.tools_without_reasoning = facts.tools_without_reasoning.unwrap_or(manner.tools_without_reasoning);
        manner.forced_tools = facts.forced_tools.unwrap_or(manner.forced_tools);
        manner.max_tokens = facts.answer.map_or(manner.max_tokens, |most| most.min(MOST));
        manner
    }

    /// Whether it can be called at all, as far as keys go.
    pub(crate) fn is_usable(&self) -> bool {
        self.key.value().is_some() || !self.key.is_needed
    }
}
