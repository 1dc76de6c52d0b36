//! Texts that are made once and kept in the data folder, for their owner alone: keys.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What a file keeps; what `make` gives, when it is not there.
///
/// # Errors
/// When others may read or write the file, or it cannot be read or made.
pub(crate) fn read_or_make(path: &Path, make: fn() -> String) -> io::Result<String> {
    match read(path)? {
        Some(text) => Ok(text),
        None => keep(path, make),
    }
}

/// What a file keeps; `None` when it is not there.
///
/// # Errors
/// When others may read or write the file, or it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    match OpenOptions::new().read(true).open(path) {
        Ok(mut file) => {
            if file.metadata()?.mode() & 0o077 != 0 {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read or write it"));
            }
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Some(text.trim_end().to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a text into a file, whatever it held.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = draft(path, text)?;
    fs::rename(&draft, path).inspect_err(|_| {
        // The draft is of no use to anyone.
        let _ = fs::remove_file(&draft);
    })
}

/// Makes a text and keeps it in a file that is there with the whole of it or not at all.
fn keep(path: &Path, make: fn() -> String) -> io::Result<String> {
    let text = make();
    let draft = draft(path, &text)?;
    // A process that was started at the same moment may have been first: what it made stays.
    let linked = fs::hard_link(&draft, path);
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_or_make(path, make),
        linked => linked.map(|()| text),
    }
}

/// A file beside another that holds a text for its owner alone.
fn draft(path: &Path, text: &str) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let written = options.write(true).create(true).truncate(true).mode(0o600).open(&draft);
    written.and_then(|mut file| writeln!(file, "{text}")).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })?;
    Ok(draft)
}
