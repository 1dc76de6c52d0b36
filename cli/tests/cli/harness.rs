//! A folder with workflows, and the binary run in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// The folder where `cargo xtask guests` puts the interpreters of the sandbox.
#[expect(clippy::disallowed_methods, reason = "tests look where make puts the guests")]
pub(crate) fn cache() -> PathBuf {
    let guests = liteagent_sandbox::Config::of_cache(|name| std::env::var(name).ok()).guests;
    guests.parent().unwrap().to_owned()
}

/// A folder of its own.
pub(crate) struct Folder(TempDir);

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Writes a file.
    pub(crate) fn with(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary with these arguments, ready to run here: no terminal, no settings but its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liteagent"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env_clear();
        // However full the disk of the tests is.
        command.env("HOME", self.0.path()).env("LITEAGENT_MIN_FREE", "0B").env("LITEAGENT_CACHE", cache());
        // An Ollama of this machine is none of the tests' business; nobody listens here.
        command.env("OLLAMA_HOST", "127.0.0.1:9");
        command
    }

    /// Runs the binary with these arguments, split at spaces.
    pub(crate) fn run(&self, line: &str) -> Said {
        self.run_args(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn run_args(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// The id of the newest run.
    pub(crate) fn newest(&self) -> String {
        let rows: serde_json::Value = serde_json::from_str(&self.run("runs list --json --limit 1").out).unwrap();
        rows[0]["id"].as_str().unwrap().to_owned()
    }
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Everything as one text, for a snapshot.
    pub(crate) fn whole(&self) -> String {
        format!("{}---- stderr ({})\n{}", self.out, self.code, self.err)
    }
}

/// Compares with a snapshot; what differs from run to run is replaced.
macro_rules! looks_like {
    ($text:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => vec![
            (r"run_[0-9a-z]{26}", "[run]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
            (r" +\d+ ms|\b\d+\.\d s", " [took]"),
            (r"\b[0-9a-f]{12}\b", "[digest]"),
        ] }, { insta::assert_snapshot!($text, @$snapshot) })
    };
}
pub(crate) use looks_like;
