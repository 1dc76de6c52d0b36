//! The key of the service: from the environment, or made and kept for a service that only this machine reaches.

use std::path::{Path, PathBuf};

use liteagent_engine::codes;
use liteagent_sandbox_service::ApiKey;

use crate::{failure::Failure, kept};

/// The file in the data folder that keeps a key that was made.
pub(crate) const FILE: &str = "sandbox-key";

/// A key, and the file that keeps it where it was made.
pub(crate) type Kept = (ApiKey, Option<PathBuf>);

/// The key of `SANDBOX_API_KEY`; without one, on loopback, the key kept in the data folder.
pub(crate) fn find(given: Option<&str>, is_loopback: bool, data: &Path) -> Result<Kept, Failure> {
    if let Some(key) = given {
        return check(key).map(|key| (key, None));
    }
    if !is_loopback {
        return Err(Failure::usage(
            codes::SANDBOX_NO_KEY,
            "a sandbox that other machines reach needs a key, and `SANDBOX_API_KEY` is not set",
        )
        .hint("set it to a random text: `export SANDBOX_API_KEY=$(openssl rand -hex 32)`"));
    }
    let path = data.join(FILE);
    let key = kept::read_or_make(&path, ApiKey::generate).map_err(|error| {
        Failure::usage(
            codes::SANDBOX_NO_KEY,
            format!("the key of the sandbox `{}` cannot be used: {error}", path.display()),
        )
        .hint("set `SANDBOX_API_KEY`, or delete the file: another key is made")
    })?;
    check(&key).map(|key| (key, Some(path)))
}

fn check(key: &str) -> Result<ApiKey, Failure> {
    ApiKey::new(key).map_err(|why| {
        Failure::usage(codes::SANDBOX_KEY_REFUSED, format!("the key of the sandbox is refused: {why}"))
            .hint("set `SANDBOX_API_KEY` to a random text: `openssl rand -hex 32` makes one")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (key, path) = find(None, true, &data).unwrap();
        let path = path.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(key.matches(text.trim_end().as_bytes()));
        assert!(find(None, true, &data).unwrap().0.matches(text.trim_end().as_bytes()));
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = find(None, true, &data).unwrap_err();
        assert_eq!(refused.code, Some(codes::SANDBOX_NO_KEY));
        assert!(refused.message.ends_with("others may read or write it"), "{}", refused.message);
    }

    #[test]
    fn a_key_that_everybody_knows_and_none_at_all_are_refused() {
        let refused = |key, is_loopback| find(key, is_loopback, Path::new("nowhere")).unwrap_err();
        assert_eq!(refused(Some("dify-sandbox"), true).code, Some(codes::SANDBOX_KEY_REFUSED));
        assert_eq!(refused(Some("short"), false).code, Some(codes::SANDBOX_KEY_REFUSED));
        assert_eq!(refused(None, false).code, Some(codes::SANDBOX_NO_KEY));
        assert!(find(Some("a-long-enough-key-0123"), false, Path::new("nowhere")).unwrap().1.is_none());
    }
}
