//! `SECRET_KEY`: what the vault is sealed with, and links to files are signed with.

use std::path::Path;

use liteagent_engine::codes;
use liteagent_server::{Refused, SecretKey, SecretKeys};

use super::setting;
use crate::{failure::Failure, kept, sandbox};

/// The file in the data folder that keeps the key of whoever develops on this machine.
const FILE: &str = "secret-key";
/// The settings.
const CURRENT: &str = "SECRET_KEY";
const PREVIOUS: &str = "SECRET_KEY_PREVIOUS";

/// How the keys are come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// What is set, and what the data folder keeps: enough to open what is sealed.
    Known,
    /// On a developer's machine a key is made and kept, where there is none; in production one must be set.
    Needed {
        /// Whether it is production.
        is_production: bool,
    },
}

impl Keys {
    /// What is needed by a command that is no server.
    pub(crate) fn needed() -> Result<Self, Failure> {
        Ok(Self::Needed { is_production: sandbox::is_production(setting)? })
    }

    /// The keys of a data folder.
    pub(crate) fn of(self, data: &Path) -> Result<SecretKeys, Failure> {
        self.with(setting(CURRENT).as_deref(), setting(PREVIOUS).as_deref(), data)
    }

    fn with(self, current: Option<&str>, previous: Option<&str>, data: &Path) -> Result<SecretKeys, Failure> {
        let key = |name: &str, text: &str| SecretKey::new(name, text).map_err(refused);
        let previous = previous.map(|text| key(PREVIOUS, text)).transpose()?;
        let path = data.join(FILE);
        let current = match (current, self) {
            (Some(text), _) => Some(key(CURRENT, text)?),
            (None, Self::Needed { is_production: true }) => {
                let message = "in production the vault needs `SECRET_KEY`, and it is not set";
                return Err(Failure::usage(codes::SERVER_SECRET, message).hint(
                    "set it to a random text, the same for every process: `export SECRET_KEY=$(openssl rand -hex 32)`",
                ));
            }
            (None, Self::Known) if !path.exists() => None,
            (None, _) => {
                let text = kept::read_or_make(&path, SecretKey::generate).map_err(|error| {
                    let message = format!("the key of the vault `{}` cannot be used: {error}", path.display());
                    Failure::usage(codes::SERVER_SECRET, message)
                        .hint("let nobody else read or write the file: `chmod 600` does that")
                })?;
                Some(key(CURRENT, &text)?)
            }
        };
        Ok(SecretKeys { current, previous })
    }
}

/// What the server refuses, as commands say it.
pub(crate) fn refused(why: Refused) -> Failure {
    let failure = Failure::usage(why.code, why.message);
    match why.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_key_is_made_once_on_a_developers_machine_and_demanded_in_production() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let developing = Keys::Needed { is_production: false };
        assert_eq!(Keys::Known.with(None, None, &data).unwrap(), SecretKeys::default());
        assert!(!data.exists(), "who only reads makes nothing");

        let made = developing.with(None, None, &data).unwrap();
        assert!(made.current.is_some());
        assert_eq!(fs::metadata(data.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(developing.with(None, None, &data).unwrap(), made);
        assert_eq!(Keys::Known.with(None, None, &data).unwrap(), made);

        let code = |current: Option<&str>, previous: Option<&str>, keys: Keys| {
            keys.with(current, previous, &data).unwrap_err().code
        };
        assert_eq!(code(None, None, Keys::Needed { is_production: true }), Some(codes::SERVER_SECRET));
        for weak in
            ["changeme", "your-secret-key-your-secret-key-your-secret-key", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(code(Some(weak), None, developing), Some(codes::SERVER_SECRET), "{weak}");
            assert_eq!(code(None, Some(weak), developing), Some(codes::SERVER_SECRET), "{weak}");
        }
        let (current, previous) = (SecretKey::generate(), SecretKey::generate());
        let set = developing.with(Some(&current), Some(&previous), &data).unwrap();
        assert_ne!(set.current, made.current, "what is set wins");
        assert!(set.previous.is_some());
        fs::set_permissions(data.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(code(None, None, developing), Some(codes::SERVER_SECRET), "others may have read it");
    }
}
