//! What the owner of a secret says about it: where it may be sent, and which workflows may declare it.

use std::{fmt, str::FromStr};

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

impl SecretRules {
    /// Whether a workflow may declare the secret.
    pub(super) fn is_for(&self, workflow: &str) -> bool {
        self.workflows.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule.fits(workflow)))
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
}
