//! `liteagent.toml` and the environment. The environment wins; unknown keys are errors.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::Kind,
    providers::{Format, Toml},
};
use liteagent_backends::Reserve;
use liteagent_engine::{capability::Root, codes, source::read_text};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_providers::{Names, ProviderSettings};
use serde::{Deserialize, Deserializer, de::Error as _};

use self::{
    documents::DocumentsConfig,
    mcp::McpConfig,
    operation::{BudgetConfig, LimitsConfig, RetentionConfig},
    sandbox::SandboxConfig,
    secrets::SecretConfig,
    uploads::UploadsConfig,
};
use crate::failure::Failure;

pub(crate) mod database;
mod documents;
pub(crate) mod keys;
mod mcp;
pub(crate) mod models;
pub(crate) mod objects;
mod operation;
mod sandbox;
mod secrets;
mod uploads;

/// The name of the configuration file; its folder is the root of the definitions.
pub(crate) const FILE: &str = "liteagent.toml";

/// What `liteagent.toml` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Which folders file nodes may use.
    pub(crate) files: FilesConfig,
    /// Where `http-request` may go.
    pub(crate) http: HttpConfig,
    /// What aliases of models stand for.
    pub(crate) models: BTreeMap<String, Names>,
    /// Language models, by the names of their providers.
    pub(crate) providers: BTreeMap<String, ProviderSettings>,
    /// What code may use, and how much of it runs at once.
    pub(crate) sandbox: SandboxConfig,
    /// What reading a document may take.
    pub(crate) documents: DocumentsConfig,
    /// The MCP servers that workflows may name.
    pub(crate) mcp: BTreeMap<String, McpConfig>,
    /// Which secrets may be sent where, and who may declare them. Their values stand elsewhere.
    pub(crate) secrets: BTreeMap<String, SecretConfig>,
    /// How runs are stored.
    pub(crate) storage: StorageConfig,
    /// How long what is over is kept.
    pub(crate) retention: RetentionConfig,
    /// What runs of a server may use of models.
    pub(crate) budget: BudgetConfig,
    /// How many runs a server executes.
    pub(crate) limits: LimitsConfig,
    /// What may be uploaded to the server.
    pub(crate) uploads: UploadsConfig,
}

/// `[files]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FilesConfig {
    /// Folders by name: the first part of a path in a workflow. `.` is the default root.
    pub(crate) roots: BTreeMap<String, RootConfig>,
}

/// A folder that file nodes may use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootConfig {
    path: PathBuf,
    #[serde(default)]
    writable: bool,
}

impl RootConfig {
    /// A folder that may be read.
    pub(crate) fn to_read(path: PathBuf) -> Self {
        Self { path, writable: false }
    }
}

impl Default for FilesConfig {
    /// The folder of the project can be read; `out/` can be written.
    fn default() -> Self {
        let root = |path: &str, writable| RootConfig { path: path.into(), writable };
        Self { roots: BTreeMap::from([(".".into(), root(".", false)), ("out".into(), root("out", true))]) }
    }
}

/// `[http]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpConfig {
    /// Private hosts and networks that may be reached all the same: `localhost:8080`, `10.0.0.0/8`.
    pub(crate) allow: Vec<String>,
}

/// `[storage]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StorageConfig {
    /// What must be free on the disk for a new run: `10%`, or `20GiB`. `LITEAGENT_MIN_FREE` wins.
    #[serde(deserialize_with = "reserve")]
    min_free: Reserve,
    /// The bucket that has large values and files: `s3://BUCKET/PREFIX`. `STORAGE_URL` wins.
    url: Option<String>,
}

fn reserve<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reserve, D::Error> {
    Reserve::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

impl Config {
    /// Reads `liteagent.toml` of a folder; without one, everything has its default.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let Some(text) = text_of(&path)? else { return Ok(Self::default()) };
        Figment::from(Toml::string(&text)).extract().map_err(|error| wrong(&path, &error))
    }

    /// What must be free on the disk for a new run.
    pub(crate) fn min_free(&self) -> Result<Reserve, Failure> {
        match setting("LITEAGENT_MIN_FREE") {
            Some(text) => Reserve::parse(&text)
                .map_err(|error| Failure::usage(codes::CONFIG, format!("`LITEAGENT_MIN_FREE`: {error}"))),
            None => Ok(self.storage.min_free),
        }
    }

    /// Outgoing HTTP of nodes.
    pub(crate) fn egress(&self) -> Result<Egress, Failure> {
        let policy = EgressPolicy::parse(&self.http.allow)
            .map_err(|error| Failure::usage(codes::CONFIG, format!("`http.allow` of `{FILE}`: {error}")))?;
        Ok(Egress::new(policy))
    }

    /// The folders that file nodes may use, below the folder of the project.
    pub(crate) fn roots(&self, folder: &Path) -> Vec<Root> {
        self.files
            .roots
            .iter()
            .map(|(name, root)| Root {
                name: if name == "." { String::new() } else { name.clone() },
                path: folder.join(&root.path),
                writable: root.writable,
            })
            .collect()
    }
}

