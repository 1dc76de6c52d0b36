//! What stands before every route: where a request comes from, which name it was sent to, and headers that keep browsers safe.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use liteagent_engine::codes;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{app::Settings, problem::Problem};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers of every reply that does not say otherwise itself.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];
/// A year: browsers come back over TLS alone.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(IpAddr);

impl Address {
    /// The address that [`pass`] found.
    pub(crate) fn of(extensions: &Extensions) -> IpAddr {
        extensions.get::<Self>().map_or(Ipv4Addr::LOCALHOST.into(), |address| address.0)
    }
}

/// What an address is counted as: an IPv6 network of 64 bits belongs to one caller.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// What is known of the ways to this server.
pub(crate) struct Front {
    names: Vec<String>,
    origins: Vec<String>,
    is_loopback: bool,
    proxies: Vec<IpNet>,
    tls: bool,
}

impl Front {
    pub(crate) fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            names: settings.names.iter().map(|name| name.to_lowercase()).collect(),
            origins: settings.origins.clone(),
            is_loopback: settings.is_loopback,
            proxies: settings.proxies.clone(),
            tls: settings.tls,
        })
    }

    /// Where a request comes from. What proxies say counts as long as each is known.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        let said = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut said = said.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.proxies.iter().any(|net| net.contains(&address)) {
            let Some(before) = said.next().and_then(|text| one_address(text.trim())) else { break };
            address = before.to_canonical();
        }
        address
    }

    /// Refuses a request that was sent to another name: a site may have made its own name lead here.
    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let host = sent_to(request).ok_or_else(|| {
            Problem::invalid(codes::WRONG_HOST, "expected the header `Host`, found none").hint("send it")
        })?;
        let name = name_of(host);
        if self.is_ours(&name) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, codes::WRONG_HOST, format!("this server is not `{name}`"))
            .hint("add the name to `API_NAMES`, or to `--name`, of the server"))
    }

    fn is_ours(&self, name: &str) -> bool {
        let is_own_address = |address: IpAddr| address.is_loopback() || !self.is_loopback;
        name == "localhost"
            || self.names.iter().any(|own| own == name)
            || name.parse::<IpAddr>().is_ok_and(is_own_address)
    }

    /// Refuses what the page of another site makes a browser send.
    fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("?");
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let is_own = authority.is_some_and(|authority| {
            sent_to(request).is_some_and(|host| host.eq_ignore_ascii_case(authority))
                || self.names.contains(&name_of(authority))
        });
        if is_own || self.origins.iter().any(|named| named == origin) {
            return Ok(());
        }
        let detail = format!("a page of `{origin}` may not call this server");
        Err(Problem::new(StatusCode::FORBIDDEN, codes::WRONG_ORIGIN, detail)
            .hint("add its origin to `API_ORIGINS`, or to `--origin`, of the server if it is meant to"))
    }
}

/// Lets pages of these origins read replies, and lets browsers ask before. They are called with a token or a key: cookies stay
/// with the pages of the server itself.
pub(crate) fn cross_origin(origins: &[String]) -> CorsLayer {
    let origins = origins.to_vec();
    let asked = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let sent = ["authorization", "content-type", "idempotency-key", "last-event-id", "x-request-id", "traceparent"];
    let read = ["location", "retry-after", "ratelimit", "ratelimit-policy", "x-request-id", "content-disposition"];
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| origins.iter().any(|named| named == origin)))
        .allow_methods(asked)
        .allow_headers(sent.map(HeaderName::from_static))
        .expose_headers(read.map(HeaderName::from_static))
        .max_age(Duration::from_hours(1))
}

/// The host and port that a request was sent to.
fn sent_to(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str))
}

/// The name in `name:port`, in small letters; of an IPv6 address without its brackets.
fn name_of(authority: &str) -> String {
    let name = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.trim_end_matches('.').to_lowercase()
}

/// An address as proxies write it, some with the port.
fn one_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Lets a request through that was sent to this server by no other site, and makes the reply safe for browsers.
pub(crate) async fn pass(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0.ip());
    let address = Address(front.address(peer, request.headers()));
    request.extensions_mut().insert(address);
    let checked = front.check_host(&request).and_then(|()| front.check_origin(&request));
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if front.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn front(is_loopback: bool) -> Arc<Front> {
        Front::new(&Settings {
            names: vec!["Agents.example.org".to_owned()],
            is_loopback,
            proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            ..Settings::default()
        })
    }

    fn request(headers: &[(HeaderName, &str)]) -> Request {
        let request = Request::builder().uri("/api/runs");
        headers.iter().fold(request, |request, (name, value)| request.header(name, *value)).body(Body::empty()).unwrap()
    }

    #[test]
    fn only_names_of_this_server_are_answered() {
        let is_ours = |is_loopback, host| front(is_loopback).check_host(&request(&[(header::HOST, host)])).is_ok();
        for own in ["localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "agents.example.org", "localhost."] {
            assert!(is_ours(true, own), "{own}");
            assert!(is_ours(false, own), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example", "", "example.org", "[::1].evil.example"] {
            assert!(!is_ours(false, other) || other.starts_with('['), "{other}");
            assert!(!is_ours(true, other) || other.starts_with('['), "{other}");
        }
        assert!(!is_ours(true, "192.168.1.5:8000"));
        assert!(is_ours(false, "192.168.1.5:8000"));
        assert!(front(true).check_host(&request(&[])).is_err());
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let is_ours = |host, origin| {
            front(true).check_origin(&request(&[(header::HOST, host), (header::ORIGIN, origin)])).is_ok()
        };
        assert!(is_ours("localhost:8000", "http://localhost:8000"));
        assert!(is_ours("10.0.0.7:8000", "https://agents.example.org"));
        assert!(front(true).check_origin(&request(&[(header::HOST, "localhost")])).is_ok());
        for other in ["http://localhost:3000", "https://evil.example", "null", "", "http://localhost:8000.evil.example"]
        {
            assert!(!is_ours("localhost:8000", other), "{other}");
        }
    }

    #[test]
    fn what_is_forwarded_counts_only_from_known_proxies() {
        let from = |peer: &str, said: &[&str]| {
            let headers: Vec<_> = said.iter().map(|said| (FORWARDED_FOR, *said)).collect();
            front(true).address(peer.parse().unwrap(), request(&headers).headers()).to_string()
        };
        assert_eq!(from("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(from("::1", &["6.6.6.6", "198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(from("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(from("::ffff:10.0.0.1", &["2001:db8:1:2:3:4:5:6"]), "2001:db8:1:2:3:4:5:6");
        assert_eq!(network("2001:db8:1:2:3:4:5:6".parse().unwrap()).to_string(), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()).to_string(), "10.0.0.1");
    }
}
