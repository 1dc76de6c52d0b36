//! The key that callers show.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The fewest characters of a key.
const LEAST: usize = 16;
/// The fewest different characters of a key.
const LEAST_DIFFERENT: usize = 6;

/// Keys of examples and of Dify's own installation, in lower case and without signs.
const WELL_KNOWN: [&str; 18] = [
    "0123456789abcdef",
    "1234567890123456",
    "admin",
    "apikey",
    "changeme",
    "changemechangeme",
    "default",
    "difysandbox",
    "difysandboxapikey",
    "liteagent",
    "liteagentsandbox",
    "password",
    "sandbox",
    "sandboxapikey",
    "secret",
    "secretkey",
    "yourapikeyhere",
    "yoursandboxapikey",
];

/// The key of a service, of which only the digest is kept.
#[derive(Clone)]
pub struct ApiKey([u8; 32]);

/// Why a key is not good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// It stands in examples: everybody knows it.
    WellKnown,
    /// It has fewer than 16 characters.
    Short,
    /// It has fewer than six different characters.
    Plain,
    /// It has characters that no header can carry.
    Unsendable,
}

impl ApiKey {
    /// Takes a key.
    ///
    /// # Errors
    /// When it could be guessed.
    pub fn new(key: &str) -> Result<Self, KeyRefused> {
        let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let mut different: Vec<char> = key.chars().collect();
        different.sort_unstable();
        different.dedup();
        if WELL_KNOWN.contains(&plain.as_str()) {
            Err(KeyRefused::WellKnown)
        } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(KeyRefused::Unsendable)
        } else if key.len() < LEAST {
            Err(KeyRefused::Short)
        } else if different.len() < LEAST_DIFFERENT {
            Err(KeyRefused::Plain)
        } else {
            Ok(Self(digest(key.as_bytes())))
        }
    }

    /// A new key of 256 random bits.
    pub fn generate() -> String {
        let bytes: [u8; 32] = rand::random();
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("sandbox-{digits}")
    }

    /// Whether a caller's key is this one. It takes as long whatever the caller's key is.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(&digest(shown)).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WellKnown => f.write_str("it stands in examples, so everybody knows it"),
            Self::Short => write!(f, "expected at least {LEAST} characters"),
            Self::Plain => write!(f, "expected at least {LEAST_DIFFERENT} different characters"),
            Self::Unsendable => f.write_str("expected letters, digits and signs of ASCII, without spaces"),
        }
    }
}

impl std::error::Error for KeyRefused {}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        let refused = |key| ApiKey::new(key).map(|_| ()).unwrap_err();
        for key in ["dify-sandbox", "secret", "changeme", "Change_Me-ChangeMe", "your-api-key-here", "1234567890123456"]
        {
            assert_eq!(refused(key), KeyRefused::WellKnown, "{key}");
        }
        assert_eq!(refused("fifteen-letters"), KeyRefused::Short);
        assert_eq!(refused(""), KeyRefused::Short);
        assert_eq!(refused("aaaaaaaaaaaaaaaabbbbb"), KeyRefused::Plain);
        assert_eq!(refused("a key of many words"), KeyRefused::Unsendable);
        assert_eq!(refused("schlüssel-mit-umlaut"), KeyRefused::Unsendable);
    }

    #[test]
    fn only_the_same_key_matches() {
        let text = ApiKey::generate();
        let key = ApiKey::new(&text).unwrap();
        assert!(key.matches(text.as_bytes()));
        for wrong in ["", "sandbox-", &text[1..], &text.to_uppercase(), &format!("{text}0")] {
            assert!(!key.matches(wrong.as_bytes()), "{wrong}");
        }
        assert_ne!(text, ApiKey::generate());
        assert_eq!(format!("{key:?}"), "ApiKey(..)");
    }
}
