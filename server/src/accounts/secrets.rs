//! Texts that nobody can guess, and what is kept of them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use liteagent_engine::codes;
use sha2::{Digest as _, Sha256};

use super::Refused;
use crate::store::TokenHash;

/// The fewest characters of a secret of the server.
const LEAST: usize = 32;
/// The fewest different ones.
const LEAST_DIFFERENT: usize = 8;
/// What stands in examples, without what is no letter or digit.
const WELL_KNOWN: [&str; 4] =
    ["yoursecretkey", "your256bitsecret", "changeme", "sk9f73s3ljtxvcmt3blb3ljtqtskighxvcmt3blbkfjlk7u"];

/// How the keys of programs begin.
pub(super) const KEY: &str = "la_";
/// How the secret of a link begins that makes the first owner.
pub(super) const FIRST_OWNER_LINK: &str = "lo_";
/// How the secret of a link begins that sets a password.
pub(super) const PASSWORD_LINK: &str = "lp_";
/// How refresh tokens begin.
pub(super) const REFRESH: &str = "lr_";

/// A text of 256 random bits.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// An id that is no secret, and is never given twice.
pub(super) fn id(prefix: &str) -> String {
    format!("{prefix}_{:032x}", rand::random::<u128>())
}

/// What is stored of a secret.
pub(super) fn hash(secret: &str) -> TokenHash {
    Sha256::digest(secret).into()
}

/// A key that nobody can guess: 256 random bits.
pub fn random_key() -> String {
    random(KEY)
}

/// Refuses a secret of the server that could be guessed; `setting` is where it comes from.
pub(crate) fn check_strength(setting: &str, secret: &str) -> Result<(), Refused> {
    let refused = |why: String| {
        Err(Refused::new(codes::SERVER_SECRET, format!("`{setting}` {why}"))
            .hint("set it to a random text: `openssl rand -hex 32` makes one"))
    };
    let plain: String = secret.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut different: Vec<char> = secret.chars().collect();
    different.sort_unstable();
    different.dedup();
    if WELL_KNOWN.iter().any(|known| plain.replace(known, "").len() < plain.len() / 2) {
        return refused("stands in examples: everybody knows it".to_owned());
    }
    if secret.len() < LEAST {
        return refused(format!("has {} characters, and needs {LEAST}", secret.len()));
    }
    if different.len() < LEAST_DIFFERENT {
        return refused(format!("has {} different characters, and needs {LEAST_DIFFERENT}", different.len()));
    }
    Ok(())
}
