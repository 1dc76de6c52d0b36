//! Secrets, and what their owner says about each: where it may be sent, and which workflows may declare it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::rules::{Destination, HostRule, SecretRules, WorkflowRule};
use crate::{
    codes,
    error::{ErrorClass, NodeError},
};

mod rules;

/// How many values that a secret had before are still hidden.
const FORMER: usize = 16;

/// The secrets that a process has, and the rules of their owner. Values are shown nowhere.
///
/// What the process was started with, in its environment and in `.env`, never changes, and wins over the vault. What the vault
/// holds may change at any time: whoever asks is given what holds now.
#[derive(Default)]
pub struct Secrets {
    known: RwLock<Known>,
    revision: AtomicU64,
}

#[derive(Default)]
struct Known {
    given: HashMap<String, (SecretSource, Arc<str>)>,
    rules: HashMap<String, SecretRules>,
    vault: HashMap<String, VaultSecret>,
    /// What the vault held before, newest last: what it was used for may still speak of it.
    former: HashMap<String, Vec<Arc<str>>>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `LITEAGENT_SECRET_NAME` in the environment.
    Environment,
    /// `LITEAGENT_SECRET_NAME` in `.env`.
    File,
    /// The vault.
    Vault,
}

/// What a vault holds of a secret.
#[derive(Clone)]
pub struct VaultSecret {
    /// Its value; or why it cannot be read, and what to do about it.
    pub value: Result<Arc<str>, (String, String)>,
    /// What its owner says.
    pub rules: SecretRules,
}

impl Secrets {
    /// Secrets of the environment by name, without rules.
    pub fn new(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = secrets.into_iter().map(|(name, value)| (name, (SecretSource::Environment, value.into())));
        Self::of(Known { given: given.collect(), ..Known::default() })
    }

    fn of(known: Known) -> Self {
        Self { known: RwLock::new(known), revision: AtomicU64::new(0) }
    }

    fn into_known(self) -> Known {
        self.known.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same with those of `.env`; the environment wins.
    #[must_use]
    pub fn with_file(self, secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut known = self.into_known();
        for (name, value) in secrets {
            known.given.entry(name).or_insert((SecretSource::File, value.into()));
        }
        Self::of(known)
    }

    /// The same under rules, by name. A rule for a secret that is not there does no harm. What the owner of a secret of the
    /// vault says himself wins.
    #[must_use]
    pub fn with_rules(self, rules: impl IntoIterator<Item = (String, SecretRules)>) -> Self {
        Self::of(Known { rules: rules.into_iter().collect(), ..self.into_known() })
    }

    /// Gives the vault what it holds from now on, in place of what it held.
    pub fn set_vault(&self, secrets: impl IntoIterator<Item = (String, VaultSecret)>) {
        let vault: HashMap<_, _> = secrets.into_iter().collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut known.vault, vault);
        for (name, secret) in before {
            let Ok(value) = secret.value else { continue };
            let is_same = known.vault.get(&name).is_some_and(|now| now.value.as_ref().is_ok_and(|now| *now == value));
            if !is_same {
                let former = known.former.entry(name).or_default();
                former.retain(|one| *one != value);
                former.push(value);
                if former.len() > FORMER {
                    former.remove(0);
                }
            }
        }
        self.revision.fetch_add(1, Ordering::Release);
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the changes of the vault.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// What is to be hidden of some secrets, with the revision that it holds for.
    pub(super) fn to_hide(&self, names: &[String]) -> (u64, Vec<(String, Arc<str>)>) {
        let known = self.known();
        let of = |name: &String| {
            let former = known.former.get(name).into_iter().flatten().cloned();
            let values = known.value(name).into_iter().chain(former);
            values.map(|value| (name.clone(), value)).collect::<Vec<_>>()
        };
        // While it is held, nothing changes.
        (self.revision(), names.iter().flat_map(of).collect())
    }

    /// The value of a secret; `None` also for one that is there and cannot be read.
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.known().value(name)
    }

    /// Whether a secret is there, also when it cannot be read.
    pub fn has(&self, name: &str) -> bool {
        self.source(name).is_some()
    }

    /// Where the value of a secret comes from.
    pub fn source(&self, name: &str) -> Option<SecretSource> {
        let known = self.known();
        let given = known.given.get(name).map(|(source, _)| *source);
        given.or_else(|| known.vault.contains_key(name).then_some(SecretSource::Vault))
    }

    /// The names of every secret.
    pub fn names(&self) -> BTreeSet<String> {
        let known = self.known();
        known.given.keys().chain(known.vault.keys()).cloned().collect()
    }

    /// The rules of a secret, whether or not it is there.
    pub fn rules(&self, name: &str) -> SecretRules {
        self.known().rules(name)
    }

