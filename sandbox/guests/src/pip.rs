//! Finds, checks and keeps wheels: pip, in an environment of its own.
//!
//! Wheels are kept under their digests, so that a guest that was built once can be built again without a network.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::{
    BuildError, Kind, Result,
    packages::{Lock, Package, Pin, built_in, normal},
    python::{own_modules, source},
    tools::{self, Work, digest, output, run, sha256},
};

mod refusal;

/// The guest is built for one kind of machine, whatever machine builds it, so the wheels are always the same.
const GUEST: &[&str] = &[
    "--only-binary=:all:",
    "--python-version",
    "3.14",
    "--implementation",
    "cp",
    "--abi",
    "none",
    "--platform",
    "any",
];
/// Packages that are built in may have code for that machine, without which they go on in Python.
const NATIVE: &[&str] = &["--abi", "cp314", "--platform", "manylinux2014_x86_64"];

/// pip, and what the builder has to do with wheels in Python.
pub(crate) struct Pip<'a> {
    work: &'a Work,
    /// The folder of the environment.
    environment: PathBuf,
    script: PathBuf,
}

/// What is found in the wheels of users.
#[derive(Debug, Deserialize)]
pub(crate) struct Inspected {
    /// The files with code for a machine, by package.
    natives: BTreeMap<String, Vec<String>>,
    /// The top-level modules, by package.
    pub(crate) modules: BTreeMap<String, Vec<String>>,
    /// What a package needs and does not find, as sentences.
    unmet: Vec<String>,
    /// Packages that are locked, and that nothing needs.
    unneeded: Vec<String>,
}

impl<'a> Pip<'a> {
    /// Installs the tools, once on a machine.
    pub(crate) fn prepare(work: &'a Work, say: impl Fn(&str)) -> Result<Self, BuildError> {
        let (tools, script) = (source("tools/tools.txt"), source("tools/wheels.py"));
        let environment = work.guests.join("tools").join(&digest([tools.as_bytes()])[..16]);
        let pip = Self { work, environment, script: work.path("wheels.py") };
        fs::write(&pip.script, script)?;
        let ready = pip.environment.join("ready");
        // An environment names the Python that made it, which may have gone.
        let works = || output(pip.python().args(["-c", "import pip"])).is_ok_and(|output| output.status.success());
        if ready.is_file() && works() {
            return Ok(pip);
        }
        say("installing what builds the Python guest, once: 40 MB");
        if pip.environment.exists() {
            fs::remove_dir_all(&pip.environment)?;
        }
        let list = work.path("tools.txt");
        fs::write(&list, tools)?;
        let without_python = |error| {
            BuildError::from(error).hint(
                "this needs Python 3.10 or newer with venv: `sudo apt-get install python3 python3-venv`; and a way to \
                 PyPI, or pip's settings for another index",
            )
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&pip.environment)).map_err(without_python)?;
        let install = ["-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"];
        run(pip.python().args(install).args(["--no-deps", "--require-hashes", "-r"]).arg(&list))
            .map_err(without_python)?;
        fs::write(&ready, "")?;
        Ok(pip)
    }

    /// A program of the environment.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.environment.join("bin").join(name))
    }

    /// The wheels of what is built in.
    pub(crate) fn built_in(&self, say: impl Fn(&str)) -> Result<Vec<PathBuf>, BuildError> {
        self.fetch(&built_in(), NATIVE, say)
    }

    /// The wheels of packages that are locked.
    pub(crate) fn locked(&self, lock: &Lock, say: impl Fn(&str)) -> Result<Vec<PathBuf>, BuildError> {
        self.fetch(lock, &[], say)
    }

    /// Finds what is wanted, with all that it needs beside what is built in.
    pub(crate) fn resolve(&self, wanted: &[Package], say: impl Fn(&str)) -> Result<Lock, BuildError> {
        let built_in_wheels = self.built_in(&say)?;
        let found = self.work.folder("resolved")?;
        let shadows = self.work.folder("shadows")?;
        run(self.wheels("shadow").arg(&shadows).args(&built_in_wheels))?;
        let constraints = self.work.path("constraints.txt");
        let lines: Vec<String> = built_in().0.iter().map(|pin| format!("{}\n", pin.package)).collect();
        fs::write(&constraints, lines.concat())?;

        let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        say(&format!("resolving {}", names.join(", ")));
        let mut download = self.download(&found);
        download.arg("--find-links").arg(&shadows).arg("-c").arg(&constraints).args(&names);
        let output = output(&mut download)?;
        if !output.status.success() {
            return Err(self.refusal(&download, &output));
        }
        let mut pins = Vec::new();
        for wheel in fs::read_dir(&found)? {
            let wheel = wheel?.path();
            let package = package_of(&wheel)?;
            if built_in().find(&package.name).is_none() {
                let digests = vec![self.keep(&wheel)?];
                pins.push(Pin { package, digests });
            }
        }
        pins.sort_unstable();
        let lock = Lock(pins);
        self.inspect(wanted, &lock, &built_in_wheels, &self.locked(&lock, &say)?)?;
        Ok(lock)
    }

    /// Looks into the wheels of users, and refuses what cannot be in a guest.
    pub(crate) fn inspect(
        &self,
        wanted: &[Package],
        lock: &Lock,
        built_in: &[PathBuf],
        users: &[PathBuf],
    ) -> Result<Inspected, BuildError> {
        let names: Vec<&str> = wanted.iter().map(|package| package.name.as_str()).collect();
        let list = |paths: &[PathBuf]| {
            serde_json::to_string(paths).map_err(|error| BuildError::from(crate::Error::from(error)))
        };
        let names = serde_json::to_string(&names).map_err(crate::Error::from)?;
        let mut command = self.wheels("inspect");
        let output = output(command.args([names, list(built_in)?, list(users)?]))?;
        if !output.status.success() {
            return Err(tools::failed(&command, &output).into());
        }
        let inspected: Inspected = serde_json::from_slice(&output.stdout).map_err(crate::Error::from)?;
        inspected.refuse(lock)?;
        Ok(inspected)
    }

    /// Unpacks wheels into a folder.
    pub(crate) fn unpack(&self, folder: &Path, wheels: &[PathBuf]) -> Result<()> {
        run(self.wheels("unpack").arg(folder).args(wheels))
    }

    /// The wheels of a lock: those that are kept, and those that pip downloads.
    fn fetch(&self, lock: &Lock, more: &[&str], say: impl Fn(&str)) -> Result<Vec<PathBuf>, BuildError> {
        let mut missing = lock.clone();
        missing.0.retain(|pin| self.kept(pin).is_none());
        if !missing.0.is_empty() {
            let names: Vec<String> = missing.0.iter().map(|pin| pin.package.to_string()).collect();
            say(&format!("fetching {}", names.join(", ")));
            let (list, found) = (self.work.path("missing.txt"), self.work.folder("fetched")?);
            fs::write(&list, missing.to_string())?;
            let mut download = self.download(&found);
            download.args(["--no-deps", "--require-hashes", "-r"]).arg(&list).args(more);
            let output = output(&mut download)?;
            if !output.status.success() {
                return Err(self.refusal(&download, &output));
            }
            for wheel in fs::read_dir(&found)? {
                self.keep(&wheel?.path())?;
            }
        }
        let there = |pin| {
            self.kept(pin).ok_or_else(|| BuildError::new(Kind::Tool, format!("pip did not fetch {}", pin.package)))
        };
        lock.0.iter().map(there).collect()
    }

    /// Keeps a wheel under its digest.
    fn keep(&self, wheel: &Path) -> Result<String> {
        let digest = sha256(&fs::read(wheel)?);
        let folder = self.store(&digest);
        fs::create_dir_all(&folder)?;
        fs::rename(wheel, folder.join(wheel.file_name().ok_or("a wheel without a name")?))?;
        Ok(digest)
    }

    /// The wheel of a pin, if it is kept and whole.
    fn kept(&self, pin: &Pin) -> Option<PathBuf> {
        let wheel = |digest: &String| {
            let mut entries = fs::read_dir(self.store(digest)).ok()?;
            let wheel = entries.find_map(|entry| Some(entry.ok()?.path()).filter(|path| is_wheel(path)))?;
            (sha256(&fs::read(&wheel).ok()?) == *digest).then_some(wheel)
        };
        pin.digests.iter().find_map(wheel)
    }

    fn store(&self, digest: &str) -> PathBuf {
        self.work.guests.join("wheels").join(digest)
    }

    /// `pip download` of wheels for the guest.
    fn download(&self, into: &Path) -> Command {
        let mut command = self.wheels("pip");
        // Not quiet: pip tells what is in conflict as if it were progress.
        command.args([
            "--disable-pip-version-check",
            "--no-input",
            "--retries",
            "2",
            "download",
            "--progress-bar",
            "off",
        ]);
        command.args(GUEST).arg("-d").arg(into);
        command
    }

    /// What the builder does with wheels in Python.
    fn wheels(&self, what: &str) -> Command {
        let mut command = self.python();
        command.arg("-I").arg(&self.script).arg(what);
        command
    }

    fn python(&self) -> Command {
        self.program("python")
    }
}

