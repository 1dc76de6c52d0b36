//! `[mcp.NAME]`: the MCP servers that workflows may name. Programs are started only where the environment allows it, never
//! because a file of the project does.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use liteagent_engine::{capability::Secrets, codes, time::SystemClock, units::Duration};
use liteagent_nodes::{
    egress::{Egress, EgressPolicy},
    mcp::{HeaderSecret, McpProgram, McpServer, McpServers, Reach},
};
use serde::Deserialize;

use super::{Config, FILE, setting};
use crate::failure::Failure;

/// What allows programs to be started.
const PROGRAMS: &str = "LITEAGENT_MCP_PROGRAMS";

/// `[mcp.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpConfig {
    /// Where the server is. A private address is allowed by being named here, for this purpose alone.
    #[serde(default)]
    url: Option<String>,
    /// The name of the secret that is sent as `Authorization: Bearer ...`.
    #[serde(default)]
    bearer: Option<String>,
    /// Further headers, each with the name of the secret that is its value.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// In place of `url`: the program that is the server, and its arguments. It starts in the folder of the project.
    #[serde(default)]
    command: Vec<String>,
    /// Variables of its environment, each with the name of the secret that is its value.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How long a request may take.
    #[serde(default = "minute")]
    timeout: Duration,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

impl Config {
    /// The servers, asked through an outgoing client of their own.
    pub(crate) fn mcp_servers(&self, folder: &Path, secrets: Arc<Secrets>) -> Result<McpServers, Failure> {
        let mut allow = self.http.allow.clone();
        let mut servers = Vec::new();
        for (name, config) in &self.mcp {
            let server = server(name, config, folder, setting)?;
            if let Reach::Http { url, .. } = &server.reach
                && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            {
                allow.push(format!("{host}:{port}"));
            }
            servers.push((name.clone(), server));
        }
        let policy = EgressPolicy::parse(&allow)
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`http.allow` of `{FILE}`: {error}")))?;
        Ok(McpServers::new(servers, Arc::new(Egress::new(policy)), Arc::new(SystemClock), secrets))
    }
}

/// Variables that a program is given without being named: what most need to start.
const INHERITED: [&str; 6] = ["HOME", "LANG", "PATH", "TMPDIR", "TZ", "USER"];

fn server(
    name: &str,
    config: &McpConfig,
    folder: &Path,
    setting: impl Fn(&str) -> Option<String>,
) -> Result<McpServer, Failure> {
    let wrong = |key: &str, expected: &str, found: &str| {
        let message = format!("`mcp.{name}{key}` of `{FILE}`: expected {expected}, found {found}");
        Failure::usage(codes::CONFIG, message).hint("run `liteagent explain LA3004` to see an example")
    };
    let reach = match &config.url {
        Some(_) if !config.command.is_empty() => return Err(wrong("", "`url` or `command`", "both")),
        Some(_) if !config.env.is_empty() => return Err(wrong(".env", "a `command` beside it", "a `url`")),
        None if config.command.is_empty() => return Err(wrong("", "`url` or `command`", "neither")),
        None if config.bearer.is_some() || !config.headers.is_empty() => {
            return Err(wrong("", "`env` beside `command`", "`bearer` or `headers`"));
        }
        None => Reach::Program(McpProgram {
            command: config.command.clone(),
            folder: folder.to_owned(),
            environment: INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), setting(name)?))).collect(),
            secrets: config.env.clone().into_iter().collect(),
            allowed: match setting(PROGRAMS).as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    let message = format!("`{PROGRAMS}`: expected `true` or `false`, found `{other}`");
                    return Err(Failure::usage(codes::CONFIG, message));
                }
            },
        }),
        Some(text) => {
            let wrong = || wrong(".url", "an `https` or `http` URL", &format!("`{text}`"));
            let url: url::Url = text.parse().map_err(|_| wrong())?;
            if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
                return Err(wrong());
            }
            let bearer = config.bearer.iter().map(|secret| ("authorization", "Bearer ", secret));
            let further = config.headers.iter().map(|(header, secret)| (header.as_str(), "", secret));
            let header = |(header, before, secret): (&str, &'static str, &String)| {
                (header.to_ascii_lowercase(), HeaderSecret { before, secret: secret.clone() })
            };
            Reach::Http { url, headers: bearer.chain(further).map(header).collect() }
        }
    };
    Ok(McpServer { reach, timeout: config.timeout })
}

#[cfg(test)]
mod tests {
    use figment::providers::Format as _;

    use super::*;

    fn read(text: &str, allows: Option<&str>) -> Result<McpServer, String> {
        let config: McpConfig = figment::Figment::from(figment::providers::Toml::string(text)).extract().unwrap();
        let setting = |name: &str| match name {
            PROGRAMS => allows.map(str::to_owned),
            "PATH" => Some("/bin".to_owned()),
            _ => None,
        };
        server("desk", &config, Path::new("/project"), setting).map_err(|failure| failure.message)
    }

    #[test]
    fn servers_are_urls_with_names_of_secrets() {
        let desk = "url = \"https://desk.test/mcp\"\nbearer = \"DESK\"\nheaders = { X-Team = \"TEAM\" }";
        let Reach::Http { headers, .. } = read(desk, None).unwrap().reach else { panic!() };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.secret.as_str())).collect();
        assert_eq!(headers, [("authorization", "DESK"), ("x-team", "TEAM")]);
        assert!(read("url = \"npx some-server\"", None).unwrap_err().contains("expected an `https` or `http` URL"));
        assert!(read("url = \"file:///etc/passwd\"", None).is_err());
    }

    #[test]
    fn or_programs_that_the_environment_allows() {
        let text = "command = [\"files\", \"docs\"]\nenv = { TOKEN = \"FILES\" }";
        let program = |allows| match read(text, allows).unwrap().reach {
            Reach::Program(program) => program,
            Reach::Http { .. } => panic!(),
        };
        assert_eq!(program(None).environment, [("PATH".to_owned(), "/bin".to_owned())]);
        assert_eq!([None, Some("false"), Some("true")].map(|allows| program(allows).allowed), [false, false, true]);
        assert!(read(text, Some("yes")).unwrap_err().contains("expected `true` or `false`, found `yes`"));
        assert_eq!(
            ["", "url = \"http://a\"\ncommand = [\"a\"]", "command = [\"a\"]\nbearer = \"B\""]
                .map(|text| read(text, None).unwrap_err()),
            [
                "`mcp.desk` of `liteagent.toml`: expected `url` or `command`, found neither",
                "`mcp.desk` of `liteagent.toml`: expected `url` or `command`, found both",
                "`mcp.desk` of `liteagent.toml`: expected `env` beside `command`, found `bearer` or `headers`",
            ]
        );
    }
}
