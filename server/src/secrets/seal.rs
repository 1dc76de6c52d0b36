//! Sealing: XChaCha20-Poly1305 with a key that is derived from `SECRET_KEY`. Name, version and rules are bound to the value:
//! a row that somebody changed or moved cannot be opened.

use std::sync::Arc;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use liteagent_engine::codes;

use super::{SecretKeys, VaultError};
use crate::{accounts::Refused, store::SecretRow};

const SEAL: &str = "liteagent: secrets of the vault, 1";
const ID: &str = "liteagent: id of a key of the vault, 1";
/// Bytes of the nonce, which stands before what is sealed.
const NONCE: usize = 24;

/// The keys of the vault.
pub(super) struct Sealer {
    keys: Vec<(String, XChaCha20Poly1305)>,
    has_current: bool,
}

impl Sealer {
    pub(super) fn new(keys: &SecretKeys) -> Self {
        let named = keys.all().map(|key| {
            let [a, b, c, d, ..] = key.derive(ID);
            let id = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
            (id, XChaCha20Poly1305::new(&key.derive(SEAL).into()))
        });
        Self { keys: named.collect(), has_current: keys.current.is_some() }
    }

    /// Seals a value into its row, with the current key.
    pub(super) fn seal(&self, row: SecretRow, value: &str) -> Result<SecretRow, VaultError> {
        let Some((id, cipher)) = self.keys.first().filter(|_| self.has_current) else {
            return Err(Refused::new(codes::SERVER_SECRET, "nothing can be put into the vault without `SECRET_KEY`")
                .hint("set it to a random text: `export SECRET_KEY=$(openssl rand -hex 32)`")
                .into());
        };
        let nonce = XNonce::generate();
        let sealed = cipher
            .encrypt(&nonce, Payload { msg: value.as_bytes(), aad: &bound(&row) })
            .expect("a secret is far shorter than the cipher can take");
        Ok(SecretRow { key: id.clone(), sealed: [&nonce[..], &sealed].concat(), ..row })
    }

    /// The value of a row; or why it cannot be read, and what to do about it.
    pub(super) fn open(&self, row: &SecretRow) -> Result<Arc<str>, (String, String)> {
        let Some((_, cipher)) = self.keys.iter().find(|(id, _)| *id == row.key) else {
            let why = match &*self.keys {
                [] => "it is sealed, and `SECRET_KEY` is not set".to_owned(),
                [(id, _), ..] => format!("it is sealed with the key {}, and `SECRET_KEY` is {id}", row.key),
            };
            let hint = "set `SECRET_KEY` to the key that sealed it; or set `SECRET_KEY_PREVIOUS` to that one and run \
                        `liteagent secrets rotate`";
            return Err((why, hint.to_owned()));
        };
        let changed = || {
            let hint = format!("delete it, and set it again: `liteagent secrets delete {}`", row.name);
            ("its row was changed by somebody else than this program".to_owned(), hint)
        };
        let (nonce, sealed) = row.sealed.split_at_checked(NONCE).ok_or_else(changed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| changed())?;
        let value = cipher.decrypt(&nonce, Payload { msg: sealed, aad: &bound(row) }).map_err(|_| changed())?;
        String::from_utf8(value).map(Arc::from).map_err(|_| changed())
    }

    /// Whether a row is sealed with the current key.
    pub(super) fn is_current(&self, row: &SecretRow) -> bool {
        self.has_current && self.keys.first().is_some_and(|(id, _)| *id == row.key)
    }
}

/// What is bound to the value of a row.
fn bound(row: &SecretRow) -> Vec<u8> {
    serde_json::json!([1, row.name, row.version, row.hosts, row.workflows]).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::SecretKey;

    fn keys(current: &str, previous: Option<&str>) -> Sealer {
        let key =
            |text: &str| SecretKey::new("SECRET_KEY", &format!("{text}-0123456789-abcdefghijklmnopqrstuvw")).unwrap();
        Sealer::new(&SecretKeys { current: Some(key(current)), previous: previous.map(key) })
    }

    fn row(sealer: &Sealer) -> SecretRow {
        let row = SecretRow {
            name: "TOKEN".to_owned(),
            version: 3,
            key: String::new(),
            sealed: Vec::new(),
            hosts: Some(vec!["a.test".to_owned()]),
            workflows: None,
            description: None,
            created_at: 1,
            created_by: "ada".to_owned(),
            updated_at: 1,
            updated_by: "ada".to_owned(),
        };
        sealer.seal(row, "s3cret").unwrap()
    }

    #[test]
    fn only_the_same_row_under_the_same_key_is_opened() {
        let sealer = keys("one", None);
        let sealed = row(&sealer);
        assert_eq!(&*sealer.open(&sealed).unwrap(), "s3cret");
        assert_ne!(row(&sealer).sealed, sealed.sealed, "the same value never looks the same");
        assert!(!sealed.sealed.windows(6).any(|window| window == b"s3cret"));

        let mut bent = sealed.sealed.clone();
        *bent.last_mut().unwrap() ^= 1;
        let of = |change: fn(&mut SecretRow)| {
            let mut row = sealed.clone();
            change(&mut row);
            row
        };
        for (what, row) in [
            ("another name", of(|row| row.name = "OTHER".to_owned())),
            ("an older version", of(|row| row.version = 2)),
            ("more hosts", of(|row| row.hosts = None)),
            ("fewer workflows", of(|row| row.workflows = Some(Vec::new()))),
            ("half a value", of(|row| row.sealed.truncate(30))),
            ("no value", of(|row| row.sealed.clear())),
            ("a bent value", SecretRow { sealed: bent, ..sealed.clone() }),
        ] {
            let (why, hint) = sealer.open(&row).unwrap_err();
            assert!(why.contains("was changed") && hint.contains("secrets delete"), "{what}: {why}");
        }
    }

    #[test]
    fn keys_are_told_apart() {
        let (old, new) = (keys("one", None), keys("two", Some("one")));
        let sealed = row(&old);
        assert_eq!(&*new.open(&sealed).unwrap(), "s3cret");
        assert!(old.is_current(&sealed) && !new.is_current(&sealed));
        let (why, hint) = keys("two", None).open(&sealed).unwrap_err();
        assert!(why.contains(&sealed.key) && hint.contains("SECRET_KEY_PREVIOUS"), "{why}");
        let (why, _) = Sealer::new(&SecretKeys::default()).open(&sealed).unwrap_err();
        assert!(why.contains("`SECRET_KEY` is not set"), "{why}");
    }
}