impl Inspected {
    fn refuse(&self, lock: &Lock) -> Result<(), BuildError> {
        let named = |name: &String| lock.find(name).map_or_else(|| name.clone(), |pin| pin.package.to_string());
        if let Some((name, files)) = self.natives.iter().next() {
            let first = files.first().map_or("", String::as_str);
            return Err(refusal::native(&named(name), &format!(": it holds `{first}`")));
        }
        if let Some((name, module)) = self.taken() {
            let message = format!("`{}` has a module `{module}`, which is a part of the sandbox", named(name));
            return Err(
                BuildError::new(Kind::Conflict, message).hint("the sandbox cannot have this package: leave it out")
            );
        }
        if !self.unmet.is_empty() {
            return Err(BuildError::new(Kind::Conflict, self.unmet.join("; ")).hint(
                "`liteagent sandbox build --update` looks for versions that fit; else change `[sandbox] packages`",
            ));
        }
        if !self.unneeded.is_empty() {
            let names: Vec<String> = self.unneeded.iter().map(named).collect();
            let message = format!("`{}` has {}, which nothing needs", crate::packages::LOCK, names.join(", "));
            return Err(BuildError::new(Kind::Lock, message).hint("run `liteagent sandbox build --update`"));
        }
        Ok(())
    }

    /// A module that has the name of one of the guest's own, with its package.
    fn taken(&self) -> Option<(&String, &String)> {
        let mut all = self.modules.iter().flat_map(|(name, modules)| modules.iter().map(move |module| (name, module)));
        all.find(|(_, module)| own_modules().any(|own| own == **module))
    }
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "whl")
}

/// The package of a wheel, by its file name.
fn package_of(wheel: &Path) -> Result<Package> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let mut parts = name.split('-');
    match (parts.next(), parts.next(), is_wheel(wheel)) {
        (Some(name), Some(version), true) => Ok(Package { name: normal(name), version: version.to_owned() }),
        _ => Err(format!("pip gave `{name}`, which is no wheel").into()),
    }
}