    /// The names that somebody made rules for outside the vault.
    pub fn ruled(&self) -> BTreeSet<String> {
        self.known().rules.keys().cloned().collect()
    }

    /// Whether a workflow may declare a secret.
    pub fn is_meant_for(&self, name: &str, workflow: &str) -> bool {
        self.known().rules(name).is_for(workflow)
    }

    /// The value of a secret that is wanted in the name of nobody in particular.
    ///
    /// # Errors
    /// When it is missing, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Arc<str>, NodeError> {
        self.known().read(name)
    }

    /// The value of a secret that a workflow sends somewhere: value and rules are of one moment.
    pub(crate) fn release(&self, name: &str, workflow: &str, to: &Destination) -> Result<Arc<str>, NodeError> {
        let known = self.known();
        if !known.rules(name).is_for(workflow) {
            let message = format!("the secret `{name}` is not meant for the workflow `{workflow}`");
            return Err(NodeError::new(codes::SECRET_WORKFLOW, ErrorClass::Forbidden, message).hint(known.add(
                name,
                "workflows",
                workflow,
            )));
        }
        known.admit_host(name, to)?;
        known.read(name)
    }

    /// The value of a secret that may be sent somewhere. What owners configure for the whole installation, such as the key of
    /// a provider, asks only this.
    ///
    /// # Errors
    /// As [`Secrets::admit_host`], and when it is missing or cannot be read.
    pub fn read_for(&self, name: &str, to: &Destination) -> Result<Arc<str>, NodeError> {
        let known = self.known();
        known.admit_host(name, to)?;
        known.read(name)
    }

    /// Refuses to send a secret to a host that its owner did not name.
    ///
    /// # Errors
    /// When the owner named other hosts, or named none and a template decides the host.
    pub fn admit_host(&self, name: &str, to: &Destination) -> Result<(), NodeError> {
        self.known().admit_host(name, to)
    }
}

impl Known {
    fn value(&self, name: &str) -> Option<Arc<str>> {
        match self.given.get(name) {
            Some((_, value)) => Some(value.clone()),
            None => self.vault.get(name)?.value.as_ref().ok().cloned(),
        }
    }

    fn read(&self, name: &str) -> Result<Arc<str>, NodeError> {
        if let Some((_, value)) = self.given.get(name) {
            return Ok(value.clone());
        }
        match self.vault.get(name).map(|secret| &secret.value) {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err((why, hint))) => {
                let message = format!("the secret `{name}` of the vault cannot be read: {why}");
                Err(NodeError::new(codes::SECRET_UNREADABLE, ErrorClass::Unauthenticated, message).hint(hint))
            }
            None => {
                let message = format!("the secret `{name}` is missing");
                Err(NodeError::new(codes::SECRET_MISSING, ErrorClass::Unauthenticated, message).hint(how_to_set(name)))
            }
        }
    }

    /// Rules belong to the value that counts: those of the vault to one of the vault, and what is not said there is said by
    /// the rules that stand outside.
    fn rules(&self, name: &str) -> SecretRules {
        let outside = self.rules.get(name).cloned().unwrap_or_default();
        match self.vault.get(name) {
            Some(secret) if !self.given.contains_key(name) => SecretRules {
                hosts: secret.rules.hosts.clone().or(outside.hosts),
                workflows: secret.rules.workflows.clone().or(outside.workflows),
            },
            _ => outside,
        }
    }

    fn admit_host(&self, name: &str, to: &Destination) -> Result<(), NodeError> {
        let refused =
            |message, hint| Err(NodeError::new(codes::SECRET_HOST, ErrorClass::Forbidden, message).hint(hint));
        match self.rules(name).hosts {
            Some(hosts) if hosts.iter().any(|host| host.fits(to)) => Ok(()),
            Some(_) => refused(
                format!("the secret `{name}` may not be sent to `{to}`"),
                self.add(name, "hosts", &to.to_string()),
            ),
            None if to.is_fixed => Ok(()),
            None => refused(
                format!(
                    "the secret `{name}` is not sent to `{to}`: the host comes from a template, and nobody said where \
                     the secret may go"
                ),
                format!("{}, or write the host into `url`", self.add(name, "hosts", &to.to_string())),
            ),
        }
    }

    /// What an owner has to do.
    fn add(&self, secret: &str, list: &str, entry: &str) -> String {
        if self.vault.contains_key(secret) && !self.given.contains_key(secret) {
            return format!(
                "if that is right, let an owner add \"{entry}\" to the `{list}` of `{secret}` in the vault: \
                 `liteagent secrets set` takes them"
            );
        }
        format!("if that is right, add \"{entry}\" to `{list}` under `[secrets.{secret}]` in `liteagent.toml`")
    }
}