/// The text of a file that need not be there.
pub(crate) fn text_of(path: &Path) -> Result<Option<String>, Failure> {
    if matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    read_text(path).map(Some).map_err(|finding| {
        let failure = Failure::usage(codes::CONFIG, format!("`{}`: {}", path.display(), finding.message));
        Failure { hint: finding.hint, ..failure }
    })
}

fn wrong(path: &Path, error: &figment::Error) -> Failure {
    let place = error.path.join(".");
    let message = match &error.kind {
        Kind::UnknownField(_, known) => {
            let name = error.path.last().map_or("", String::as_str);
            let message = format!("`{}`: unknown key `{place}`", path.display());
            return Failure::usage(codes::CONFIG, message).near(
                name,
                known.iter().copied(),
                "run `liteagent explain LA3004` to see every key",
            );
        }
        Kind::MissingField(name) => format!("`{place}` has no key `{name}`"),
        Kind::InvalidType(found, expected) => format!("`{place}`: expected {expected}, found {found}"),
        kind if place.is_empty() => kind.to_string(),
        kind => format!("`{place}`: {kind}"),
    };
    Failure::usage(codes::CONFIG, format!("`{}`: {message}", path.display()))
        .hint("run `liteagent explain LA3004` to see every key")
}

/// A setting of the environment; what is empty or no text counts as missing.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        Config::read(folder.path()).map_err(|failure| failure.message.replace(&*folder.path().to_string_lossy(), ""))
    }

    #[test]
    fn the_default_roots_are_the_project_to_read_and_out_to_write() {
        let roots = read("").unwrap().roots(Path::new("p"));
        let shown: Vec<_> =
            roots.iter().map(|root| (&*root.name, root.path.to_str().unwrap(), root.writable)).collect();
        assert_eq!(shown, [("", "p/.", false), ("out", "p/out", true)]);
    }

    #[test]
    fn budgets_have_defaults_and_what_is_kept_for_ever_is_said() {
        let usual = read("").unwrap();
        assert_eq!(usual.budget.budgets().run.tokens, Some(5_000_000));
        let config = "[retention]\nruns = \"forever\"\n[budget]\nrun = {}\nkey = { cost = \"2 USD\" }";
        let config = read(config).unwrap();
        assert_eq!(config.retention.retention().runs, None);
        let budgets = config.budget.budgets();
        assert!(budgets.run.is_none());
        assert_eq!((budgets.key.tokens, budgets.key.cost), (None, Some(liteagent_engine::units::Money(2_000_000))));
        assert_eq!(budgets.month, usual.budget.budgets().month);
        let wrong = read("[retention]\nruns = \"always\"").unwrap_err();
        assert!(wrong.contains("or `forever`"), "{wrong}");
        assert!(read("[limits]\nruns = 0").is_err());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_errors_that_name_the_place() {
        assert_eq!(read("[http]\nalow = []").unwrap_err(), "`/liteagent.toml`: unknown key `http.alow`");
        assert_eq!(read("[htp]").unwrap_err(), "`/liteagent.toml`: unknown key `htp`");
        let no_path = read("[files.roots.docs]\nwritable = true").unwrap_err();
        assert_eq!(no_path, "`/liteagent.toml`: `files.roots.docs` has no key `path`");
        let wrong_type = read("[http]\nallow = 3").unwrap_err();
        assert_eq!(wrong_type, "`/liteagent.toml`: `http.allow`: expected a sequence, found signed int `3`");
        let no_share = read("[storage]\nmin_free = \"ten\"").unwrap_err();
        assert_eq!(
            no_share,
            "`/liteagent.toml`: `storage.min_free`: expected a share of the disk such as `10%`, or a size such as `20GiB`, found `ten`"
        );
    }
}
