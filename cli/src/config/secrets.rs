//! Secrets: their values come from the environment, from `.env` and from the vault, the rules of their owner from
//! `liteagent.toml` and from the vault.

use std::{collections::BTreeMap, path::Path, str::FromStr, sync::Arc};

use liteagent_backends::postgres::Pool;
use liteagent_engine::{
    capability::{SecretRules, Secrets},
    codes,
};
use liteagent_server::Vault;
use serde::Deserialize;

use super::{Config, FILE, database::Database, keys::Keys, text_of};
use crate::{failure::Failure, project::Project, rows};

/// Names in the environment, and in `.env`, that give secrets.
const PREFIX: &str = "LITEAGENT_SECRET_";

/// `[secrets.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretConfig {
    /// Where it may be sent; anywhere if missing.
    hosts: Option<Vec<String>>,
    /// Which workflows may declare it; all if missing.
    workflows: Option<Vec<String>>,
}

impl Config {
    /// The secrets of the environment and of `.env` under the rules of `liteagent.toml`; the environment wins. Other
    /// names are not looked at.
    fn secrets(&self, folder: &Path) -> Result<Secrets, Failure> {
        let rules = self.secrets.iter().map(|(name, config)| Ok((name.clone(), config.rules(name)?)));
        let rules = rules.collect::<Result<Vec<_>, Failure>>()?;
        let of_environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.to_str()?.strip_prefix(PREFIX)?.to_owned(), value.to_str()?.to_owned()))
        });
        Ok(Secrets::new(of_environment).with_file(of_dot_env(folder)?).with_rules(rules))
    }
}

impl Project {
    /// The secrets of the environment, of `.env` and of the vault; what comes first wins.
    pub(crate) async fn secrets(&self) -> Result<Arc<Secrets>, Failure> {
        self.secrets_in(Database::of_environment()?.pool()?.as_ref()).await
    }

    /// The same where the database that machines share is open.
    pub(crate) async fn secrets_in(&self, database: Option<&Pool>) -> Result<Arc<Secrets>, Failure> {
        let secrets = self.secrets_without_vault()?;
        let data = self.data();
        Vault::read(&rows::secrets(&data, database).await?, &Keys::Known.of(&data)?, &secrets);
        Ok(secrets)
    }

    /// The same for who opens the vault itself.
    pub(crate) fn secrets_without_vault(&self) -> Result<Arc<Secrets>, Failure> {
        self.config.secrets(&self.root).map(Arc::new)
    }
}

impl SecretConfig {
    fn rules(&self, name: &str) -> Result<SecretRules, Failure> {
        Ok(SecretRules {
            hosts: parse(self.hosts.as_ref(), name, "hosts")?,
            workflows: parse(self.workflows.as_ref(), name, "workflows")?,
        })
    }
}

fn parse<T: FromStr<Err = String>>(
    list: Option<&Vec<String>>,
    name: &str,
    key: &str,
) -> Result<Option<Vec<T>>, Failure> {
    let wrong = |error: String| {
        Failure::usage(codes::CONFIG, format!("`secrets.{name}.{key}` of `{FILE}`: {error}"))
            .hint("run `liteagent explain LA3004` to see an example")
    };
    list.map(|entries| entries.iter().map(|entry| entry.parse().map_err(wrong)).collect()).transpose()
}

fn of_dot_env(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    let Some(text) = text_of(&folder.join(".env"))? else { return Ok(values) };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches("export ");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| {
            Failure::usage(codes::CONFIG, format!("expected `NAME=value` in line {} of `.env`", number + 1))
        })?;
        if let Some(name) = name.trim().strip_prefix(PREFIX) {
            values.insert(name.to_owned(), unquoted(value.trim()).to_owned());
        }
    }
    Ok(values)
}

fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn secrets(toml: &str, dot_env: &str) -> Result<Secrets, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), toml).unwrap();
        fs::write(folder.path().join(".env"), dot_env).unwrap();
        let config = Config::read(folder.path()).map_err(|failure| failure.message)?;
        config.secrets(folder.path()).map_err(|failure| failure.message)
    }

    #[test]
    fn only_prefixed_names_of_a_dot_env_file_are_secrets() {
        let secrets = secrets("", "# x\nDATABASE_URL=a\nexport LITEAGENT_SECRET_TOKEN_A='s p'\n").unwrap();
        assert_eq!(secrets.get("TOKEN_A").as_deref(), Some("s p"));
        assert_eq!(secrets.get("DATABASE_URL"), None);
    }

    #[test]
    fn rules_are_read_and_a_value_never_stands_beside_them() {
        let ruled = secrets("[secrets.A]\nhosts = [\"a.test\"]\nworkflows = [\"billing/*\"]", "").unwrap();
        assert!(ruled.is_meant_for("A", "billing/x") && !ruled.is_meant_for("A", "other"));
        let wrong = secrets("[secrets.A]\nhosts = [\"https://a.test\"]", "").unwrap_err();
        assert!(wrong.starts_with("`secrets.A.hosts` of `liteagent.toml`: expected a host"), "{wrong}");
        assert!(secrets("[secrets.A]\nworkflows = [\"a*\"]", "").is_err());
        assert!(secrets("[secrets.A]\nvalue = \"x\"", "").unwrap_err().contains("unknown key `secrets.A.value`"));
    }
}
