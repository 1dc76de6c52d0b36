//! The compiled form of a guest: made once for a machine, then mapped into memory.
//!
//! Compiled code is executed as it is. So it is only loaded from a file that nobody but its owner, the user of this process,
//! can have written, in a folder of which the same holds; its name holds the digest of the guest and the engine's settings.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

/// A guest's module for `engine`: loaded if it was compiled before, else compiled and kept.
pub(crate) fn load(
    engine: &Engine,
    name: &str,
    wasm: &[u8],
    folder: &Path,
    progress: fn(&str),
) -> wasmtime::Result<Module> {
    let path = folder.join(file_name(engine, name, wasm));
    match open(engine, &path) {
        Ok(Some(module)) => return Ok(module),
        Ok(None) => {}
        Err(error) => tracing::warn!("{} cannot be used, compiling anew: {error}", path.display()),
    }
    progress(&format!("compiling {name} for this machine, once: up to a minute"));
    let compiled = engine.precompile_module(wasm)?;
    match keep(&path, &compiled).map_err(wasmtime::Error::from).and_then(|()| open(engine, &path)) {
        Ok(Some(module)) => Ok(module),
        kept => {
            let why = kept.err().map_or_else(|| "the file vanished".into(), |error| error.to_string());
            tracing::warn!("{} could not be kept, so the next start compiles again: {why}", path.display());
            Module::new(engine, wasm)
        }
    }
}

/// The name of the compiled file: it changes with the guest, with wasmtime, its settings, and the processor.
fn file_name(engine: &Engine, name: &str, wasm: &[u8]) -> String {
    let mut settings = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut settings);
    let digest = format!("{:x}", Sha256::digest(wasm));
    format!("{name}-{}-{:016x}.cwasm", &digest[..16], settings.finish())
}

/// Loads a compiled module; `None` when there is none.
fn open(engine: &Engine, path: &Path) -> wasmtime::Result<Option<Module>> {
    if !path.try_exists()? {
        return Ok(None);
    }
    for checked in path.ancestors().take(2) {
        own(checked)?;
    }
    #[expect(unsafe_code, reason = "loading compiled code is what makes a start fast")]
    // SAFETY: the file was written by `keep` with what `precompile_module` gave for these settings: its name says so, and
    // only the user of this process can have written it or put it there.
    let module = unsafe { Module::deserialize_file(engine, path)? };
    Ok(Some(module))
}

/// Refuses what someone else could have written.
fn own(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let refused = if metadata.file_type().is_symlink() {
        "it is a link"
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if metadata.mode() & 0o022 != 0 {
        "others may write to it"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {refused}", path.display())))
}

/// Writes a compiled module under its name once it is complete.
fn keep(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    own(folder)?;
    let (draft, mut file) = create_draft(path)?;
    let written = file.write_all(compiled).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft); // the first error is the one to tell
    }
    written
}

fn create_draft(path: &Path) -> io::Result<(PathBuf, File)> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    Ok((draft, file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_compiled_guest_that_others_could_have_written_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let compiled = folder.path().join("compiled");
        let engine = Engine::default();
        load(&engine, "empty", EMPTY, &compiled, |_| {}).unwrap();
        let path = compiled.join(file_name(&engine, "empty", EMPTY));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&compiled).unwrap().mode() & 0o777, 0o700);
        assert!(open(&engine, &path).unwrap().is_some());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let refused = open(&engine, &path).unwrap_err().to_string();
        assert!(refused.ends_with("others may write to it"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&compiled, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open(&engine, &path).is_err());
        load(&engine, "empty", EMPTY, &compiled, |_| {}).unwrap(); // compiled anew, in memory
    }
}
