//! `check`: every finding about workflow files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use clap::ValueEnum;
use liteagent_engine::{
    codes,
    diagnostic::{Diagnostic, Severity, render},
    load::{LoadOptions, load},
    node::Registry,
};
use notify::{RecursiveMode, Watcher};

use crate::{
    failure::{Exit, Failure},
    progress::count,
    project::Project,
    shell::Shell,
};

/// Checks workflow files and reports every finding at once.
#[derive(clap::Args)]
pub(crate) struct Check {
    /// Files, folders, or names of workflows; everything in the project without one
    paths: Vec<String>,
    /// How findings are written to stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Checks again whenever a file changes
    #[arg(long)]
    watch: bool,
    /// Warnings fail the check too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the text with carets
    #[default]
    Text,
    /// One JSON array
    Json,
    /// Annotations of GitHub Actions
    Github,
}

/// One pass over the files.
struct Pass {
    findings: Vec<Diagnostic>,
    workflows: usize,
    /// Every file that was read, also those that workflows include.
    files: BTreeSet<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let registry = project.node_types();
        if self.watch {
            return self.watch(&project, &registry, shell);
        }
        let pass = self.pass(&project, &registry)?;
        if pass.workflows == 0 {
            return Err(Failure::usage(codes::NO_WORKFLOW, "there is no workflow here")
                .hint("name a file, or write a first workflow: `liteagent new hello`"));
        }
        self.print(&pass, shell)?;
        Ok(if self.fails(&pass) { Exit::Failed } else { Exit::Done })
    }

    fn pass(&self, project: &Project, registry: &Registry) -> Result<Pass, Failure> {
        let mut pass = Pass { findings: Vec::new(), workflows: 0, files: BTreeSet::new() };
        let mut seen = BTreeSet::new();
        for path in project.definitions(&self.paths)? {
            let loaded = load(&path, registry, &LoadOptions::default());
            pass.workflows += 1;
            pass.files.extend(loaded.files);
            // A workflow that two others name is reported once.
            let place = |finding: &Diagnostic| {
                (finding.span.file.name.clone(), finding.span.range.start, finding.code, finding.message.clone())
            };
            pass.findings.extend(loaded.diagnostics.into_iter().filter(|finding| seen.insert(place(finding))));
        }
        Ok(pass)
    }

    fn print(&self, pass: &Pass, shell: &Shell) -> Result<(), Failure> {
        match self.format {
            Format::Json => shell.json(&render::json(&pass.findings))?,
            Format::Text | Format::Github if pass.findings.is_empty() => {}
            Format::Github => shell.out(render::github(&pass.findings))?,
            Format::Text => shell.out(render::text(&pass.findings, shell.colors_out()))?,
        }
        let number = |severity| pass.findings.iter().filter(|finding| finding.severity == severity).count();
        shell.note(summary(pass.workflows, number(Severity::Error), number(Severity::Warning)));
        Ok(())
    }

    fn fails(&self, pass: &Pass) -> bool {
        let fails = |severity| severity == Severity::Error || self.deny_warnings && severity == Severity::Warning;
        pass.findings.iter().any(|finding| fails(finding.severity))
    }

    /// Until Ctrl-C, which ends the process.
    fn watch(&self, project: &Project, registry: &Registry, shell: &Shell) -> Result<Exit, Failure> {
        let failed = |error: notify::Error| Failure::platform(codes::OUTPUT, format!("cannot watch files: {error}"));
        let (sender, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| drop(sender.send(event))).map_err(failed)?;
        let mut watched = BTreeSet::new();
        loop {
            let pass = self.pass(project, registry)?;
            for folder in folders(&pass.files, &project.root) {
                if watched.insert(folder.clone()) {
                    watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(failed)?;
                }
            }
            self.print(&pass, shell)?;
            shell.note("watching; Ctrl-C ends");
            let changed =
                |event: &notify::Result<notify::Event>| event.as_ref().is_ok_and(|event| !event.kind.is_access());
            while changes.recv().is_ok_and(|event| !changed(&event)) {}
            // An editor changes a file in several steps.
            while changes.recv_timeout(Duration::from_millis(80)).is_ok() {}
        }
    }
}

fn folders(files: &BTreeSet<PathBuf>, root: &Path) -> BTreeSet<PathBuf> {
    let parent = |file: &PathBuf| file.canonicalize().ok()?.parent().map(Path::to_owned);
    files.iter().filter_map(parent).chain([root.to_owned()]).collect()
}

fn summary(workflows: usize, errors: usize, warnings: usize) -> String {
    let found = match (errors, warnings) {
        (0, 0) => "nothing wrong".to_owned(),
        (_, 0) => count(errors, "error"),
        (0, _) => count(warnings, "warning"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    format!("checked {}: {found}", count(workflows, "workflow"))
}
