//! `[mcp.NAME]`: the MCP servers that workflows may name. Commands are never started.

use std::{collections::BTreeMap, sync::Arc};

use liteagent_engine::{capability::Secrets, codes, time::SystemClock, units::Duration};
use liteagent_nodes::{
    egress::{Egress, EgressPolicy},
    mcp::{HeaderSecret, McpServer, McpServers},
};
use serde::Deserialize;

use super::{Config, FILE};
use crate::failure::Failure;

/// `[mcp.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpConfig {
    /// Where the server is. A private address is allowed by being named here, for this purpose alone.
    url: String,
    /// The name of the secret that is sent as `Authorization: Bearer ...`.
    #[serde(default)]
    bearer: Option<String>,
    /// Further headers, each with the name of the secret that is its value.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long a request may take.
    #[serde(default = "minute")]
    timeout: Duration,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

impl Config {
    /// The servers, asked through an outgoing client of their own.
    pub(crate) fn mcp_servers(&self, secrets: Arc<Secrets>) -> Result<McpServers, Failure> {
        let mut allow = self.http.allow.clone();
        let mut servers = Vec::new();
        for (name, config) in &self.mcp {
            let server = server(name, config)?;
            if let (Some(host), Some(port)) = (server.url.host_str(), server.url.port_or_known_default()) {
                allow.push(format!("{host}:{port}"));
            }
            servers.push((name.clone(), server));
        }
        let policy = EgressPolicy::parse(&allow)
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`http.allow` of `{FILE}`: {error}")))?;
        Ok(McpServers::new(servers, Arc::new(Egress::new(policy)), Arc::new(SystemClock), secrets))
    }
}

fn server(name: &str, config: &McpConfig) -> Result<McpServer, Failure> {
    let wrong = |found: &str| {
        let message = format!("`mcp.{name}.url` of `{FILE}`: expected an `https` or `http` URL, found `{found}`");
        Failure::usage(codes::CONFIG, message).hint("run `liteagent explain LA3004` to see an example")
    };
    let url: url::Url = config.url.parse().map_err(|_| wrong(&config.url))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(wrong(&config.url));
    }
    let bearer = config.bearer.iter().map(|secret| ("authorization", "Bearer ", secret));
    let further = config.headers.iter().map(|(header, secret)| (header.as_str(), "", secret));
    let header = |(header, before, secret): (&str, &'static str, &String)| {
        (header.to_ascii_lowercase(), HeaderSecret { before, secret: secret.clone() })
    };
    Ok(McpServer { url, headers: bearer.chain(further).map(header).collect(), timeout: config.timeout })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_urls_with_names_of_secrets() {
        let read = |text: &str| {
            let config: McpConfig = figment::Figment::from(figment::providers::Toml::string(text)).extract().unwrap();
            server("desk", &config).map_err(|failure| failure.message)
        };
        use figment::providers::Format;
        let desk = read("url = \"https://desk.test/mcp\"\nbearer = \"DESK\"\nheaders = { X-Team = \"TEAM\" }").unwrap();
        let headers: Vec<_> = desk.headers.iter().map(|(name, value)| (name.as_str(), value.secret.as_str())).collect();
        assert_eq!(headers, [("authorization", "DESK"), ("x-team", "TEAM")]);
        assert!(read("url = \"npx some-server\"").unwrap_err().contains("expected an `https` or `http` URL"));
        assert!(read("url = \"file:///etc/passwd\"").is_err());
    }
}
