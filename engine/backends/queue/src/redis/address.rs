//! Where Redis is, as a URL.

use std::{fmt, str::FromStr};

use liteagent_engine::queue::QueueError;
use percent_encoding::percent_decode_str;

/// How the servers belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisMode {
    /// There is one.
    Single,
    /// Sentinels know which one is the master of this name.
    Sentinel(String),
    /// They share the keys.
    Cluster,
}

/// Where Redis is: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, `redis+sentinel://HOST,HOST/MASTER[/DATABASE]` or
/// `redis+cluster://HOST,HOST`; `rediss` in place of `redis` is with TLS. Behind Sentinel the credentials are those of the
/// servers; sentinels that want some get them by `?sentinel_user=…&sentinel_password=…`.
///
/// Prints without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// How the servers belong together.
    pub mode: RedisMode,
    /// Servers, sentinels or nodes, with their ports.
    pub hosts: Vec<(String, u16)>,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The number of the database; 0 by default.
    pub database: i64,
    /// User and password for the servers.
    pub login: Login,
    /// User and password for the sentinels.
    pub sentinel_login: Login,
}

/// A user and a password, each if there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl FromStr for RedisAddress {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        parse(text).map_err(QueueError::Address)
    }
}

fn parse(text: &str) -> Result<RedisAddress, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| "expected an address of Redis such as `redis://127.0.0.1:6379`, found no `://`".to_owned())?;
    let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
        ("redis", kind) => (false, kind),
        ("rediss", kind) => (true, kind),
        _ => return Err(format!("expected `redis://` or `rediss://`, found `{scheme}://`")),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (login_of(login)?, hosts),
        None => (Login::default(), authority),
    };
    let default_port = if kind == "sentinel" { 26379 } else { 6379 };
    let hosts = hosts.split(',').map(|host| host_of(host, default_port)).collect::<Result<Vec<_>, _>>()?;
    let mut path = path.trim_end_matches('/').split('/').filter(|part| !part.is_empty());
    let mode = match kind {
        "" if hosts.len() == 1 => RedisMode::Single,
        "" => {
            return Err(format!(
                "expected one host behind `{scheme}://`, found {}: is it a Cluster (`{scheme}+cluster://`) or are they \
                 sentinels (`{scheme}+sentinel://`)?",
                hosts.len()
            ));
        }
        "cluster" => RedisMode::Cluster,
        "sentinel" => match path.next() {
            Some(master) => RedisMode::Sentinel(decode(master)?),
            None => return Err("expected the name of the master behind the sentinels, `/main`, found none".to_owned()),
        },
        other => return Err(format!("expected `sentinel` or `cluster` behind `redis+`, found `{other}`")),
    };
    let database = match path.next() {
        None => 0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .ok_or_else(|| format!("expected the number of a database, found `{text}`"))?,
    };
    if let Some(more) = path.next() {
        return Err(format!("expected nothing behind the database, found `/{more}`"));
    }
    if database != 0 && mode == RedisMode::Cluster {
        return Err(format!("expected no database, because a Cluster has only one, found `/{database}`"));
    }
    let mut sentinel_login = Login::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "sentinel_user" => sentinel_login.user = Some(decode(value)?),
            "sentinel_password" => sentinel_login.password = Some(decode(value)?),
            _ => return Err(format!("expected `sentinel_user` or `sentinel_password` behind `?`, found `{name}`")),
        }
    }
    Ok(RedisAddress { mode, hosts, tls, database, login, sentinel_login })
}

fn login_of(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    let user = Some(user).filter(|user| !user.is_empty()).map(decode).transpose()?;
    Ok(Login { user, password: password.map(decode).transpose()? })
}

fn host_of(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let wrong = || format!("expected HOST or HOST:PORT, found `{text}`");
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']').ok_or_else(wrong)) {
        Some(ipv6) => {
            let (host, rest) = ipv6?;
            (host, rest.strip_prefix(':').or(Some(rest).filter(|rest| !rest.is_empty())))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| wrong()))?;
    if host.is_empty() || host.contains(char::is_whitespace) { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "expected UTF-8 in percent encoding, found other bytes".to_owned())
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(match self.mode {
            RedisMode::Single => "://",
            RedisMode::Sentinel(_) => "+sentinel://",
            RedisMode::Cluster => "+cluster://",
        })?;
        for (number, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if host.contains(':') { write!(f, "{comma}[{host}]:{port}")? } else { write!(f, "{comma}{host}:{port}")? }
        }
        if let RedisMode::Sentinel(master) = &self.mode {
            write!(f, "/{master}")?;
        }
        if self.database == 0 { Ok(()) } else { write!(f, "/{}", self.database) }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_print_without_credentials() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("rediss://:s%40crt@[::1]:7000/3", "rediss://[::1]:7000/3"),
            ("redis+sentinel://u:p@a,b:1/main/2?sentinel_password=x", "redis+sentinel://a:26379,b:1/main/2"),
            ("redis+cluster://u:p@a:1,b:2/", "redis+cluster://a:1,b:2"),
        ] {
            assert_eq!(text.parse::<RedisAddress>().unwrap().to_string(), shown);
        }
        let address: RedisAddress = "redis://me:a%3Ab@h".parse().unwrap();
        assert!(address.login == Login { user: Some("me".into()), password: Some("a:b".into()) });
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, said) in [
            ("localhost:6379", "found no `://`"),
            ("amqp://h", "found `amqp://`"),
            ("redis://", "expected HOST or HOST:PORT, found ``"),
            ("redis://h:port", "found `h:port`"),
            ("redis://[::1", "found `[::1`"),
            ("redis://h/x", "found `x`"),
            ("redis://h/1/2", "found `/2`"),
            ("redis://a,b", "redis+cluster://"),
            ("redis+sentinel://a", "name of the master"),
            ("redis+cluster://a/1", "found `/1`"),
            ("redis+ring://a", "found `ring`"),
            ("redis://h?timeout=1", "found `timeout`"),
            ("redis://%ff:x@h", "other bytes"),
        ] {
            let error = text.parse::<RedisAddress>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
