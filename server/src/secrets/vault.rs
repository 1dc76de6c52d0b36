//! The vault: what is in it, and how it changes.

use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use liteagent_engine::{
    capability::{SecretRules, SecretSource, Secrets, VaultSecret},
    codes,
    store::StoreError,
    time::Clock,
    units::{Millis, Size},
};

use super::{SecretKeys, seal::Sealer};
use crate::{
    accounts::{Actor, Refused},
    store::{SecretRow, SecretStore},
};

/// The largest value.
const LARGEST: Size = Size(64 << 10);
/// The longest name, description, and entry of a list; the most entries.
const LONGEST: usize = 500;
/// How often a change is tried that others get in the way of.
const TRIES: usize = 20;

/// Why something cannot be done with the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It is wrong.
    #[error("{}", .0.message)]
    Refused(Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refused> for VaultError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A change of a secret. What is `None` stays as it is; a list that is `Some(None)` says nothing from then on.
#[derive(Clone, Debug, Default)]
pub struct SecretChange {
    /// The value; a new secret needs one.
    pub value: Option<String>,
    /// Where it may be sent. More hosts than before need the value again.
    pub hosts: Option<Option<Vec<String>>>,
    /// Which workflows may declare it.
    pub workflows: Option<Option<Vec<String>>>,
    /// What it is for.
    pub description: Option<Option<String>>,
}

/// What is known of a secret, which is not its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: String,
    /// Where the value comes from that counts.
    pub source: SecretSource,
    /// Where it may be sent; `None` is anywhere.
    pub hosts: Option<Vec<String>>,
    /// Which workflows may declare it; `None` is all.
    pub workflows: Option<Vec<String>>,
    /// What the vault has of it, whether or not that counts.
    pub stored: Option<StoredInfo>,
}

/// What the vault has of a secret, which is not its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInfo {
    /// What it is for.
    pub description: Option<String>,
    /// Why its value cannot be read, if it cannot.
    pub problem: Option<String>,
    /// When it was made, and by whom.
    pub created: (Millis, String),
    /// When it last changed, and by whom.
    pub updated: (Millis, String),
}

/// The secrets of an installation that are kept in its store.
pub struct Vault {
    store: Arc<dyn SecretStore>,
    sealer: Sealer,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    loaded: Mutex<Loaded>,
}

/// The rows as they were last read, each with the reason why it cannot be opened, if there is one.
#[derive(Default)]
struct Loaded {
    revision: i64,
    rows: Vec<(SecretRow, Option<String>)>,
}

