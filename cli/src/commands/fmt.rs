//! `fmt`: tidies workflow files. Comments, order and quotes stay.

use std::path::Path;

use liteagent_engine::{
    codes,
    diagnostic::{Severity, render},
    source::{parse, read_text, rewrite::format},
};

use crate::{
    failure::{Exit, Failure},
    output::replace,
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
        let (mut changed, mut broken) = (0, 0);
        for path in project.definitions(&self.paths)? {
            let text = match read_text(&path) {
                Ok(text) => text,
                Err(finding) => {
                    shell.note(render::text(&[*finding], shell.colors_err()).trim_end());
                    broken += 1;
                    continue;
                }
            };
            if is_broken(&path, &text) {
                let message = format!("`{}` is left as it is: it is not valid YAML or JSON", shown(&path).display());
                let hint = format!("run `liteagent check {}`", shown(&path).display());
                shell.error(codes::YAML_SYNTAX.0, &message, Some(&hint));
                broken += 1;
                continue;
            }
            // JSON is written by programs, and they lay it out as they like.
            let tidy = if is_json(&path) { text.clone() } else { format(&text) };
            if tidy == text {
                continue;
            }
            changed += 1;
            if !self.check {
                replace(&path, &tidy)?;
            }
            shell.out(shown(&path).display().to_string())?;
        }
        let verb = if self.check { "not tidy" } else { "tidied" };
        shell.note(format!("{verb}: {}", count(changed, "file")));
        Ok(if broken > 0 || self.check && changed > 0 { Exit::Failed } else { Exit::Done })
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

/// Whether nobody knows what stands where.
fn is_broken(path: &Path, text: &str) -> bool {
    let (document, findings) = parse(&path.to_string_lossy(), text.to_owned());
    document.is_none() || findings.iter().any(|finding| finding.severity == Severity::Error)
}
