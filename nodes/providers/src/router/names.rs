//! Names and aliases: what stands for `default`, `fast` and `embed`, and why.

use std::collections::BTreeMap;

use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
};

use super::LOCAL;
use crate::{
    catalog,
    settings::{PRESETS, Provider, Usual},
};

/// The models of this process that stand for aliases.
const LOCAL_CHAT: &str = "local/smollm2-135m-instruct";
const LOCAL_EMBED: &str = "local/all-minilm-l6-v2";

/// What stands for what.
#[derive(Debug)]
pub(super) struct Aliases {
    names: BTreeMap<String, Vec<String>>,
    /// Who says what `default` is.
    pub(super) why: String,
}

/// Whether `default` and `embed` are known without asking an Ollama.
pub(super) fn is_settled(
    providers: &BTreeMap<String, Provider>,
    aliases: &BTreeMap<String, Vec<String>>,
    default: Option<&(String, &'static str)>,
) -> bool {
    let keyed = |of: fn(&Usual) -> &Option<String>| with_key(providers).any(|provider| of(&provider.usual).is_some());
    let has_default = default.is_some() || aliases.contains_key("default") || keyed(|usual| &usual.chat);
    let has_embed = aliases.contains_key("embed") || keyed(|usual| &usual.embed);
    has_default && has_embed
}

/// Providers whose key is set, and those that someone configured and that need none: those that are known by name in their
/// order, then the others. Whether an Ollama is there has to be asked.
fn with_key(providers: &BTreeMap<String, Provider>) -> impl Iterator<Item = &Provider> {
    let known = PRESETS.iter().filter_map(|preset| providers.get(preset.name));
    let others = providers.values().filter(|provider| PRESETS.iter().all(|preset| preset.name != provider.name));
    let is_there =
        |provider: &&Provider| provider.key.value().is_some() || provider.allow.is_some() && provider.is_usable();
    known.chain(others).filter(|provider| provider.vendor != "ollama").filter(is_there)
}

impl Aliases {
    pub(super) fn new(
        providers: &BTreeMap<String, Provider>,
        mut names: BTreeMap<String, Vec<String>>,
        default: Option<(String, &'static str)>,
        has_local: bool,
    ) -> Self {
        let ollama = providers.get("ollama");
        let of = |provider: &Provider, model: &Option<String>| {
            model.as_ref().map(|model| (format!("{}/{model}", provider.name), provider.key.from.clone()))
        };
        let of_ollama = |model: fn(&Usual) -> &Option<String>| {
            ollama.and_then(|provider| {
                let (name, _) = of(provider, model(&provider.usual))?;
                Some((name, format!("Ollama at {}", provider.base_url)))
            })
        };
        let local = |name: &str| has_local.then(|| (name.to_owned(), "in this process".to_owned()));
        let configured = names.get("default").map(|all| (all.clone(), "`[models]` in `liteagent.toml`".to_owned()));
        let chosen = default.map(|(name, why)| (vec![name], format!("`{why}`"))).or(configured).or_else(|| {
            let keyed = with_key(providers).find_map(|provider| of(provider, &provider.usual.chat));
            let found = keyed.or_else(|| of_ollama(|usual| &usual.chat)).or_else(|| local(LOCAL_CHAT));
            found.map(|(name, why)| (vec![name], why))
        });
        if !names.contains_key("embed") {
            let keyed = with_key(providers).find_map(|provider| of(provider, &provider.usual.embed));
            let found = keyed.or_else(|| of_ollama(|usual| &usual.embed)).or_else(|| local(LOCAL_EMBED));
            names.extend(found.map(|(name, _)| ("embed".to_owned(), vec![name])));
        }
        let mut aliases = Self { names, why: String::new() };
        if let Some((all, why)) = chosen {
            aliases.why = why;
            aliases.names.insert("default".to_owned(), all);
            aliases.add_fast(providers);
        }
        aliases
    }

    /// `fast` is a model of the provider of `default`, unless someone says otherwise.
    fn add_fast(&mut self, providers: &BTreeMap<String, Provider>) {
        let Ok(all) = self.resolve("default") else { return };
        let own = all.first().and_then(|name| providers.get(name.split_once('/')?.0)).filter(|own| own.is_usable());
        let fast = own.and_then(|own| Some(vec![format!("{}/{}", own.name, own.usual.fast.as_ref()?)]));
        self.names.entry("fast".to_owned()).or_insert_with(|| fast.unwrap_or(all));
    }

    /// Every alias.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The models that a name stands for, in the order in which they are tried: itself, unless it is an alias.
    pub(super) fn resolve(&self, name: &str) -> Result<Vec<String>, NodeError> {
        let mut found = Vec::new();
        self.expand(name, 0, &mut found);
        if found.is_empty() { Err(none(name)) } else { Ok(found) }
    }

    fn expand(&self, name: &str, depth: usize, found: &mut Vec<String>) {
        /// Circles are refused when settings are read; this one cannot be entered.
        const DEEPEST: usize = 16;
        match self.names.get(name) {
            Some(all) if depth < DEEPEST => all.iter().for_each(|name| self.expand(name, depth + 1, found)),
            Some(_) => {}
            None if matches!(name, "default" | "fast" | "embed") => {}
            None if found.iter().any(|known| known == name) => {}
            None => found.push(name.to_owned()),
        }
    }

    /// The aliases whose first model this is.
    pub(super) fn of(&self, name: &str) -> Vec<String> {
        let is_first =
            |alias: &&str| self.resolve(alias).is_ok_and(|all| all.first().is_some_and(|first| first == name));
        self.names().filter(is_first).map(str::to_owned).collect()
    }
}

/// Nothing stands for an alias.
fn none(alias: &str) -> NodeError {
    let what = if alias == "embed" { "model for embeddings" } else { "language model" };
    NodeError::new(codes::MODEL_NONE, ErrorClass::NotFound, format!("there is no {what} that `{alias}` could stand for"))
        .hint("set the key of a provider, such as `OPENAI_API_KEY`, start Ollama, or name a model under `[models]` in `liteagent.toml`")
}

/// Nobody answers for a name.
pub(super) fn unknown<'a>(
    name: &str,
    providers: impl Iterator<Item = &'a str>,
    aliases: impl Iterator<Item = &'a str>,
) -> NodeError {
    let error = |message| NodeError::new(codes::PROVIDER_UNKNOWN, ErrorClass::NotFound, message);
    if let Some((provider, model)) = name.split_once('/').filter(|(_, model)| !model.is_empty()) {
        let hint = if provider == LOCAL {
            "choose another model: this program has none of its own".to_owned()
        } else {
            let known = providers.collect::<Vec<_>>().join(", ");
            format!("add `[providers.{provider}]` to `liteagent.toml`; there are {known}")
        };
        return error(format!("`{model}` is asked of `{provider}`, which is no provider here")).hint(hint);
    }
    let vendor = PRESETS.iter().find(|preset| catalog::names(preset.name).contains(&name));
    let hint = match vendor {
        Some(preset) => format!("did you mean `{}/{name}`?", preset.name),
        None => format!(
            "the aliases are {}; add more under `[models]` in `liteagent.toml`",
            aliases.collect::<Vec<_>>().join(", ")
        ),
    };
    error(format!("expected `PROVIDER/MODEL` or an alias, found `{name}`")).hint(hint)
}
