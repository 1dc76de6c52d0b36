//! Secrets, and what their owner says about each: where it may be sent, and which workflows may declare it.

use std::{collections::HashMap, fmt, str::FromStr};

use crate::{
    codes,
    error::{ErrorClass, NodeError},
};

/// The secrets that a process has, and the rules of their owner. Values are shown nowhere.
#[derive(Clone, Default)]
pub struct Secrets {
    values: HashMap<String, String>,
    rules: HashMap<String, SecretRules>,
}

/// What an owner says about a secret. What is not said is not restricted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretRules {
    /// Where it may be sent.
    pub hosts: Option<Vec<HostRule>>,
    /// Which workflows may declare it.
    pub workflows: Option<Vec<WorkflowRule>>,
}

/// A host that a secret may be sent to: `api.example.org`, `*.example.org` for every host below, `[::1]:8080`.
///
/// Without a port it is the usual one of the scheme: another port of a host may be another service.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRule {
    host: String,
    below: bool,
    port: Option<u16>,
}

/// A workflow that may declare a secret: its name, `billing/*` for every one below, `*` for all.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRule(String);

/// Where a secret is about to be sent.
#[derive(Clone, Debug)]
pub struct Destination {
    /// `https` or `http`.
    pub scheme: String,
    /// The host as URLs have it: lower case, international names in their ASCII form.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the author or the deployment wrote scheme, host and port: no input and no result decides them.
    pub is_fixed: bool,
}

impl Secrets {
    /// Secrets by name, without rules.
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: secrets.into_iter().collect(), rules: HashMap::new() }
    }

    /// The same secrets under rules, by name. A rule for a secret that is not there does no harm.
    #[must_use]
    pub fn with_rules(self, rules: impl IntoIterator<Item = (String, SecretRules)>) -> Self {
        Self { rules: rules.into_iter().collect(), ..self }
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Every secret.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The rules by name.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &SecretRules)> {
        self.rules.iter().map(|(name, rules)| (name.as_str(), rules))
    }

    /// Whether a workflow may declare a secret.
    pub fn is_meant_for(&self, name: &str, workflow: &str) -> bool {
        let workflows = self.rules.get(name).and_then(|rules| rules.workflows.as_ref());
        workflows.is_none_or(|rules| rules.iter().any(|rule| rule.fits(workflow)))
    }

    /// Refuses to send a secret where it may not go.
    pub(crate) fn admit(&self, name: &str, workflow: &str, to: &Destination) -> Result<(), NodeError> {
        if !self.is_meant_for(name, workflow) {
            let message = format!("the secret `{name}` is not meant for the workflow `{workflow}`");
            return Err(NodeError::new(codes::SECRET_WORKFLOW, ErrorClass::Forbidden, message).hint(add(
                name,
                "workflows",
                workflow,
            )));
        }
        self.admit_host(name, to)
    }

    /// Refuses to send a secret to a host that its owner did not name. What owners configure for the whole installation,
    /// such as the key of a provider, asks only this.
    ///
    /// # Errors
    /// When the owner named other hosts, or named none and a template decides the host.
    pub fn admit_host(&self, name: &str, to: &Destination) -> Result<(), NodeError> {
        let refused =
            |message, hint| Err(NodeError::new(codes::SECRET_HOST, ErrorClass::Forbidden, message).hint(hint));
        match self.rules.get(name).and_then(|rules| rules.hosts.as_ref()) {
            Some(hosts) if hosts.iter().any(|host| host.fits(to)) => Ok(()),
            Some(_) => {
                refused(format!("the secret `{name}` may not be sent to `{to}`"), add(name, "hosts", &to.to_string()))
            }
            None if to.is_fixed => Ok(()),
            None => refused(
                format!(
                    "the secret `{name}` is not sent to `{to}`: the host comes from a template, and nobody said where \
                     the secret may go"
                ),
                format!("{}, or write the host into `url`", add(name, "hosts", &to.to_string())),
            ),
        }
    }
}

