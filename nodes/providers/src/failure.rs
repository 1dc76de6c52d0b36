//! The one taxonomy of what goes wrong with a call of a model: each kind has a code, a class and a hint.

use std::time::Duration;

use liteagent_engine::{
    codes,
    error::{Code, ErrorClass, NodeError},
};

pub(crate) use self::answer::{Said, classify};

mod answer;

/// The most characters of what a provider says that are shown.
const SHOWN: usize = 400;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No key is configured.
    NoKey,
    /// The provider does not accept the key.
    WrongKey,
    /// The key is right, and may not do this.
    NotAllowed,
    /// The provider does not know the model.
    Unknown,
    /// Question and answer together are longer than the model's context.
    TooLong,
    /// A filter of the provider, or the model itself, refused.
    Filtered,
    /// Too many calls, or tokens.
    Rate,
    /// The account has no money left.
    Credit,
    /// The provider cannot serve the call now.
    Overloaded,
    /// The provider does not understand the call.
    Request,
    /// The answer broke off, or is not what it should be.
    Answer,
    /// Nothing came for too long.
    Stalled,
    /// No connection, or it broke before the answer began.
    Unreachable,
    /// The provider failed so often that it is left alone for a while.
    Resting,
    /// The model cannot do what is asked.
    Unable,
}

impl Kind {
    const fn code(self) -> Code {
        match self {
            Self::NoKey => codes::PROVIDER_NO_KEY,
            Self::WrongKey => codes::PROVIDER_WRONG_KEY,
            Self::NotAllowed => codes::PROVIDER_NOT_ALLOWED,
            Self::Unknown => codes::MODEL_UNKNOWN,
            Self::TooLong => codes::PROVIDER_CONTEXT,
            Self::Filtered => codes::PROVIDER_FILTERED,
            Self::Rate => codes::PROVIDER_RATE,
            Self::Credit => codes::PROVIDER_CREDIT,
            Self::Overloaded => codes::PROVIDER_OVERLOADED,
            Self::Request => codes::PROVIDER_REQUEST,
            Self::Answer => codes::PROVIDER_ANSWER,
            Self::Stalled => codes::PROVIDER_STALLED,
            Self::Unreachable => codes::PROVIDER_UNREACHABLE,
            Self::Resting => codes::PROVIDER_RESTING,
            Self::Unable => codes::PROVIDER_UNABLE,
        }
    }

    const fn class(self) -> ErrorClass {
        match self {
            Self::NoKey | Self::WrongKey => ErrorClass::Unauthenticated,
            Self::NotAllowed | Self::Filtered => ErrorClass::Forbidden,
            Self::Unknown => ErrorClass::NotFound,
            Self::TooLong | Self::Credit => ErrorClass::LimitExceeded,
            Self::Rate => ErrorClass::RateLimited,
            Self::Overloaded | Self::Answer | Self::Unreachable | Self::Resting => ErrorClass::Unavailable,
            Self::Request | Self::Unable => ErrorClass::Invalid,
            Self::Stalled => ErrorClass::Timeout,
        }
    }

    /// Whether the provider is to blame, and may be down.
    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Overloaded | Self::Answer | Self::Unreachable | Self::Stalled)
    }

    /// Whether the same call may succeed in a moment, and has cost nothing.
    pub(crate) const fn is_passing(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unreachable)
    }
}

/// What went wrong, before it is known of whom it is told.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// What kind of failure it is.
    pub(crate) kind: Kind,
    /// What the provider said, or what was found.
    pub(crate) said: String,
    /// How long the provider asks to wait.
    pub(crate) wait: Option<Duration>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into(), wait: None }
    }

    pub(crate) fn answer(said: impl Into<String>) -> Self {
        Self::new(Kind::Answer, said)
    }

    pub(crate) fn after(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }
}

/// Whom a fault is told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The provider's name.
    pub(crate) provider: String,
    /// Where its key comes from, as hints say it: `OPENAI_API_KEY`.
    pub(crate) key_from: String,
    /// Where it is reached.
    pub(crate) base_url: String,
    /// Whether models are pulled with `ollama`.
    pub(crate) is_ollama: bool,
}

