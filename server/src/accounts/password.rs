//! Passwords: what they must be, and how they are kept.

use std::{sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use liteagent_engine::{codes, store::StoreError};
use tokio::sync::Semaphore;

use super::Refused;

/// The fewest characters of a password.
const LEAST: usize = 12;
/// The most bytes of a password: more would only cost time.
const MOST: usize = 512;
/// The memory of one hash, in KiB, and how often it is passed through: what OWASP asks of Argon2id with one lane.
const MEMORY: u32 = 19 * 1_024;
const PASSES: u32 = 2;
/// The salt of the hash that is computed where there is no password to compare with.
const NOBODY: &[u8; 16] = b"nobody-signs-in!";

/// Hashes passwords, on half of the cores at most: each takes 19 MiB and some ten milliseconds.
pub(super) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.div_ceil(2))))
    }

    /// What is stored of a password: a PHC string.
    pub(super) async fn hash(&self, password: String) -> Result<String, StoreError> {
        self.compute(move || argon2().hash_password(password.as_bytes()).map(|hash| hash.to_string())).await
    }

    /// Whether a password is the stored one. It takes as long when there is none.
    pub(super) async fn matches(&self, password: String, stored: Option<String>) -> Result<bool, StoreError> {
        self.compute(move || match stored {
            Some(stored) => {
                let stored = PasswordHash::new(&stored)?;
                match argon2().verify_password(password.as_bytes(), &stored) {
                    Ok(()) => Ok(true),
                    Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            None => argon2().hash_password_with_salt(password.as_bytes(), NOBODY).map(|_| false),
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(format!("a password hash: {error}"));
        let permit = self.0.clone().acquire_owned().await.map_err(|error| failed(&error))?;
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        computed.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, 1, None).expect("these are within what Argon2 allows");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Refuses a password that could be guessed.
pub(super) fn check(password: &str, email: &str) -> Result<(), Refused> {
    let refused = |message: String| {
        Refused::new(codes::WEAK_PASSWORD, message).hint("several words are easy to keep in mind and hard to guess")
    };
    let count = password.chars().count();
    if count < LEAST {
        return Err(refused(format!("expected a password of at least {LEAST} characters, found {count}")));
    }
    if password.len() > MOST {
        return Err(refused(format!("expected a password of at most {MOST} bytes, found {}", password.len())));
    }
    let first = password.chars().next();
    if password.chars().all(|letter| Some(letter) == first) {
        return Err(refused("expected a password of different characters, found one that is repeated".to_owned()));
    }
    if password.eq_ignore_ascii_case(email) {
        return Err(refused("expected a password, found the e-mail address".to_owned()));
    }
    Ok(())
}

/// An e-mail address as it is stored: in small letters.
pub(super) fn address(email: &str) -> Result<String, Refused> {
    /// The longest that mail servers take.
    const LONGEST: usize = 254;
    let email = email.trim().to_lowercase();
    let is_whole =
        email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if is_whole && email.len() <= LONGEST && !email.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(email);
    }
    Err(Refused::new(codes::REQUEST_BODY, format!("expected an e-mail address, found `{email}`"))
        .hint("write it as `name@example.org`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_guessed_is_refused_with_what_was_expected() {
        let said = |password: &str| check(password, "ada@example.org").err().map(|refused| refused.message);
        assert_eq!(said("correct horse"), None);
        assert_eq!(said("пароль подлинней"), None);
        assert_eq!(said("short").unwrap(), "expected a password of at least 12 characters, found 5");
        assert_eq!(said(&"x1".repeat(300)).unwrap(), "expected a password of at most 512 bytes, found 600");
        assert!(said("aaaaaaaaaaaaaaaa").unwrap().contains("repeated"));
        assert!(said("Ada@Example.org").unwrap().contains("e-mail"));
    }

    #[test]
    fn addresses_are_kept_in_small_letters() {
        assert_eq!(address(" Ada@Example.org ").unwrap(), "ada@example.org");
        for wrong in ["", "ada", "@b", "a@", "a@b@c", "a b@c", "a\n@b"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_a_salt_of_its_own() {
        let passwords = Passwords::new();
        let one = passwords.hash("correct horse".to_owned()).await.unwrap();
        let two = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert!(passwords.matches("correct horse".to_owned(), Some(one.clone())).await.unwrap());
        assert!(!passwords.matches("correct horses".to_owned(), Some(one)).await.unwrap());
        assert!(!passwords.matches("correct horse".to_owned(), None).await.unwrap());
    }
}