impl Vault {
    /// Opens the vault of a store. From now on `secrets` has what is in it.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn open(
        store: Arc<dyn SecretStore>,
        keys: &SecretKeys,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let vault = Self { store, sealer: Sealer::new(keys), secrets, clock, loaded: Mutex::default() };
        vault.load().await?;
        Ok(vault)
    }

    /// Gives `secrets` what the rows of a vault hold, once: for a process that lives as long as one command.
    pub fn read(rows: &[SecretRow], keys: &SecretKeys, secrets: &Secrets) {
        let sealer = Sealer::new(keys);
        secrets.set_vault(rows.iter().map(|row| (row.name.clone(), opened(&sealer, row))));
    }

    async fn load(&self) -> Result<(), StoreError> {
        let (revision, rows) = self.store.secrets().await?;
        let all: Vec<_> = rows.into_iter().map(|row| (opened(&self.sealer, &row), row)).collect();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // Another task may have read a newer one meanwhile.
        if revision < loaded.revision {
            return Ok(());
        }
        self.secrets.set_vault(all.iter().map(|(secret, row)| (row.name.clone(), secret.clone())));
        let rows = all.into_iter().map(|(secret, row)| (row, secret.value.err().map(|(why, _)| why))).collect();
        *loaded = Loaded { revision, rows };
        Ok(())
    }

    /// Takes in what other processes changed.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).revision;
        if self.store.secrets_revision().await? != known {
            self.load().await?;
        }
        Ok(())
    }

    /// The names of the secrets that cannot be read, and why.
    pub fn unreadable(&self) -> Vec<(String, String)> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.rows.iter().filter_map(|(row, why)| Some((row.name.clone(), why.clone()?))).collect()
    }

    /// Every secret of this process and of the vault, by name.
    pub fn list(&self) -> Vec<SecretInfo> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stored: BTreeMap<&str, StoredInfo> =
            loaded.rows.iter().map(|(row, why)| (&*row.name, StoredInfo::of(row, why.clone()))).collect();
        let info = |name: String| {
            let rules = self.secrets.rules(&name);
            Some(SecretInfo {
                source: self.secrets.source(&name)?,
                hosts: rules.hosts.map(|hosts| texts(&hosts)),
                workflows: rules.workflows.map(|workflows| texts(&workflows)),
                stored: stored.get(&*name).cloned(),
                name,
            })
        };
        self.secrets.names().into_iter().filter_map(info).collect()
    }

    /// Adds a secret or changes one, and says which of the two.
    ///
    /// # Errors
    /// When the change is wrong: a secret that is new needs a value, and so does one that may go to more hosts.
    pub async fn set(&self, name: &str, change: SecretChange, by: &Actor) -> Result<Set, VaultError> {
        check(name, &change)?;
        for _ in 0..TRIES {
            let (_, rows) = self.store.secrets().await?;
            let before = rows.into_iter().find(|row| row.name == name);
            let is_new = before.is_none();
            let row = self.changed(name, before, &change, by)?;
            let action = if is_new { "secrets.create" } else { "secrets.change" };
            if self.store.put_secret(row, by.entry(self.clock.now(), action, name)).await? {
                self.load().await?;
                return Ok(if is_new { Set::Added } else { Set::Changed });
            }
        }
        Err(StoreError::Failed("others change the vault all the time".to_owned()).into())
    }

    fn changed(
        &self,
        name: &str,
        before: Option<SecretRow>,
        change: &SecretChange,
        by: &Actor,
    ) -> Result<SecretRow, VaultError> {
        let now = self.clock.now();
        let has_rules = change.hosts.is_some() && change.workflows.is_some();
        let value = match (&change.value, &before) {
            (Some(value), Some(before)) if !has_rules => {
                // Rules of a row that cannot be opened may be anybody's.
                self.sealer.open(before).map_err(|(why, _)| {
                    let message = format!("`{name}` cannot be read, so its rules are not believed either: {why}");
                    Refused::new(codes::SECRET_UNREADABLE, message)
                        .hint("give `hosts` and `workflows` again too, or delete the secret first")
                })?;
                value.as_str().into()
            }
            (Some(value), _) => value.as_str().into(),
            (None, Some(before)) => {
                if change.hosts.as_ref().is_some_and(|hosts| is_wider(before.hosts.as_ref(), hosts.as_ref())) {
                    let message = format!("`{name}` may go to more hosts only with its value");
                    return Err(Refused::new(codes::SECRET_VALUE_NEEDED, message)
                        .hint("give the value again, together with the hosts")
                        .into());
                }
                self.sealer.open(before).map_err(|(why, hint)| {
                    Refused::new(codes::SECRET_UNREADABLE, format!("`{name}` cannot be read: {why}")).hint(hint)
                })?
            }
            (None, None) => {
                let message = format!("the vault has no secret `{name}` yet, and a new one needs a value");
                return Err(Refused::new(codes::SECRET_REFUSED, message).hint("give a value").into());
            }
        };
        let new = SecretRow {
            name: name.to_owned(),
            version: 0,
            key: String::new(),
            sealed: Vec::new(),
            hosts: None,
            workflows: None,
            description: None,
            created_at: now,
            created_by: by.who.clone(),
            updated_at: now,
            updated_by: by.who.clone(),
        };
        let before = before.unwrap_or(new);
        let row = SecretRow {
            version: before.version + 1,
            hosts: change.hosts.clone().unwrap_or(before.hosts),
            workflows: change.workflows.clone().unwrap_or(before.workflows),
            description: change.description.clone().unwrap_or(before.description),
            updated_at: now,
            updated_by: by.who.clone(),
            ..before
        };
        self.sealer.seal(row, &value)
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// When the vault has none of this name.
    pub async fn delete(&self, name: &str, by: &Actor) -> Result<(), VaultError> {
        let is_done = self.store.delete_secret(name, by.entry(self.clock.now(), "secrets.delete", name)).await?;
        self.load().await?;
        if is_done {
            return Ok(());
        }
        let message = format!("the vault has no secret `{name}`");
        Err(Refused::new(codes::NO_SECRET, message).hint("list them: `liteagent secrets list`").into())
    }

    /// Seals everything with the current key that is sealed with another one: all of it or nothing. Gives how many were, and how many
    /// there are. Done again it does nothing.
    ///
    /// # Errors
    /// When one of them cannot be opened, or there is no current key.
    pub async fn rotate(&self, by: &Actor) -> Result<(usize, usize), VaultError> {
        for _ in 0..TRIES {
            let (_, rows) = self.store.secrets().await?;
            let total = rows.len();
            let old: Vec<SecretRow> = rows.into_iter().filter(|row| !self.sealer.is_current(row)).collect();
            if old.is_empty() {
                return Ok((0, total));
            }
            let again = |row: SecretRow| {
                let value = self.sealer.open(&row).map_err(|(why, hint)| {
                    let message = format!("nothing was changed: `{}` cannot be read: {why}", row.name);
                    VaultError::from(Refused::new(codes::SECRET_UNREADABLE, message).hint(hint))
                })?;
                self.sealer.seal(SecretRow { version: row.version + 1, ..row }, &value)
            };
            let old: Vec<SecretRow> = old.into_iter().map(again).collect::<Result<_, _>>()?;
            let count = old.len();
            let target = format!("{count} secrets");
            if self.store.reseal_secrets(old, by.entry(self.clock.now(), "secrets.rotate", target)).await? {
                self.load().await?;
                return Ok((count, total));
            }
        }
        Err(StoreError::Failed("others change the vault all the time".to_owned()).into())
    }
}