impl Place {
    /// The error that the caller gets. `secret` is taken out of whatever the provider said.
    pub(crate) fn error(&self, model: &str, fault: &Fault, secret: Option<&str>) -> NodeError {
        let said = shown(&fault.said, secret);
        let Self { provider, base_url, .. } = self;
        let message = match fault.kind {
            Kind::NoKey => format!("`{provider}` has no key{said}", said = aside(&said)),
            Kind::WrongKey => format!("`{provider}` does not accept its key: {said}"),
            Kind::NotAllowed => format!("`{provider}` does not allow a call of `{model}`: {said}"),
            Kind::Unknown => format!("`{provider}` does not know the model `{model}`: {said}"),
            Kind::TooLong => format!("the question is too long for `{provider}/{model}`: {said}"),
            Kind::Filtered => format!("`{provider}/{model}` refused: {said}"),
            Kind::Rate => format!("`{provider}` asks to slow down: {said}"),
            Kind::Credit => format!("`{provider}` wants to be paid: {said}"),
            Kind::Overloaded => format!("`{provider}` cannot serve the call now: {said}"),
            Kind::Request => format!("`{provider}` does not understand the call of `{model}`: {said}"),
            Kind::Answer => format!("the answer of `{provider}/{model}` is broken: {said}"),
            Kind::Stalled => format!("`{provider}/{model}` fell silent: {said}"),
            Kind::Unreachable => format!("`{provider}` cannot be reached at {base_url}: {said}"),
            Kind::Resting => format!("`{provider}` is left alone after failures: {said}"),
            Kind::Unable => format!("`{provider}/{model}` cannot do this: {said}"),
        };
        let error = NodeError::new(fault.kind.code(), fault.kind.class(), message).hint(self.hint(model, fault.kind));
        match fault.wait {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    fn hint(&self, model: &str, kind: Kind) -> String {
        let Self { provider, key_from, .. } = self;
        let table = format!("under `[providers.{provider}]` in `liteagent.toml`");
        match kind {
            Kind::NoKey => format!("set {key_from}"),
            Kind::WrongKey => format!("put a valid key into {key_from}; `liteagent models test {provider}/{model}` tries it"),
            Kind::NotAllowed => format!("allow `{model}` for the key in {key_from} at the provider, or choose another `model`"),
            Kind::Unknown if self.is_ollama => format!("run `ollama pull {model}`, or choose another `model`"),
            Kind::Unknown => format!("choose a `model` of `liteagent models list`, or check `base_url` {table}"),
            Kind::TooLong => {
                "send less: a smaller `history`, fewer passages, a smaller `max_tokens`; or choose a `model` with a larger context"
                    .to_owned()
            }
            Kind::Filtered => format!("change the question, or name a second model: `model: [{provider}/{model}, ...]`"),
            Kind::Rate => format!("say the limits of your account as `requests_per_minute` and `tokens_per_minute` {table}, and give the node `retry`"),
            Kind::Credit => format!("add credit to the account of {key_from} at the provider, or choose another `model`"),
            Kind::Overloaded | Kind::Resting => {
                format!("give the node `retry`, or name a second model: `model: [{provider}/{model}, ...]`")
            }
            Kind::Request => format!("change what the message names; fields that only this provider knows go into `extra` {table}"),
            Kind::Answer => format!("give the node `retry`; if it stays, check `kind` and `base_url` {table}"),
            Kind::Stalled => format!("raise `first_token` or `between_tokens` {table}, or name a second model"),
            Kind::Unreachable if self.is_ollama => "start it with `ollama serve`, or set `OLLAMA_HOST`".to_owned(),
            Kind::Unreachable => format!("check `base_url` {table}, and that the server is up"),
            Kind::Unable => "choose a `model` that can: `liteagent models list` tells".to_owned(),
        }
    }
}

fn aside(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// What is shown of a text from outside: one line, no key, not too much.
fn shown(said: &str, secret: Option<&str>) -> String {
    let text = match secret {
        Some(secret) if !secret.is_empty() => said.replace(secret, "[key]"),
        _ => said.to_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_and_long_texts_are_cut() {
        let place = Place { provider: "p".into(), key_from: "`P_API_KEY`".into(), ..Place::default() };
        let fault = Fault::new(Kind::WrongKey, format!("Incorrect key sk-123\n{}", "x".repeat(1000)));
        let error = place.error("m", &fault, Some("sk-123"));
        assert_eq!((error.code, error.class), (codes::PROVIDER_WRONG_KEY, ErrorClass::Unauthenticated));
        assert!(error.message.starts_with("`p` does not accept its key: Incorrect key [key] xxx"), "{error}");
        assert!(error.message.len() < 500 && !error.message.contains('\n'));
        assert!(error.hint.unwrap().contains("`P_API_KEY`"));
    }
}