/// What an owner has to do.
fn add(secret: &str, list: &str, entry: &str) -> String {
    format!("if that is right, add \"{entry}\" to `{list}` under `[secrets.{secret}]` in `liteagent.toml`")
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl HostRule {
    /// Whether a place is one of this host.
    pub fn fits(&self, to: &Destination) -> bool {
        let host = bare(&to.host).to_ascii_lowercase();
        let is_named = match host.strip_suffix(&self.host) {
            Some(rest) if self.below => rest.len() > 1 && rest.ends_with('.'),
            Some(rest) => rest.is_empty(),
            None => false,
        };
        is_named && self.port.or_else(|| usual_port(&to.scheme)) == Some(to.port)
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let known = "`api.example.org`, `*.example.org` or `localhost:8080`";
            format!("expected a host such as {known}, found `{text}`")
        };
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (host, port) = match rest.rsplit_once(':') {
            // The last colon of an address in brackets stands inside them.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (rest, None),
        };
        let is_address = host.starts_with('[') && host.ends_with(']') && !below;
        let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !is_address && !is_name(host) || bare(host).is_empty() {
            return Err(wrong());
        }
        Ok(Self { host: bare(host).to_ascii_lowercase(), below, port })
    }
}

/// A host without the brackets of an address and the dot of a root.
fn bare(host: &str) -> &str {
    host.trim_end_matches('.').trim_matches(['[', ']'])
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{star}{open}{}{close}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        if usual_port(&self.scheme) == Some(self.port) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl WorkflowRule {
    fn fits(&self, workflow: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(folder) => workflow.starts_with(folder),
            None => self.0 == workflow,
        }
    }
}

impl FromStr for WorkflowRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix("/*").unwrap_or(text);
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
        };
        if text == "*" || name.split('/').all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("expected the name of a workflow such as `billing/invoice`, or `billing/*`, found `{text}`"))
    }
}

impl fmt::Display for WorkflowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(scheme: &str, host: &str, port: u16) -> Destination {
        Destination { scheme: scheme.to_owned(), host: host.to_owned(), port, is_fixed: true }
    }

    #[test]
    fn a_host_is_named_with_its_port_and_a_star_means_what_lies_below() {
        let fits = |rule: &str, to: &Destination| rule.parse::<HostRule>().unwrap().fits(to);
        let api = to("https", "api.example.org", 443);
        assert!(fits("API.example.org", &api) && fits("*.example.org", &api) && fits("api.example.org:443", &api));
        assert!(!fits("example.org", &api) && !fits("*.api.example.org", &api) && !fits("*.ample.org", &api));
        assert!(!fits("api.example.org", &to("https", "api.example.org.evil.test", 443)));
        assert!(!fits("api.example.org", &to("https", "api.example.org", 8443)), "another port");
        assert!(fits("*.example.org:8443", &to("https", "a.b.example.org.", 8443)));
        assert!(fits("[::1]:8080", &to("http", "[::1]", 8080)) && fits("[::1]", &to("http", "[::1]", 80)));
        for wrong in ["", "*", "*.", "https://a.test", "a.test/x", "a.test:x", "a test", "*.[::1]", "ä.test"] {
            assert!(wrong.parse::<HostRule>().is_err(), "{wrong}");
        }
        for shown in ["a.test", "*.a.test:81", "[::1]:8080"] {
            assert_eq!(shown.parse::<HostRule>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_workflow_is_named_or_lies_below() {
        let rules = |workflows: &[&str]| SecretRules {
            workflows: Some(workflows.iter().map(|rule| rule.parse().unwrap()).collect()),
            hosts: None,
        };
        let secrets = Secrets::default().with_rules([
            ("A".to_owned(), rules(&["billing/*", "report"])),
            ("ALL".to_owned(), rules(&["*"])),
            ("NOBODY".to_owned(), rules(&[])),
        ]);
        let meant =
            |name: &str| ["billing/a/b", "billing", "billings", "report"].map(|w| secrets.is_meant_for(name, w));
        assert_eq!(meant("A"), [true, false, false, true]);
        assert_eq!((meant("ALL"), meant("NOBODY"), meant("UNRULED")), ([true; 4], [false; 4], [true; 4]));
        for wrong in ["", "/", "a*", "*/a", "A", "a//b", "a/*/b"] {
            assert!(wrong.parse::<WorkflowRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_that_a_template_chose_needs_to_be_named() {
        let hosts = SecretRules { hosts: Some(vec!["a.test".parse().unwrap()]), workflows: None };
        let secrets = Secrets::default().with_rules([("RULED".to_owned(), hosts)]);
        let chosen = Destination { is_fixed: false, ..to("https", "a.test", 443) };
        let code = |name: &str, to: &Destination| secrets.admit(name, "w", to).err().map(|error| error.code);
        assert_eq!(code("RULED", &chosen), None);
        assert_eq!(code("RULED", &to("https", "b.test", 443)), Some(codes::SECRET_HOST));
        assert_eq!(code("FREE", &to("https", "b.test", 443)), None);
        assert_eq!(code("FREE", &chosen), Some(codes::SECRET_HOST));
    }
}
