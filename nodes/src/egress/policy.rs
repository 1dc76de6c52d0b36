//! What requests may reach beyond the public internet.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::address::{canonical, reserved};

/// What requests may reach beyond the public internet: `[http] allow` of `liteagent.toml`.
///
/// Metadata addresses of clouds, link-local and multicast ones cannot be allowed.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    allow: Vec<Allow>,
}

#[derive(Clone, Debug, PartialEq)]
enum Allow {
    /// Every port of every address in it.
    Net(IpNet),
    /// One port of one host, by the name or address that stands in the URL.
    Host { host: String, port: u16 },
}

/// An address that a request must not reach.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) what: &'static str,
    pub(super) never: bool,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, what, .. } = self;
        if host_key(host) == address.to_string() {
            return write!(f, "`{host}` is {what}");
        }
        write!(f, "`{host}` leads to {address}, which is {what}")
    }
}

impl EgressPolicy {
    /// Reads entries such as `10.0.0.0/8`, `192.168.1.7`, `127.0.0.1:8080`, `[::1]:8080` and `intranet:8080`.
    ///
    /// # Errors
    /// Says which entry could not be read, and what was expected.
    pub fn parse(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let read = |entry: &str| {
            read_entry(entry).ok_or_else(|| {
                format!("expected a network such as `10.0.0.0/8` or a host with a port such as `intranet:8080`, found `{entry}`")
            })
        };
        let allow = entries.into_iter().map(|entry| read(entry.as_ref().trim())).collect::<Result<_, _>>()?;
        Ok(Self { allow })
    }

    /// Whether this host and port stand in the list by name; such a host may lead to a private address.
    pub(super) fn names(&self, host: &str, port: u16) -> bool {
        let host = host_key(host);
        self.allow
            .iter()
            .any(|entry| matches!(entry, Allow::Host { host: known, port: open } if *known == host && *open == port))
    }

    /// Whether an address that `host` leads to may be reached. `named` says that the host itself is allowed.
    pub(super) fn check(&self, host: &str, address: IpAddr, named: bool) -> Result<(), Refused> {
        let Some(found) = reserved(address) else { return Ok(()) };
        let target = canonical(address);
        let in_network = || {
            self.allow
                .iter()
                .any(|entry| matches!(entry, Allow::Net(net) if net.contains(&target) || net.contains(&address)))
        };
        if !found.never && (named || in_network()) {
            return Ok(());
        }
        Err(Refused { host: host.to_owned(), address, what: found.what, never: found.never })
    }
}

fn read_entry(entry: &str) -> Option<Allow> {
    if let Ok(net) = entry.parse::<IpNet>() {
        return Some(Allow::Net(net.trunc()));
    }
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(Allow::Net(address.into()));
    }
    let (host, port) = entry.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let known = url::Host::parse(host).ok()?;
    Some(Allow::Host { host: host_key(&known.to_string()), port })
}

fn host_key(host: &str) -> String {
    host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_allow_networks_and_named_hosts() {
        let policy = EgressPolicy::parse(["10.0.0.0/8", "192.168.1.7", "[::1]:80", "Intranet:8080"]).unwrap();
        let allowed = |address: &str| policy.check("x", address.parse().unwrap(), false).is_ok();
        assert!(allowed("10.9.9.9") && allowed("::ffff:10.0.0.1") && allowed("192.168.1.7"));
        assert!(!allowed("192.168.1.8") && !allowed("127.0.0.1") && !allowed("::1"));
        assert!(policy.names("intranet.", 8080) && policy.names("::1", 80) && !policy.names("intranet", 80));
    }

    #[test]
    fn a_metadata_address_stays_refused() {
        let policy = EgressPolicy::parse(["0.0.0.0/0", "::/0", "169.254.169.254:80"]).unwrap();
        for address in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "168.63.129.16"] {
            assert!(policy.check("x", address.parse().unwrap(), true).is_err(), "{address}");
        }
    }

    #[test]
    fn an_entry_that_is_neither_is_an_error() {
        for entry in ["intranet", "10.0.0.0/99", "http://intranet:80", "a:b", ""] {
            assert!(EgressPolicy::parse([entry]).is_err(), "{entry}");
        }
    }
}
