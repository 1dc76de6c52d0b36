//! Files that are written.

use std::{fs, io::Write as _, path::Path};

use liteagent_engine::codes;

use crate::failure::Failure;

/// Replaces a file at once: whatever happens, a full disk too, either the old or the new text stands there. Links and
/// permissions stay.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        let path = path.canonicalize()?;
        let permissions = fs::metadata(&path)?.permissions();
        let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(permissions)?;
        new.as_file().sync_all()?;
        new.persist(&path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()))
            .hint("look at the permissions of the folder, and at the room on the disk; the file is as it was")
    })
}

/// Writes a file, or replaces it at once.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        return replace(path, text);
    }
    fs::write(path, text).map_err(|error| {
        Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()))
            .hint("look at the permissions of the folder, and at the room on the disk")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_permissions() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.yaml"), folder.path().join("link.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(&folder.path().join("missing"), "x").is_err());
    }
}
