//! The Python guest, built from wheels: componentize-py makes a snapshot of CPython in which `guest.py` has run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::{
    BuildError, Result,
    fuse::fuse,
    packages::Packages,
    pip::Pip,
    tools::{Work, replace, run},
};

/// The file name of the guest without packages of users.
pub const FILE: &str = "python.wasm";

/// Its sources: names and texts.
const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/python.rs"));

/// A digest of its sources, and of what builds it.
const KEY: &str = env!("GUEST_SOURCES");

/// How the built guest stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Missing,
    /// Another release built it.
    Other,
    /// It is there.
    Built,
}

/// How the guest in a folder stands.
pub fn state(folder: &Path) -> State {
    match fs::read_to_string(folder.join("python.key")) {
        _ if !folder.join(FILE).is_file() => State::Missing,
        Ok(key) if key == KEY => State::Built,
        _ => State::Other,
    }
}

/// Builds the guest into `folder`, unless it is there already. Says in a line what takes long.
///
/// # Errors
/// When a wheel cannot be had, or a tool fails: the error holds what it said.
pub fn build(folder: &Path, say: impl Fn(&str)) -> Result<PathBuf, BuildError> {
    let guest = folder.join(FILE);
    if state(folder) == State::Built {
        return Ok(guest);
    }
    let work = Work::begin(folder, &say)?;
    if state(folder) == State::Built {
        return Ok(guest); // by the process that was waited for
    }
    let (wasm, _) = componentize(&work, None, &say)?;
    replace(&guest, &wasm)?;
    replace(&folder.join("python.key"), KEY.as_bytes())?;
    Ok(guest)
}

/// Builds the guest with packages of users into `folder`, unless it is there already. Says in a line what takes long, and
/// which of the modules cannot be imported.
///
/// # Errors
/// When the packages do not fit together or to the guest, a wheel cannot be had or is not what was locked, or a tool fails.
pub fn build_with(folder: &Path, packages: &Packages, say: impl Fn(&str)) -> Result<PathBuf, BuildError> {
    let guest = folder.join(packages.guest());
    if packages.is_built(folder) {
        return Ok(guest);
    }
    let work = Work::begin(folder, &say)?;
    if packages.is_built(folder) {
        return Ok(guest); // by the process that was waited for
    }
    let (wasm, told) = componentize(&work, Some(packages), &say)?;
    for (module, why) in &told.failed {
        say(&format!("`{module}` cannot be imported in the sandbox: {why}"));
    }
    replace(&packages.modules_file(folder), (told.modules.join("\n") + "\n").as_bytes())?;
    replace(&guest, &wasm)?;
    Ok(guest)
}

/// The text of a source.
pub(crate) fn source(name: &str) -> &'static str {
    let source = SOURCES.iter().find(|(known, _)| *known == name);
    source.map(|(_, text)| *text).expect("the build script found it")
}

/// The modules of the guest itself.
pub(crate) fn own_modules() -> impl Iterator<Item = &'static str> {
    let bindings = ["componentize_py_async_support", "componentize_py_runtime", "componentize_py_types", "wit_world"];
    let sources = SOURCES.iter().filter_map(|(name, _)| name.strip_suffix(".py"));
    sources.filter(|name| !name.contains('/')).chain(bindings)
}

/// What the guest tells when it is built.
#[derive(Debug, Deserialize)]
struct Told {
    /// The modules of users.
    modules: Vec<String>,
    /// Those that cannot be imported, and why.
    failed: BTreeMap<String, String>,
}

fn componentize(work: &Work, packages: Option<&Packages>, say: impl Fn(&str)) -> Result<(Vec<u8>, Told), BuildError> {
    let pip = Pip::prepare(work, &say)?;
    let built_in = pip.built_in(&say)?;
    let mut folders = vec![work.folder("packages")?];
    pip.unpack(&folders[0], &built_in)?;
    if let Some(packages) = packages {
        let wheels = pip.locked(&packages.lock, &say)?;
        let inspected = pip.inspect(&packages.wanted, &packages.lock, &built_in, &wheels)?;
        let users = work.folder("users")?;
        pip.unpack(&users, &wheels)?;
        // What the packages that are wanted have; what these need is imported with them.
        let modules = packages.wanted.iter().filter_map(|package| inspected.modules.get(&package.name));
        let modules: Vec<&String> = modules.flatten().collect();
        fs::write(users.join("users.json"), serde_json::to_string(&modules).map_err(crate::Error::from)?)?;
        folders.push(users);
    }

    say("making a snapshot of Python: half a minute");
    // CPython writes what it compiles beside what it reads, and the guest what it tells: so they get a copy.
    let app = work.folder("app")?;
    for (name, text) in SOURCES {
        let path = app.join(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder"))?;
        fs::write(path, text)?;
    }
    // Without an environment of its own, componentize-py takes the packages of this machine into the snapshot.
    let empty = work.path("empty");
    run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&empty))?;
    let component = work.path("guest.wasm");
    let mut command = pip.program("componentize-py");
    command.env("VIRTUAL_ENV", &empty).arg("-d").arg(app.join("wit")).args(["-w", "guest", "componentize", "guest"]);
    for folder in [&app].into_iter().chain(&folders) {
        command.arg("-p").arg(folder);
    }
    run(command.arg("-o").arg(&component))?;
    let told = serde_json::from_slice(&fs::read(app.join("told.json"))?).map_err(crate::Error::from)?;
    Ok((fuse(&fs::read(&component)?)?, told))
}