/// How a secret that is missing is given.
pub fn how_to_set(name: &str) -> String {
    format!("run `liteagent secrets set {name}`, or set `LITEAGENT_SECRET_{name}` in the environment or in `.env`")
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str) -> Destination {
        Destination { scheme: "https".to_owned(), host: host.to_owned(), port: 443, is_fixed: true }
    }

    fn hosts(host: &str) -> SecretRules {
        SecretRules { hosts: Some(vec![host.parse().unwrap()]), workflows: None }
    }

    fn stored(value: &str, rules: SecretRules) -> VaultSecret {
        VaultSecret { value: Ok(value.into()), rules }
    }

    #[test]
    fn a_workflow_is_named_or_lies_below() {
        let rules = |workflows: &[&str]| SecretRules {
            workflows: Some(workflows.iter().map(|rule| rule.parse().unwrap()).collect()),
            hosts: None,
        };
        let secrets = Secrets::default().with_rules([
            ("A".to_owned(), rules(&["billing/*", "report"])),
            ("ALL".to_owned(), rules(&["*"])),
            ("NOBODY".to_owned(), rules(&[])),
        ]);
        let meant =
            |name: &str| ["billing/a/b", "billing", "billings", "report"].map(|w| secrets.is_meant_for(name, w));
        assert_eq!(meant("A"), [true, false, false, true]);
        assert_eq!((meant("ALL"), meant("NOBODY"), meant("UNRULED")), ([true; 4], [false; 4], [true; 4]));
        for wrong in ["", "/", "a*", "*/a", "A", "a//b", "a/*/b"] {
            assert!(wrong.parse::<WorkflowRule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_that_a_template_chose_needs_to_be_named() {
        let secrets = [("RULED", "1"), ("FREE", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = Secrets::new(secrets).with_rules([("RULED".to_owned(), hosts("a.test"))]);
        let chosen = Destination { is_fixed: false, ..to("a.test") };
        let code = |name: &str, to: &Destination| secrets.release(name, "w", to).err().map(|error| error.code);
        assert_eq!(code("RULED", &chosen), None);
        assert_eq!(code("RULED", &to("b.test")), Some(codes::SECRET_HOST));
        assert_eq!(code("FREE", &to("b.test")), None);
        assert_eq!(code("FREE", &chosen), Some(codes::SECRET_HOST));
        assert_eq!(code("NONE", &to("b.test")), Some(codes::SECRET_MISSING));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_vault() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let secrets = Secrets::new([pair("A", "environment")])
            .with_file([pair("A", "file"), pair("B", "file")])
            .with_rules([("B".to_owned(), hosts("file.test")), ("C".to_owned(), hosts("outside.test"))]);
        let all = ["A", "B", "C", "D"].map(|name| (name.to_owned(), stored("vault", hosts("vault.test"))));
        secrets.set_vault(all);
        let said = |name: &str| (secrets.source(name).unwrap(), secrets.get(name).unwrap().to_string());
        assert_eq!(said("A"), (SecretSource::Environment, "environment".to_owned()));
        assert_eq!(said("B"), (SecretSource::File, "file".to_owned()));
        assert_eq!(said("C"), (SecretSource::Vault, "vault".to_owned()));
        assert_eq!([secrets.rules("B"), secrets.rules("C")], [hosts("file.test"), hosts("vault.test")]);

        secrets.set_vault([("C".to_owned(), stored("vault", SecretRules::default()))]);
        assert_eq!(secrets.rules("C"), hosts("outside.test"), "what the vault does not say, the configuration says");
        assert_eq!(secrets.names().into_iter().collect::<Vec<_>>(), ["A", "B", "C"]);
    }

    #[test]
    fn a_secret_of_the_vault_that_cannot_be_read_is_there_and_says_why() {
        let secrets = Secrets::default();
        let value = Err(("another key".to_owned(), "give the key".to_owned()));
        secrets.set_vault([("A".to_owned(), VaultSecret { value, rules: SecretRules::default() })]);
        assert!(secrets.has("A") && secrets.get("A").is_none());
        let error = secrets.release("A", "w", &to("a.test")).unwrap_err();
        assert_eq!((error.code, error.hint.as_deref()), (codes::SECRET_UNREADABLE, Some("give the key")));
        assert!(error.message.ends_with("another key"), "{}", error.message);
    }

    #[test]
    fn former_values_are_hidden_up_to_a_number() {
        let secrets = Secrets::default();
        for number in 0..40 {
            secrets.set_vault([("A".to_owned(), stored(&number.to_string(), SecretRules::default()))]);
        }
        secrets.set_vault([]);
        let (revision, hidden) = secrets.to_hide(&["A".to_owned()]);
        let values: Vec<String> = hidden.iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(values, (24..40).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(revision, 41);
    }
}
