//! `secrets`: the vault of the project.

use std::{
    io::{self, Read as _},
    sync::Arc,
};

use clap::Subcommand;
use liteagent_engine::{
    capability::{SecretSource, Secrets},
    codes,
    store::StoreError,
    time::{SystemClock, iso},
};
use liteagent_server::{Actor, SecretChange, SecretInfo, Vault, VaultError};
use serde_json::json;

use crate::{
    config::{
        database::Database,
        keys::{Keys, refused},
    },
    failure::{Exit, Failure},
    platform::block_on,
    progress::count,
    project::Project,
    rows,
    shell::{Shell, aligned},
};

/// The most that is read as a value: what is longer is refused, and no value.
const MOST: u64 = 1 << 20;

/// Lists, sets and deletes the secrets of the vault, and seals them with another key.
///
/// The vault is a part of the data folder, sealed with `SECRET_KEY`. What the environment and `.env` give wins over it. A server that
/// runs uses what changes within a second.
#[derive(clap::Args)]
pub(crate) struct SecretsCommand {
    #[command(subcommand)]
    verb: SecretsVerb,
}

#[derive(Subcommand)]
enum SecretsVerb {
    /// Lists the secrets: where each comes from and what it is for, never its value
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Puts a secret into the vault; the value is asked for, or read from stdin
    Set(SetArgs),
    /// Deletes a secret from the vault
    Delete {
        /// The secret
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Seals everything with `SECRET_KEY` that is sealed with `SECRET_KEY_PREVIOUS`
    Rotate,
}

/// What is set.
#[derive(clap::Args)]
struct SetArgs {
    /// The secret, as workflows declare it: `SHOP_TOKEN`
    #[arg(value_name = "NAME")]
    name: String,
    /// A host that it may be sent to: `api.example.org`, `*.example.org`; may be given several times. What was said before no
    /// longer holds
    #[arg(long = "host", value_name = "HOST", conflicts_with = "any_host")]
    hosts: Vec<String>,
    /// It may be sent to any host that a workflow names
    #[arg(long)]
    any_host: bool,
    /// A workflow that may declare it: `shop/order`, `shop/*`; may be given several times. What was said before no longer holds
    #[arg(long = "workflow", value_name = "WORKFLOW", conflicts_with = "any_workflow")]
    workflows: Vec<String>,
    /// Every workflow may declare it
    #[arg(long)]
    any_workflow: bool,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Keeps the value, and changes only what is said of it; not for more hosts than before
    #[arg(long)]
    keep_value: bool,
}

impl SecretsCommand {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        match self.verb {
            SecretsVerb::List { json } => list(shell, &project, json),
            SecretsVerb::Set(args) => set(shell, &project, args),
            SecretsVerb::Delete { name } => block_on(async {
                open(&project, Keys::Known).await?.0.delete(&name, &Actor::command_line()).await?;
                shell.note(format!("deleted `{name}`"));
                Ok(Exit::Done)
            }),
            SecretsVerb::Rotate => block_on(async {
                let (vault, _) = open(&project, Keys::needed()?).await?;
                let (sealed, total) = vault.rotate(&Actor::command_line()).await?;
                shell.note(format!("sealed {sealed} of {} with `SECRET_KEY`", count(total, "secret")));
                if sealed == 0 {
                    shell.note("nothing was sealed with another key: `SECRET_KEY_PREVIOUS` is of no use any more");
                }
                Ok(Exit::Done)
            }),
        }
    }
}

/// The vault of a project, and the secrets that come out of it.
async fn open(project: &Project, keys: Keys) -> Result<(Vault, Arc<Secrets>), Failure> {
    let data = project.data();
    let keys = keys.of(&data)?;
    let store = rows::open(&data, Database::of_environment()?.pool()?.as_ref()).await?;
    let secrets = project.secrets_without_vault()?;
    Ok((Vault::open(store, &keys, secrets.clone(), Arc::new(SystemClock)).await?, secrets))
}

fn list(shell: &Shell, project: &Project, as_json: bool) -> Result<Exit, Failure> {
    let all = block_on(async { Ok(open(project, Keys::Known).await?.0.list()) })?;
    if as_json {
        shell.json(&all.iter().map(row).collect::<Vec<_>>())?;
    } else if all.is_empty() {
        shell.note("no secrets; `liteagent secrets set NAME` adds one");
    } else {
        shell.out(table(&all))?;
    }
    for info in &all {
        if let Some(why) = info.stored.as_ref().and_then(|stored| stored.problem.as_ref()) {
            shell.note(format!("`{}` of the vault cannot be read: {why}", info.name));
        }
    }
    Ok(Exit::Done)
}

