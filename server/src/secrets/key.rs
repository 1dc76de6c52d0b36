//! `SECRET_KEY`, and the keys that are made of it.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use crate::accounts::{Refused, check_strength, random_text};

/// What secrets are sealed and links to files signed with: `SECRET_KEY`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

impl SecretKey {
    /// Takes the value of a setting of this name.
    ///
    /// # Errors
    /// When it could be guessed.
    pub fn new(setting: &str, text: &str) -> Result<Self, Refused> {
        check_strength(setting, text)?;
        Ok(Self(text.to_owned()))
    }

    /// A text for a new one: 256 random bits.
    pub fn generate() -> String {
        random_text("sk-")
    }

    /// A key for one purpose: from one of another purpose nothing can be told about it.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, self.0.as_bytes())
            .expand(purpose.as_bytes(), &mut key)
            .expect("32 bytes are no more than a hash can give");
        key
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The keys that a process has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretKeys {
    /// What is sealed and signed from now on; without it nothing is.
    pub current: Option<SecretKey>,
    /// What was sealed and signed before: `SECRET_KEY_PREVIOUS`.
    pub previous: Option<SecretKey>,
}

impl SecretKeys {
    /// A key that ends with the process.
    pub fn random() -> Self {
        Self { current: Some(SecretKey(SecretKey::generate())), previous: None }
    }

    /// Every key, the current one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SecretKey> {
        self.current.iter().chain(&self.previous)
    }
}
