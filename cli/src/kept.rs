//! Texts that are made once and kept in the data folder, for their owner alone: keys.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// What a file keeps; what `make` gives, when it is not there.
///
/// # Errors
/// When others may read or write the file, or it cannot be read or made.
pub(crate) fn read_or_make(path: &Path, make: fn() -> String) -> io::Result<String> {
    match OpenOptions::new().read(true).open(path) {
        Ok(mut file) => {
            if file.metadata()?.mode() & 0o077 != 0 {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read or write it"));
            }
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(text.trim_end().to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => keep(path, make),
        Err(error) => Err(error),
    }
}

/// Makes a text and keeps it in a file that is there with the whole of it or not at all.
fn keep(path: &Path, make: fn() -> String) -> io::Result<String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}-{}", std::process::id()));
    let text = make();
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| writeln!(file, "{text}"))
        // A process that was started at the same moment may have been first: what it made stays.
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_or_make(path, make),
        written => written.map(|()| text),
    }
}
