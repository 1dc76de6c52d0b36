//! URLs of databases.

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use url::Url;

/// How connections are made.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) options: PgConnectOptions,
    /// Whether connections may keep prepared statements.
    pub(super) named: bool,
}

/// Says what is wrong with a URL. Its text is in no message: it may hold a password.
///
/// # Errors
/// What was expected, and what was found.
pub fn check(url: &Url) -> Result<(), String> {
    parse(url).map(drop)
}

pub(super) fn parse(url: &Url) -> Result<Address, String> {
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(format!("expected `postgres://`, found `{}://`", url.scheme()));
    }
    let mut plain = url.clone();
    plain.set_query(None);
    let mut pooled = false;
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("pgbouncer", "true") => pooled = true,
            ("pgbouncer", "false") => {}
            ("pgbouncer", _) => return Err(format!("expected `pgbouncer=true` or `false`, found `{value}`")),
            (key, _) if !KNOWN.contains(&key) && !key.starts_with("options[") => {
                return Err(format!("expected one of {}, found `{key}`", KNOWN.join(", ")));
            }
            _ => drop(plain.query_pairs_mut().append_pair(&key, &value)),
        }
    }
    let options = PgConnectOptions::from_url(&plain).map_err(|error| match &error {
        sqlx::Error::Configuration(why) => why.to_string(),
        _ => error.to_string(),
    })?;
    // Poolers refuse settings that they do not know when a connection begins.
    let options = options.extra_float_digits(None).disable_statement_logging();
    let options =
        if options.get_application_name().is_none() { options.application_name("liteagent") } else { options };
    let options = if pooled { options.statement_cache_capacity(0) } else { options };
    Ok(Address { options, named: !pooled })
}

/// What a URL may say.
const KNOWN: [&str; 13] = [
    "pgbouncer",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
