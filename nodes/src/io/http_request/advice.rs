//! Where a secret may go astray: findings that are no errors.

use liteagent_engine::{diagnostic::Severity, node::prelude::*, template::Compiled};

use super::HttpRequestConfig;

/// What to think about before secrets are sent to this URL.
pub(super) fn findings(config: &HttpRequestConfig) -> Vec<ConfigFinding> {
    if !sends_secrets(config) {
        return Vec::new();
    }
    let finding = |message: &str, hint: &str| ConfigFinding {
        severity: Severity::Warning,
        error: ConfigError::new(codes::HTTP_SECRET, "/url", message).hint(hint),
    };
    if is_host_chosen(config) {
        return vec![finding(
            "a secret is sent to a host that comes from a template: it is refused unless its owner named the host",
            "write the host into `url`, take it from `env`, or let `hosts` under `[secrets.NAME]` name it",
        )];
    }
    if source(config).trim_start().to_ascii_lowercase().starts_with("http://") && !is_local(source(config)) {
        return vec![finding("a secret is sent without encryption", "begin the URL with `https://`")];
    }
    Vec::new()
}

fn sends_secrets(config: &HttpRequestConfig) -> bool {
    let auth = config.auth.iter().flat_map(|auth| {
        let basic = auth.basic.iter().flat_map(|basic| [&basic.user, &basic.password]);
        auth.bearer.iter().chain(basic).chain(auth.header.iter().map(|header| &header.value))
    });
    let mut all = auth.chain(config.headers.values());
    all.any(|template| template.secrets().next().is_some())
}

/// Whether more than constants of the file and of the deployment decide scheme, host and port.
pub(super) fn is_host_chosen(config: &HttpRequestConfig) -> bool {
    config.url.compiled().is_some_and(|url| url.host_references().any(|reference| &*reference.root != "env"))
}

fn source(config: &HttpRequestConfig) -> &str {
    let literal = || config.url.as_literal().and_then(Value::as_str).unwrap_or_default();
    config.url.compiled().map_or_else(literal, Compiled::source)
}

fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
}
