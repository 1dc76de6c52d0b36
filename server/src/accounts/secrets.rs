//! Texts that nobody can guess, and what is kept of them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::store::TokenHash;

/// How the keys of programs begin.
pub(super) const KEY: &str = "la_";
/// How the secret of a link begins that makes the first owner.
pub(super) const FIRST_OWNER_LINK: &str = "lo_";
/// How the secret of a link begins that sets a password.
pub(super) const PASSWORD_LINK: &str = "lp_";
/// How refresh tokens begin.
pub(super) const REFRESH: &str = "lr_";

/// A text of 256 random bits.
pub(super) fn random(prefix: &str) -> String {
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
