//! `fmt`: tidies workflow files. Comments, order and quotes stay.

use std::fs;

use liteagent_engine::{codes, source::rewrite::format};

use crate::{
    failure::{Exit, Failure},
    progress::count,
    project::{Project, shown},
    shell::Shell,
};

/// Tidies workflow files: indentation, blanks at the ends of lines. Values, comments and order stay.
#[derive(clap::Args)]
pub(crate) struct Fmt {
    /// Files, folders, or names of workflows; everything in the project without one
    paths: Vec<String>,
    /// Changes nothing; names the files that are not tidy and fails when there are some
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let mut changed = 0;
        for path in project.definitions(&self.paths)? {
            let failed = |verb: &str, error| {
                Failure::platform(codes::OUTPUT, format!("cannot {verb} `{}`: {error}", path.display()))
            };
            let text = fs::read_to_string(&path).map_err(|error| failed("read", error))?;
            // JSON is written by programs, and they lay it out as they like.
            let tidy =
                if path.extension().is_some_and(|ending| ending == "json") { text.clone() } else { format(&text) };
            if tidy == text {
                continue;
            }
            changed += 1;
            if !self.check {
                fs::write(&path, tidy).map_err(|error| failed("write", error))?;
            }
            shell.out(shown(&path).display().to_string())?;
        }
        let verb = if self.check { "not tidy" } else { "tidied" };
        shell.note(format!("{verb}: {}", count(changed, "file")));
        Ok(if self.check && changed > 0 { Exit::Failed } else { Exit::Done })
    }
}
