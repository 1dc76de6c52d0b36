//! Providers that are known by name: a key in the environment is all that they need.

use std::collections::BTreeSet;

use url::Url;

use crate::wire::{Format, Manner, Structured};

/// A provider that is known by name.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) format: Format,
    /// Empty where everyone has an address of their own.
    pub(crate) base_url: &'static str,
    /// The variable of the environment that holds the key; empty for one that needs none.
    pub(crate) key: &'static str,
    /// The variable that holds another base URL.
    pub(crate) url: &'static str,
    /// The models that stand for `default`, `fast` and `embed`.
    pub(crate) chat: &'static str,
    pub(crate) fast: &'static str,
    pub(crate) embed: &'static str,
}

const fn openai(name: &'static str, base_url: &'static str, key: &'static str) -> Preset {
    Preset { name, format: Format::OpenAi, base_url, key, url: "", chat: "", fast: "", embed: "" }
}

/// In the order in which they stand for `default`.
pub(crate) const PRESETS: &[Preset] = &[
    Preset {
        url: "OPENAI_BASE_URL",
        chat: "gpt-6-sol",
        fast: "gpt-6-luna",
        embed: "text-embedding-3-small",
        ..openai("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
    },
    Preset {
        format: Format::Anthropic,
        url: "ANTHROPIC_BASE_URL",
        chat: "claude-sonnet-5-5",
        fast: "claude-haiku-5-5",
        ..openai("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY")
    },
    Preset {
        chat: "gemini-3.5-flash",
        fast: "gemini-3.1-flash-lite",
        embed: "gemini-embedding-001",
        ..openai("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY")
    },
    Preset {
        chat: "mistral-medium-latest",
        fast: "mistral-small-latest",
        embed: "mistral-embed",
        ..openai("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY")
    },
    Preset { chat: "deepseek-flash", ..openai("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY") },
    Preset {
        chat: "qwen-plus",
        fast: "qwen-flash",
        embed: "text-embedding-v4",
        ..openai("qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY")
    },
    Preset { chat: "grok-4.3", ..openai("xai", "https://api.x.ai/v1", "XAI_API_KEY") },
    Preset {
        chat: "openai/gpt-oss-120b",
        fast: "openai/gpt-oss-20b",
        ..openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY")
    },
    Preset { chat: "openrouter/auto", ..openai("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY") },
    // Its models are deployments, which only their owner can name.
    Preset { url: "AZURE_OPENAI_ENDPOINT", ..openai("azure", "", "AZURE_OPENAI_API_KEY") },
    Preset { url: OLLAMA_HOST, ..openai("ollama", "http://127.0.0.1:11434/v1", "") },
];

/// The variable that says where Ollama is.
pub(crate) const OLLAMA_HOST: &str = "OLLAMA_HOST";

/// The variables of the environment that known providers have: the variable, the provider, and whether it holds a key.
pub fn variables() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let of = |preset: &'static Preset| [(preset.key, preset.name, true), (preset.url, preset.name, false)];
    PRESETS.iter().flat_map(of).filter(|(variable, _, _)| !variable.is_empty())
}

/// The provider that is known by this name.
pub(crate) fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Whose models an address serves; empty when nobody knows.
pub(crate) fn vendor_at(base_url: &Url) -> &'static str {
    let host = base_url.host_str().unwrap_or_default();
    if [".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"]
        .iter()
        .any(|end| host.ends_with(end))
    {
        return "azure";
    }
    let is_at = |preset: &&Preset| Url::parse(preset.base_url).is_ok_and(|url| same_origin(&url, base_url));
    PRESETS.iter().find(is_at).map_or("", |preset| preset.name)
}

/// Whether two URLs have scheme, host and port in common.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// How the models of a vendor want to be asked.
pub(crate) fn manner(vendor: &str, format: Format) -> Manner {
    let usual = Manner::default();
    match (vendor, format) {
        ("openai", _) => Manner { completion_tokens: true, ..usual },
        ("azure", _) => Manner { completion_tokens: true, narrow: true, ..usual },
        ("gemini", _) => Manner { narrow: true, ..usual },
        ("mistral", _) => Manner { short_ids: true, without: BTreeSet::from(["stream_options", "seed"]), ..usual },
        ("deepseek" | "qwen", Format::OpenAi) => Manner { structured: Structured::Object, ..usual },
        // Whoever copies the messages of Anthropic knows tools, and may not know more.
        ("anthropic", _) | (_, Format::OpenAi) => usual,
        (_, Format::Anthropic) => Manner { structured: Structured::Tool, ..usual },
    }
}

/// How many texts one request for vectors may have.
pub(crate) fn batch(vendor: &str) -> usize {
    match vendor {
        "qwen" => 10,
        "mistral" => 32,
        "gemini" => 100,
        _ => 128,
    }
}
