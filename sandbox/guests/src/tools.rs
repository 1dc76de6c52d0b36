//! Running programs, digests, and a place to work in.

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The folder of the guests while something is built there: by one process at a time, in a folder of its own.
pub(crate) struct Work {
    /// The folder of the guests.
    pub(crate) guests: PathBuf,
    path: PathBuf,
    _alone: File,
}

impl Work {
    /// Begins, after others have ended.
    pub(crate) fn begin(guests: &Path, say: impl Fn(&str)) -> Result<Self> {
        let failed = |error: &dyn Display| format!("cannot work in `{}`: {error}", guests.display());
        fs::create_dir_all(guests).map_err(|error| failed(&error))?;
        let alone = File::create(guests.join("lock")).map_err(|error| failed(&error))?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say("waiting for another process that builds guests");
                alone.lock().map_err(|error| failed(&error))?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error).into()),
        }
        let path = guests.join("build");
        if path.exists() {
            fs::remove_dir_all(&path)?; // of a process that was killed
        }
        fs::create_dir(&path)?;
        Ok(Self { guests: guests.to_owned(), path, _alone: alone })
    }

    /// A path in the folder that goes away in the end.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new folder there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path); // who begins next removes what is left
    }
}

/// Runs a program; when it fails, the error holds what it said.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = output(command)?;
    if output.status.success() { Ok(()) } else { Err(failed(command, &output)) }
}

/// Runs a program to its end, whether it is good or not.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.map_err(|error| format!("cannot run `{}`: {error}", command.get_program().display()).into())
}

/// That a program failed, with what it said.
pub(crate) fn failed(command: &Command, output: &Output) -> Error {
    let said = [&*output.stdout, &*output.stderr].concat();
    let program = command.get_program().display();
    format!("`{program}` failed ({}):\n{}", output.status, String::from_utf8_lossy(&said)).into()
}

/// The digest of some texts, in hexadecimal.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    format!("{:x}", digest.finalize())
}

/// The SHA-256 of a file's content, as tools print it.
pub(crate) fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// The contents of the files of a folder with these endings, in a fixed order.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| endings.iter().any(|known| *known == ending)));
    paths.sort_unstable();
    paths.iter().map(|path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())).collect()
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, content)?;
    fs::rename(&draft, path)?;
    Ok(())
}
