//! `DATABASE_URL`: where the rows of the installation are kept. Its value is in no message: it may hold a password.

use std::time::Duration;

use liteagent_backends::postgres::{self, Pool};
use liteagent_engine::codes;
use url::Url;

use super::setting;
use crate::failure::Failure;

/// The setting.
const NAME: &str = "DATABASE_URL";

/// At most so many connections read, and write what is no run.
pub(crate) const CONNECTIONS: u32 = 8;
/// For so long a database is waited for that cannot be reached.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the rows of the installation are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// In SQLite files of the data folder.
    Sqlite,
    /// In a PostgreSQL database that other machines reach, too.
    Postgres(Url),
}

impl Database {
    /// What the environment says; without it, SQLite.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        Self::of(setting)
    }

    /// The same of other settings.
    pub(crate) fn of(setting: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        setting(NAME).map_or(Ok(Self::Sqlite), |text| Self::parse(&text))
    }

    /// Connections to it, where other machines reach it, too. Must be called in a Tokio runtime.
    pub(crate) fn pool(&self) -> Result<Option<Pool>, Failure> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Postgres(url) => Ok(Some(Pool::open(url, CONNECTIONS, PATIENCE)?)),
        }
    }

    /// Refuses a command that is for SQLite files alone.
    pub(crate) fn must_be_files(command: &str) -> Result<(), Failure> {
        if !Self::of_environment()?.is_shared() {
            return Ok(());
        }
        let message = format!("`liteagent {command}` is for SQLite files, and `{NAME}` names a PostgreSQL database");
        Err(Failure::usage(codes::DATABASE_ELSEWHERE, message)
            .hint("use `pg_dump` and `pg_restore`, and copy the blobs: `liteagent explain LA5007` shows how"))
    }

    /// Whether other machines reach it, too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("postgres" | "postgresql") => {
                let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
                postgres::check(&url).map_err(|what| wrong(&what))?;
                Ok(Self::Postgres(url))
            }
            Some("sqlite") => match text.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches('/') {
                "" => Ok(Self::Sqlite),
                _ => Err(Failure::usage(
                    codes::CONFIG,
                    format!("`{NAME}`: expected `sqlite:` alone, found a path after it"),
                )
                .hint("unset it: SQLite files are in the data folder, and `LITEAGENT_DATA` says where that is")),
            },
            Some(other) if other.chars().all(|char| char.is_ascii_alphanumeric() || char == '+') => {
                Err(wrong(&format!("expected `postgres://` or `sqlite:`, found `{other}:`")))
            }
            _ => Err(wrong("expected a URL, found none")),
        }
    }
}

fn wrong(what: &str) -> Failure {
    Failure::usage(codes::CONFIG, format!("`{NAME}`: {what}")).hint(
        "write `postgres://USER:PASSWORD@HOST:5432/DATABASE`, with percent-encoding in the password, or unset it: SQLite is used then",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_which_database_and_a_password_is_in_no_message() {
        let is_shared = |text| Database::parse(text).map(|database| database.is_shared()).ok();
        for (text, expected) in [
            ("postgres://u:p@db/x", Some(true)),
            ("postgresql:///x?host=/run/postgresql", Some(true)),
            ("sqlite:", Some(false)),
            ("sqlite://", Some(false)),
            ("sqlite:///var/lib/x.db", None),
            ("mysql://u:hush@db/x", None),
            ("postgres://u:hush@db/x?sslmod=require", None),
            ("postgres://u:hush@db:port/x", None),
            ("u:hush@db/x", None),
            ("hush", None),
        ] {
            assert_eq!(is_shared(text), expected, "{text}");
            if let Err(failure) = Database::parse(text) {
                assert!(failure.hint.is_some() && !failure.message.contains("hush"), "{}", failure.message);
            }
        }
    }
}
