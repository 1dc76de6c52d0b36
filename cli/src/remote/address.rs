//! Where a server is.

use std::fmt;

use liteagent_engine::codes;
use url::{Host, Url};

use crate::failure::Failure;

/// The address of a server: `https://agents.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads what a person wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::usage(codes::SERVER_URL, format!("expected the URL of a server, found `{text}`: {why}"))
                .hint("write it as `https://agents.example.org` or `http://127.0.0.1:8000`")
        };
        let mut url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("it begins with neither `http://` nor `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it has a name or a password").hint("sign in with `liteagent login --server URL`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL of a path that begins with `/`.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The host with its port, as the guard of outgoing requests names it.
    pub(crate) fn authority(&self) -> String {
        let port = self.0.port_or_known_default().unwrap_or(80);
        format!("{}:{port}", self.0.host_str().unwrap_or_default())
    }

    /// Whether what is sent there could be read on the way.
    pub(crate) fn is_in_the_open(&self) -> bool {
        let is_here = match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.0.scheme() == "http" && !is_here
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let read = |text: &str| Address::parse(text).map(|address| address.to_string()).map_err(|error| error.message);
        assert_eq!(read("HTTPS://Agents.example.org/").unwrap(), "https://agents.example.org");
        assert_eq!(read(" http://127.0.0.1:8000 ").unwrap(), "http://127.0.0.1:8000");
        assert_eq!(read("https://example.org:443/liteagent/").unwrap(), "https://example.org/liteagent");
        for wrong in ["agents.example.org", "ftp://a", "https://ada:pw@example.org", "https://a/?b", "https://a/#b", ""]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Address::parse("http://[::1]:8000").unwrap().authority(), "[::1]:8000");
        assert_eq!(Address::parse("https://example.org").unwrap().authority(), "example.org:443");
        assert!(Address::parse("http://10.0.0.1").unwrap().is_in_the_open());
        assert!(!Address::parse("http://localhost:8000").unwrap().is_in_the_open());
    }
}
