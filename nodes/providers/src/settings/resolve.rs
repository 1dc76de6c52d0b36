//! From settings, secrets and the environment to providers that can be called.

use std::{collections::BTreeMap, sync::Arc};

use liteagent_engine::capability::{Destination, SecretSource, Secrets};
use url::Url;

use super::{
    Auth, Deployment, Given, Key, Limits, Names, Patience, Provider, ProviderSettings, Usual,
    presets::{self, OLLAMA_HOST, PRESETS, Preset},
};
use crate::wire::Format;

/// The variable that says which model `default` is.
pub(crate) const MODEL: &str = "LITEAGENT_MODEL";

/// The longest silence that can be asked for.
const LONGEST: liteagent_engine::units::Duration = liteagent_engine::units::Duration::from_secs(24 * 3600);

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// Where it stands: `providers.work.base_url`, or the name of a variable.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
}

/// Makes a deployment of what is configured. `env` reads a variable of the environment; an empty one is missing.
///
/// # Errors
/// The first setting that cannot be used.
pub fn resolve(
    settings: &BTreeMap<String, ProviderSettings>,
    models: &BTreeMap<String, Names>,
    secrets: &Arc<Secrets>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Deployment, SettingError> {
    let mut providers = BTreeMap::new();
    let usual = ProviderSettings::default();
    let known = PRESETS.iter().map(|preset| preset.name).filter(|name| !settings.contains_key(*name));
    let all = settings.iter().map(|(name, one)| (name.as_str(), one)).chain(known.map(|name| (name, &usual)));
    for (name, one) in all {
        let maker = Maker { name, settings: one, preset: presets::named(name), secrets, env };
        providers.extend(maker.provider()?.map(|provider| (name.to_owned(), provider)));
    }
    let mut aliases = BTreeMap::new();
    for (alias, Names(names)) in models {
        check_alias(alias, names, models, &providers)?;
        aliases.insert(alias.clone(), names.clone());
    }
    let default = env(MODEL).map(|name| (name, MODEL));
    if let Some((name, _)) = &default {
        check_name(name, MODEL, &aliases.keys().map(String::as_str).collect::<Vec<_>>(), &providers)?;
    }
    Ok(Deployment { providers, aliases, default })
}

/// Makes one provider.
struct Maker<'a> {
    name: &'a str,
    settings: &'a ProviderSettings,
    preset: Option<&'static Preset>,
    secrets: &'a Arc<Secrets>,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Maker<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>) -> SettingError {
        SettingError { place: format!("providers.{}.{key}", self.name), message: message.into() }
    }

    /// `None` for a known provider without an address: nobody uses it.
    fn provider(&self) -> Result<Option<Provider>, SettingError> {
        let Self { name, settings, preset, .. } = *self;
        if !is_name(name) {
            return Err(self.wrong("", "expected a name of lower-case letters, digits, `-` and `_`"));
        }
        if name == "local" {
            return Err(self.wrong("", "`local` is the name of the models in this process; choose another"));
        }
        let Some((base_url, is_own, from_env)) = self.base_url()? else { return Ok(None) };
        let format = settings.kind.or(preset.map(|preset| preset.format)).unwrap_or_default();
        let vendor = match presets::vendor_at(&base_url) {
            "" if name == "ollama" => "ollama",
            vendor => vendor,
        };
        let auth = match (vendor, format) {
            ("azure", _) => Auth::Header("api-key"),
            (_, Format::Anthropic) => Auth::Header("x-api-key"),
            (_, Format::OpenAi) => Auth::Bearer,
        };
        let key = self.key(&base_url, from_env)?;
        let api_version = settings.api_version.clone();
        let api_version =
            api_version.or_else(|| (vendor == "azure").then(|| (self.env)("OPENAI_API_VERSION")).flatten());
        Ok(Some(Provider {
            name: name.to_owned(),
            vendor,
            format,
            allow: is_own.then(|| allow(&base_url)).flatten(),
            api_version,
            auth,
            key,
            headers: self.headers()?,
            limits: self.limits()?,
            patience: self.patience()?,
            extra: settings.extra.clone(),
            models: settings.models.clone(),
            usual: self.usual(),
            manner: presets::manner(vendor, format),
            batch: presets::batch(vendor),
            base_url,
        }))
    }

    /// The address; whether it is another than everyone's; whether the environment said so.
    fn base_url(&self) -> Result<Option<(Url, bool, bool)>, SettingError> {
        if let Some(text) = &self.settings.base_url {
            let url = parse(text).map_err(|why| self.wrong("base_url", why))?;
            return Ok(Some((url, true, false)));
        }
        let Some(preset) = self.preset else {
            return Err(
                self.wrong("base_url", "expected the address of the provider, such as `https://llm.example.org/v1`")
            );
        };
        let variable = Some(preset.url).filter(|name| !name.is_empty());
        if let Some((variable, text)) = variable.and_then(|name| Some((name, (self.env)(name)?))) {
            let text = if variable == OLLAMA_HOST { ollama_url(&text) } else { text };
            let url = parse(&text).map_err(|message| SettingError { place: variable.to_owned(), message })?;
            return Ok(Some((url, true, true)));
        }
        // Ollama is on loopback unless someone says otherwise.
        Ok(parse(preset.base_url).ok().map(|url| (url, preset.name == "ollama", false)))
    }

    /// The key. One from the environment goes to the address of its provider, or to the one that the environment names:
    /// a file of a project cannot send it elsewhere.
    fn key(&self, base_url: &Url, from_env: bool) -> Result<Key, SettingError> {
        if let Some(secret) = &self.settings.key {
            let to = destination(base_url);
            self.secrets.admit_host(secret, &to).map_err(|error| {
                let hint = error.hint.as_deref().unwrap_or_default();
                self.wrong("key", format!("{error}; {hint}"))
            })?;
            let from = match self.secrets.source(secret) {
                Some(SecretSource::Vault) => format!("the secret `{secret}` in the vault"),
                _ => format!("`LITEAGENT_SECRET_{secret}` in the environment or in `.env`"),
            };
            let given = Given::Secret(self.secrets.clone(), secret.clone(), Box::new(to));
            return Ok(Key { given, from, is_needed: true });
        }
        let Some(preset) = self.preset.filter(|preset| !preset.key.is_empty()) else { return Ok(Key::default()) };
        let is_theirs = from_env || Url::parse(preset.base_url).is_ok_and(|url| presets::same_origin(&url, base_url));
        if is_theirs {
            let from = format!("`{}` in the environment", preset.key);
            let given = (self.env)(preset.key).map_or(Given::Nothing, |key| Given::Text(key.into()));
            return Ok(Key { given, from, is_needed: true });
        }
        let table = format!("`key` under `[providers.{}]` in `liteagent.toml`: a secret by its name", self.name);
        Ok(Key { given: Given::Nothing, from: table, is_needed: (self.env)(preset.key).is_some() })
    }

    fn headers(&self) -> Result<Vec<(String, String)>, SettingError> {
        const TAKEN: [&str; 3] = ["content-type", "content-length", "host"];
        let is_wrong = |name: &str| {
            name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                || TAKEN.contains(&name.to_ascii_lowercase().as_str())
        };
        if let Some(name) = self.settings.headers.keys().find(|name| is_wrong(name)) {
            return Err(self.wrong("headers", format!("expected the name of a header, found `{name}`")));
        }
        Ok(self.settings.headers.clone().into_iter().collect())
    }

    fn limits(&self) -> Result<Limits, SettingError> {
        let ProviderSettings { requests_per_minute, tokens_per_minute, in_flight, .. } = *self.settings;
        let numbers = [
            ("requests_per_minute", requests_per_minute),
            ("tokens_per_minute", tokens_per_minute),
            ("in_flight", in_flight),
        ];
        if let Some((key, _)) = numbers.into_iter().find(|(_, number)| *number == Some(0)) {
            return Err(self.wrong(key, "expected a number above 0, found 0"));
        }
        Ok(Limits { requests: requests_per_minute, tokens: tokens_per_minute, in_flight })
    }

    fn patience(&self) -> Result<Patience, SettingError> {
        let usual = Patience::default();
        let read = |key: &str, value: Option<liteagent_engine::units::Duration>, usual| match value {
            None => Ok(usual),
            Some(time) if time.millis() > 0 && time <= LONGEST => Ok(time),
            Some(time) => Err(self.wrong(key, format!("expected a time up to `{LONGEST}`, found `{time}`"))),
        };
        let ProviderSettings { first_token, between_tokens, max_wait, .. } = *self.settings;
        Ok(Patience {
            first_token: read("first_token", first_token, usual.first_token)?,
            between_tokens: read("between_tokens", between_tokens, usual.between_tokens)?,
            max_wait: read("max_wait", max_wait, usual.max_wait)?,
        })
    }

    /// The models that stand for aliases: those of a known provider at its address, else the first that is listed.
    fn usual(&self) -> Usual {
        let listed = |embeds: bool| {
            let fits = |facts: &crate::catalog::Facts| facts.embeds.unwrap_or(false) == embeds;
            self.settings.models.iter().find(|(_, facts)| fits(facts)).map(|(name, _)| name.clone())
        };
        let known = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let preset = self.preset.filter(|_| self.settings.base_url.is_none());
        let preset = preset.map_or([None, None, None], |preset| [preset.chat, preset.fast, preset.embed].map(known));
        let [chat, fast, embed] = preset;
        Usual { chat: chat.or_else(|| listed(false)), fast, embed: embed.or_else(|| listed(true)) }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

fn check_alias(
    alias: &str,
    names: &[String],
    models: &BTreeMap<String, Names>,
    providers: &BTreeMap<String, Provider>,
) -> Result<(), SettingError> {
    let place = format!("models.{alias}");
    let wrong = |message: String| Err(SettingError { place: place.clone(), message });
    if !is_name(alias) {
        return wrong("expected an alias of lower-case letters, digits, `-` and `_`".to_owned());
    }
    if names.is_empty() {
        return wrong("expected the name of a model, found an empty list".to_owned());
    }
    if alias == "embed" && names.len() > 1 {
        return wrong("expected one model: vectors of different models do not compare".to_owned());
    }
    let aliases: Vec<&str> = models.keys().map(String::as_str).collect();
    for name in names {
        check_name(name, &place, &aliases, providers)?;
    }
    // Aliases of aliases lead somewhere, or they lead back.
    let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen = Vec::new();
    while let Some(name) = open.pop() {
        if name == alias {
            return wrong("the alias leads back to itself".to_owned());
        }
        if let Some(Names(more)) = models.get(name).filter(|_| !seen.contains(&name)) {
            seen.push(name);
            open.extend(more.iter().map(String::as_str));
        }
    }
    Ok(())
}

fn check_name(
    name: &str,
    place: &str,
    aliases: &[&str],
    providers: &BTreeMap<String, Provider>,
) -> Result<(), SettingError> {
    let wrong = |message: String| Err(SettingError { place: place.to_owned(), message });
    match name.split_once('/') {
        Some((provider, model)) if !model.is_empty() => {
            if provider == "local" || providers.contains_key(provider) {
                return Ok(());
            }
            let known: Vec<&str> = providers.keys().map(String::as_str).collect();
            wrong(format!(
                "expected a provider that is configured, found `{provider}`; there are {} and local",
                known.join(", ")
            ))
        }
        None if aliases.contains(&name) || ["default", "fast", "embed"].contains(&name) => Ok(()),
        _ => wrong(format!("expected `PROVIDER/MODEL` or an alias, found `{name}`")),
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|error| {
        format!("expected an address such as `https://llm.example.org/v1`, found `{text}`: {error}")
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("expected an address with `http` or `https`, found `{text}`"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address without user name, password, `?` and `#`".to_owned());
    }
    Ok(url)
}

/// `OLLAMA_HOST` is an address, or parts of one; one to listen on everywhere is reached on loopback.
fn ollama_url(text: &str) -> String {
    let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/v1").unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (rest.trim_end_matches(':'), if scheme == "https" { "443" } else { "11434" }),
    };
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    format!("{scheme}://{host}:{port}/v1")
}

fn destination(url: &Url) -> Destination {
    Destination {
        scheme: url.scheme().to_owned(),
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
        is_fixed: true,
    }
}

fn allow(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests;