/// What a change made of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// It is new.
    Added,
    /// It was there.
    Changed,
}

impl StoredInfo {
    fn of(row: &SecretRow, problem: Option<String>) -> Self {
        Self {
            description: row.description.clone(),
            problem,
            created: (row.created_at, row.created_by.clone()),
            updated: (row.updated_at, row.updated_by.clone()),
        }
    }
}

fn texts<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}

/// What a row gives those who use the secret.
fn opened(sealer: &Sealer, row: &SecretRow) -> VaultSecret {
    let rules = rules(row.hosts.as_ref(), row.workflows.as_ref());
    let broken = |why: String| (why, format!("delete it, and set it again: `liteagent secrets delete {}`", row.name));
    match rules {
        Ok(rules) => VaultSecret { value: sealer.open(row), rules },
        // Nothing may be done with it then.
        Err(why) => VaultSecret { value: Err(broken(why)), rules: SecretRules::default() },
    }
}

fn rules(hosts: Option<&Vec<String>>, workflows: Option<&Vec<String>>) -> Result<SecretRules, String> {
    fn parsed<T: FromStr<Err = String>>(list: Option<&Vec<String>>) -> Result<Option<Vec<T>>, String> {
        list.map(|list| list.iter().map(|entry| entry.parse()).collect()).transpose()
    }
    Ok(SecretRules {
        hosts: parsed(hosts).map_err(|why| format!("`hosts`: {why}"))?,
        workflows: parsed(workflows).map_err(|why| format!("`workflows`: {why}"))?,
    })
}

/// Whether some hosts are more than others. No list at all is everywhere.
fn is_wider(before: Option<&Vec<String>>, after: Option<&Vec<String>>) -> bool {
    match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after.iter().any(|host| !before.contains(host)),
    }
}

fn check(name: &str, change: &SecretChange) -> Result<(), Refused> {
    let refused = |message: String, hint: &str| Err(Refused::new(codes::SECRET_REFUSED, message).hint(hint));
    let mut letters = name.bytes();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if !begins || !letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.len() > 128 {
        let shown: String = name.escape_debug().take(200).collect();
        return refused(
            format!("expected a name of at most 128 letters, digits and `_`, found `{shown}`"),
            "name it as an environment variable: `SHOP_TOKEN`",
        );
    }
    match change.value.as_deref() {
        Some("") => return refused("the value is empty".to_owned(), "give a value, or delete the secret"),
        Some(value) if value.len() as u64 > LARGEST.0 => {
            let found = Size(value.len() as u64);
            return refused(format!("expected a value of at most {LARGEST}, found {found}"), "is it the right file?");
        }
        Some(value) if value.contains('\0') => {
            return refused("the value has a character of the code 0".to_owned(), "write binary keys in Base64");
        }
        _ => {}
    }
    let lists = [&change.hosts, &change.workflows].map(|list| list.as_ref().and_then(Option::as_ref));
    if lists.iter().flatten().any(|list| list.len() > LONGEST || list.iter().any(|entry| entry.len() > LONGEST)) {
        let message = format!("expected lists of at most {LONGEST} entries of {LONGEST} characters");
        return refused(
            message,
            "write `*.example.org` for every host below, and `billing/*` for every workflow below",
        );
    }
    if let Err(why) = rules(lists[0], lists[1]) {
        return refused(why, "a host has no scheme and no path: `api.example.org`");
    }
    let description = change.description.as_ref().and_then(Option::as_ref);
    if description.is_some_and(|text| text.chars().count() > LONGEST || text.chars().any(char::is_control)) {
        let message = format!("`description`: expected at most {LONGEST} visible characters");
        return refused(message, "say what the secret is for");
    }
    Ok(())
}
