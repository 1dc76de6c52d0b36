//! One request on its way: what changes when it is redirected.

use liteagent_engine::{
    capability::{HttpBody, HttpCall},
    codes,
    error::{ErrorClass, NodeError},
};
use url::Url;

/// Headers that go along to another origin. Every other one may be a credential, or means something only to the first
/// server.
const HARMLESS: [&str; 6] = ["accept", "accept-encoding", "accept-language", "content-type", "range", "user-agent"];

/// A request to one URL.
pub(super) struct Hop {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: HttpBody,
}

impl Hop {
    /// The first request of a call.
    pub(super) fn first(call: HttpCall) -> Result<Self, NodeError> {
        let url = read_url(&call.url, None)?;
        Ok(Self { method: call.method.to_ascii_uppercase(), url, headers: call.headers, body: call.body })
    }

    /// The request after a redirect, as browsers do it: 301, 302 and 303 turn a POST into a GET.
    pub(super) fn redirected(self, status: u16, location: &str) -> Result<Self, NodeError> {
        let url = read_url(location, Some(&self.url))?;
        let mut next = self;
        if !same_origin(&next.url, &url) {
            next.headers = keep_harmless(next.headers);
        }
        let becomes_get = match status {
            303 => next.method != "HEAD",
            301 | 302 => next.method == "POST",
            _ => false,
        };
        if becomes_get && next.method != "GET" {
            "GET".clone_into(&mut next.method);
            next.body = HttpBody::Empty;
            next.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        next.url = url;
        Ok(next)
    }

    /// The request as messages show it: without query and fragment.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        format!("`{} {url}`", self.method)
    }
}

/// Whether two URLs have the same scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// The headers that may go to another origin.
pub(crate) fn keep_harmless(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.into_iter().filter(|(name, _)| is_harmless(name)).collect()
}

/// Whether a header goes along to another origin.
pub(crate) fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name.to_ascii_lowercase().as_str())
}

/// Reads a URL, relative to `base` if there is one.
pub(crate) fn read_url(text: &str, base: Option<&Url>) -> Result<Url, NodeError> {
    let text = text.trim();
    let wrong = |why: String| NodeError::new(codes::HTTP_URL, ErrorClass::Invalid, why);
    let url = match base {
        Some(base) => base.join(text),
        None => Url::parse(text),
    }
    .map_err(|error| {
        wrong(format!("expected a URL, found `{text}`: {error}"))
            .hint("write the whole URL: `https://api.example.org/items`")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("expected a URL with `http` or `https`, found `{}`", url.scheme()))
            .hint("begin the URL with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the URL holds a user name or password".to_owned())
            .hint("say `auth: { basic: { user: ..., password: \"{{ secrets.NAME }}\" } }`"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(method: &str, url: &str) -> Hop {
        let headers = [("Authorization", "t"), ("X-Key", "k"), ("Accept", "*/*"), ("Content-Type", "text/plain")];
        Hop {
            method: method.to_owned(),
            url: Url::parse(url).unwrap(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: HttpBody::Bytes("x".into()),
        }
    }

    fn names(hop: &Hop) -> Vec<&str> {
        hop.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn another_origin_gets_no_credentials() {
        let stays = hop("GET", "https://a.test/x").redirected(302, "/y").unwrap();
        assert_eq!(names(&stays), ["Authorization", "X-Key", "Accept", "Content-Type"]);
        for other in ["https://b.test/", "http://a.test/", "https://a.test:444/", "//b.test/"] {
            let moved = hop("GET", "https://a.test/x").redirected(302, other).unwrap();
            assert_eq!(names(&moved), ["Accept", "Content-Type"], "{other}");
        }
    }

    #[test]
    fn a_post_becomes_a_get_unless_the_status_keeps_it() {
        let get = hop("POST", "https://a.test/x").redirected(303, "/y").unwrap();
        assert!(get.method == "GET" && matches!(get.body, HttpBody::Empty) && !names(&get).contains(&"Content-Type"));
        let kept = hop("POST", "https://a.test/x").redirected(307, "/y").unwrap();
        assert!(kept.method == "POST" && matches!(kept.body, HttpBody::Bytes(_)));
        assert_eq!(hop("PUT", "https://a.test/x").redirected(302, "/y").unwrap().method, "PUT");
    }

    #[test]
    fn only_plain_web_urls_are_read() {
        for bad in ["ftp://a.test", "file:///etc/passwd", "a.test", "https://u:p@a.test", "", "https://"] {
            assert_eq!(read_url(bad, None).unwrap_err().code, codes::HTTP_URL, "{bad}");
        }
        let base = Url::parse("https://a.test/x?y=1").unwrap();
        assert!(read_url("javascript:alert(1)", Some(&base)).is_err());
    }
}
