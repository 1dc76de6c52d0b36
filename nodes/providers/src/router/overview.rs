//! What people are told of the models: a list, and one line about the one in use.

use liteagent_engine::capability::model::{ModelInfo, Models as _};

use super::{Router, Served};

/// A model that is known by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What it can.
    pub info: ModelInfo,
    /// Where its provider's key comes from, or that it needs none.
    pub from: String,
    /// US dollars per million tokens of questions and of answers.
    pub price: Option<(f64, f64)>,
    /// The aliases that it stands for.
    pub aliases: Vec<String>,
}

impl Router {
    /// The models that can be called: those of providers whose key is set, with the ones that stand for aliases first.
    pub fn overview(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        for (provider, served) in &self.served {
            let (infos, from) = match served {
                Served::Service(service) if !service.provider().is_usable() => continue,
                Served::Service(service) => {
                    let from = &service.provider().key.from;
                    (
                        service.list(),
                        if from.is_empty() { service.provider().base_url.to_string() } else { from.clone() },
                    )
                }
                Served::Plugged(models) => (models.list(), "in this process".to_owned()),
            };
            // A model that stands for an alias is there, whether or not anyone knows more of it.
            let mut names: Vec<String> = infos.into_iter().map(|info| info.name).collect();
            let aliased = self.aliases.names().filter_map(|alias| self.aliases.resolve(alias).ok()?.into_iter().next());
            names.extend(aliased.filter(|name| name.split_once('/').is_some_and(|(of, _)| of == provider)));
            names.sort();
            names.dedup();
            all.extend(names.into_iter().filter_map(|name| self.listed(&name, served, &from)));
        }
        all.sort_by_key(|listed| listed.aliases.is_empty());
        all
    }

    fn listed(&self, name: &str, served: &Served, from: &str) -> Option<Listed> {
        let (info, price) = match served {
            Served::Service(service) => {
                let facts = service.provider().facts(name.split_once('/')?.1);
                (service.describe(name).ok()?, facts.input.zip(facts.output))
            }
            Served::Plugged(models) => (models.describe(name).ok()?, Some((0.0, 0.0))),
        };
        Some(Listed { info, from: from.to_owned(), price, aliases: self.aliases.of(name) })
    }

    /// One line for people: which model is in use, and how to get a better one. It names no key.
    pub fn notice(&self) -> String {
        let Ok(info) = self.describe("default") else {
            return "model: none; set a key such as OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama".to_owned();
        };
        let name = &info.name;
        if name.starts_with("local/") {
            return format!(
                "model: {name}, small and in this process; it cannot be trusted with tools. For a better one set \
                 OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama"
            );
        }
        format!("model: {name} ({}); LITEAGENT_MODEL chooses another", self.aliases.why.replace('`', ""))
    }

    /// Providers with an address, the line that says what is wrong with each, if something is: `None` for one that can be
    /// called. Those that nobody configured and that lack a key are left out.
    pub fn providers(&self) -> Vec<(String, Option<String>)> {
        let services = self.served.values().filter_map(|served| match served {
            Served::Service(service) => Some(service.provider()),
            Served::Plugged(_) => None,
        });
        services
            .filter(|provider| provider.is_usable() && provider.key.value().is_some() || provider.allow.is_some())
            .map(|provider| {
                let missing = (!provider.is_usable()).then(|| format!("set {}", provider.key.from));
                (provider.name.clone(), missing)
            })
            .collect()
    }
}