/// Where a value comes from, as people read it.
fn source(info: &SecretInfo) -> &'static str {
    match (info.source, &info.stored) {
        (SecretSource::Environment, None) => "environment",
        (SecretSource::File, None) => ".env",
        (SecretSource::Vault, _) => "vault",
        (SecretSource::Environment, Some(_)) => "environment, not the vault",
        (SecretSource::File, Some(_)) => ".env, not the vault",
    }
}

fn row(info: &SecretInfo) -> serde_json::Value {
    let stored = info.stored.as_ref();
    json!({
        "name": info.name,
        "source": match info.source {
            SecretSource::Environment => "environment",
            SecretSource::File => "dot_env",
            SecretSource::Vault => "vault",
        },
        "shadows_vault": info.source != SecretSource::Vault && stored.is_some(),
        "hosts": info.hosts,
        "workflows": info.workflows,
        "description": stored.and_then(|stored| stored.description.as_ref()),
        "problem": stored.and_then(|stored| stored.problem.as_ref()),
        "updated_at": stored.map(|stored| iso(stored.updated.0)),
        "updated_by": stored.map(|stored| &stored.updated.1),
    })
}

fn table(all: &[SecretInfo]) -> String {
    let list = |entries: &Option<Vec<String>>| match entries.as_deref() {
        None => "any".to_owned(),
        Some([]) => "none".to_owned(),
        Some(entries) => entries.join(", "),
    };
    let mut rows = vec![["NAME", "FROM", "HOSTS", "WORKFLOWS", "CHANGED", "FOR"].map(str::to_owned)];
    rows.extend(all.iter().map(|info| {
        let stored = info.stored.as_ref();
        let changed = stored.map(|stored| format!("{} by {}", iso(stored.updated.0), stored.updated.1));
        let description = stored.and_then(|stored| stored.description.clone());
        [
            info.name.clone(),
            source(info).to_owned(),
            list(&info.hosts),
            list(&info.workflows),
            changed.unwrap_or_default(),
            description.unwrap_or_default(),
        ]
    }));
    aligned(&rows)
}

fn set(shell: &Shell, project: &Project, args: SetArgs) -> Result<Exit, Failure> {
    let value = if args.keep_value { None } else { Some(value(shell, &args.name)?) };
    let rule = |given: Vec<String>, any: bool| match (any, given.is_empty()) {
        (true, _) => Some(None),
        (false, true) => None,
        (false, false) => Some(Some(given)),
    };
    let change = SecretChange {
        value,
        hosts: rule(args.hosts, args.any_host),
        workflows: rule(args.workflows, args.any_workflow),
        description: args.description.map(|text| Some(text).filter(|text| !text.is_empty())),
    };
    block_on(async {
        let (vault, secrets) = open(project, Keys::needed()?).await?;
        vault.set(&args.name, change, &Actor::command_line()).await?;
        shell.note(format!("`{}` is in the vault", args.name));
        let place = match secrets.source(&args.name) {
            Some(SecretSource::Environment) => "the environment",
            Some(SecretSource::File) => "`.env`",
            _ => return Ok(Exit::Done),
        };
        let name = &args.name;
        shell.note(format!(
            "warning: `LITEAGENT_SECRET_{name}` of {place} wins over it; remove it there to use this one"
        ));
        Ok(Exit::Done)
    })
}

/// The value: asked for without showing it, or everything that stdin has, without one line end at its end.
fn value(shell: &Shell, name: &str) -> Result<String, Failure> {
    let wrong = |error: io::Error| {
        Failure::usage(codes::SECRET_REFUSED, format!("the value of `{name}` cannot be read: {error}"))
            .hint(format!("give it as text on stdin: `liteagent secrets set {name} < FILE`"))
    };
    if shell.can_ask() {
        return rpassword::prompt_password(format!("value of {name}: ")).map_err(wrong);
    }
    let mut text = String::new();
    io::stdin().take(MOST).read_to_string(&mut text).map_err(wrong)?;
    let bare = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(bare.unwrap_or(&text).to_owned())
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Refused(why) => refused(why),
            VaultError::Store(error) => StoreError::into(error),
        }
    }
}
