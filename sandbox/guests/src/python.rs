//! The Python guest, built from wheels: componentize-py makes a snapshot of CPython in which `guest.py` has run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    fuse::fuse,
    sources,
    tools::{digest, files, replace, run},
};

/// The file name of the guest.
pub const FILE: &str = "python.wasm";

/// The guest is built for one kind of machine, whatever machine builds it, so the wheels are always the same.
const WHEELS: &[&str] = &[
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--python-version",
    "3.14",
    "--implementation",
    "cp",
    "--abi",
    "cp314",
    "--abi",
    "none",
    "--platform",
    "manylinux2014_x86_64",
    "--platform",
    "any",
];

/// Builds the guest into `folder`, unless it is there already. Says so in a line when it has to.
///
/// # Errors
/// When a wheel cannot be had, or the build fails: the error holds what the tool said.
pub fn build(folder: &Path, say: impl Fn(&str)) -> Result<PathBuf> {
    let guest = folder.join(FILE);
    let kept_key = folder.join("python.key");
    let key = key()?;
    if guest.is_file() && fs::read_to_string(&kept_key).is_ok_and(|kept| kept == key) {
        return Ok(guest);
    }
    say("building the Python guest: 55 MB of wheels, about a minute");
    let work = folder.join("build");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let component = componentize(&work)?;
    replace(&guest, &fuse(&component)?)?;
    replace(&kept_key, key.as_bytes())?;
    fs::remove_dir_all(&work)?;
    Ok(guest)
}

/// What the guest is made of, as a digest.
fn key() -> Result<String> {
    let mut parts = files(&sources().join("python"), &["py", "txt"])?;
    parts.extend(files(&sources().join("python/wit"), &["wit"])?);
    parts.extend(files(&sources().join("src"), &["rs"])?);
    parts.extend(files(&sources().join("src/fuse"), &["rs"])?);
    Ok(digest(parts.iter().map(Vec::as_slice)))
}

fn componentize(work: &Path) -> Result<Vec<u8>> {
    let python = sources().join("python");
    let tools = work.join("tools");
    run(Command::new("python3").args(["-m", "venv"]).arg(&tools))?;
    let pip = || {
        let mut pip = Command::new(tools.join("bin/pip"));
        pip.args(["--quiet", "--disable-pip-version-check"]);
        pip
    };
    run(pip().args(["install", "--no-deps", "--require-hashes", "-r"]).arg(python.join("tools.txt")))?;

    let wheels = work.join("wheels");
    run(pip().arg("download").args(WHEELS).arg("-d").arg(&wheels).arg("-r").arg(python.join("packages.txt")))?;
    let packages = work.join("packages");
    for wheel in fs::read_dir(&wheels)? {
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel?.path()).arg(&packages))?;
    }
    remove_native(&packages)?;

    // CPython writes what it compiles beside what it reads: so it reads a copy.
    let app = work.join("app");
    fs::create_dir(&app)?;
    for entry in fs::read_dir(&python)? {
        let source = entry?.path();
        if let (Some("py"), Some(name)) = (source.extension().and_then(|ending| ending.to_str()), source.file_name()) {
            fs::copy(&source, app.join(name))?;
        }
    }

    // Without an environment of its own, componentize-py takes the packages of this machine into the snapshot.
    let empty = work.join("empty");
    run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&empty))?;
    let component = work.join("guest.wasm");
    run(Command::new(tools.join("bin/componentize-py"))
        .env("VIRTUAL_ENV", &empty)
        .arg("-d")
        .arg(python.join("wit"))
        .args(["-w", "guest", "componentize", "guest", "-p"])
        .arg(&app)
        .arg("-p")
        .arg(&packages)
        .arg("-o")
        .arg(&component))?;
    Ok(fs::read(component)?)
}

/// Removes code for machines: the packages go on in Python.
fn remove_native(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_native(&path)?;
        } else if path.extension().is_some_and(|ending| ending == "so") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
