//! `test`: runs the tests of workflows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use indexmap::IndexMap;
use liteagent_engine::{
    codes,
    diagnostic::{Diagnostic, render},
    node::Registry,
    source,
};
use liteagent_sandbox::Sandbox;
use serde_json::Value;
use tokio::runtime::Runtime;
use walkdir::WalkDir;

use crate::{
    failure::{Exit, Failure},
    output::{replace, write},
    platform::{self, block_on},
    progress::count,
    project::Project,
    sandbox,
    shell::Shell,
    testing::{self, Live, Suite, Verdict},
};

/// Runs the tests of workflows: every `NAME.test.yaml`, through the real engine, with fakes and a clock of its own.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Test files, or folders with them; everything in the project without one
    paths: Vec<PathBuf>,
    /// Runs only the tests whose `WORKFLOW › TEST` holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Writes the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the outputs and answers that were found over those that were expected, and runs the tests again
    #[arg(long)]
    update: bool,
    /// Runs the tests that use a cassette, asks the real models and HTTP services of nodes that are not faked, and records what
    /// they answer in `NAME.cassette.yaml`; this may cost money
    #[arg(long, conflicts_with = "update")]
    record: bool,
}

impl Test {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let registry = self.node_types()?;
        let (mut suites, mut findings) = self.suites(&registry)?;
        let mut verdicts = self.verdicts(&suites, &registry)?;
        if self.record {
            record(&suites, &verdicts, shell)?;
        }
        if self.update && update(&verdicts, shell)? {
            (suites, findings) = self.suites(&registry)?;
            verdicts = self.verdicts(&suites, &registry)?;
        }
        if !findings.is_empty() {
            shell.note(render::text(&findings, shell.colors_err()).trim_end());
        }
        for verdict in &verdicts {
            for line in testing::lines(verdict, shell.colors_out()) {
                shell.out(line)?;
            }
        }
        if let Some(path) = &self.junit {
            fs::write(path, testing::junit(&verdicts)).map_err(|error| {
                Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()))
            })?;
        }
        let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
        shell.note(summary(verdicts.len() - failed, failed, findings.len()));
        Ok(match (findings.is_empty(), failed) {
            (false, _) => Exit::Usage,
            (true, 0) => Exit::Done,
            (true, _) => Exit::Failed,
        })
    }

    /// The node types of the project of the first test file.
    fn node_types(&self) -> Result<Registry, Failure> {
        let first = self.files()?.first().and_then(|file| file.canonicalize().ok());
        let project = match first.as_deref().and_then(Path::parent) {
            Some(folder) => Project::around(folder)?,
            None => Project::here()?,
        };
        Ok(project.node_types())
    }

    fn suites(&self, registry: &Registry) -> Result<(Vec<Suite>, Vec<Diagnostic>), Failure> {
        let files = self.files()?;
        if files.is_empty() {
            return Err(Failure::usage(codes::NO_TESTS, "there is no test file here")
                .hint("write `NAME.test.yaml` beside `NAME.yaml`; `liteagent explain LA3105` shows one"));
        }
        let (mut suites, mut findings) = (Vec::new(), Vec::new());
        for file in files {
            let find = |name: &str| {
                let folder = file.canonicalize().map_err(|error| error.to_string())?;
                let project =
                    Project::around(folder.parent().unwrap_or(Path::new("."))).map_err(|error| error.message)?;
                project.find(name).map_err(|error| error.message)
            };
            match testing::read(&file, registry, &find, self.record) {
                Ok(suite) => suites.push(suite),
                Err(found) => findings.extend(found),
            }
        }
        Ok((suites, findings))
    }

    /// The test files, sorted by path.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        if self.paths.is_empty() {
            return Ok(below(&Project::here()?.root).iter().map(|path| shown(path)).collect());
        }
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                files.extend(below(path));
            } else if path.is_file() {
                files.push(path.clone());
            } else {
                return Err(Failure::usage(
                    codes::NO_TESTS,
                    format!("there is no file and no folder `{}`", path.display()),
                )
                .hint("name a test file, or a folder that holds some"));
            }
        }
        Ok(files)
    }

    /// Runs the tests on every core, and gives the verdicts in the order of the files.
    fn verdicts(&self, suites: &[Suite], registry: &Registry) -> Result<Vec<Verdict>, Failure> {
        let project = match suites.first().and_then(|suite| suite.path().parent()) {
            Some(folder) => Project::around(folder)?,
            None => return Ok(Vec::new()),
        };
        let tests = suites.iter().flat_map(|suite| suite.tests().iter().map(move |test| (suite, test)));
        let wanted = |title: &str| self.filter.as_deref().is_none_or(|filter| title.contains(filter));
        let mut tests: Vec<_> = tests.filter(|(suite, test)| wanted(&suite.title(test))).collect();
        // Its runtime lives as long as the tests.
        let mut runtime = None;
        let live = if self.record {
            tests.retain(|(suite, test)| suite.uses_cassette(test));
            if tests.is_empty() {
                return Err(Failure::usage(codes::NOT_RECORDED, "no test here uses a cassette")
                    .hint("write `cassette: true` into the tests that shall be recorded"));
            }
            Some(Arc::new(live(runtime.insert(platform::runtime()?), &project)?))
        } else {
            None
        };
        let sandbox = Arc::new(Sandbox::new(sandbox::config(&project)?).map_err(sandbox::unusable)?);
        let languages = testing::languages(tests.iter().map(|(suite, _)| *suite));
        if !languages.is_empty() {
            // The patience of a test is not for the first start of an interpreter. Where there is none, the node says so,
            // unless it is faked.
            block_on(async {
                for language in languages {
                    let _ = sandbox.prepare(language).await;
                }
                Ok(())
            })?;
        }
        let code = sandbox::code(sandbox, None);
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                let Some((suite, test)) = tests.get(position) else { return };
                let verdict = testing::run(suite, test, registry, &code, live.as_ref());
                done.lock().unwrap_or_else(PoisonError::into_inner).push((position, verdict));
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(tests.len()) {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(position, _)| *position);
        Ok(done.into_iter().map(|(_, verdict)| verdict).collect())
    }
}

/// The real models and services of a project.
fn live(runtime: &Runtime, project: &Project) -> Result<Live, Failure> {
    let secrets = runtime.block_on(project.secrets())?;
    let models = runtime.block_on(project.config.router(&secrets))?;
    let http = Arc::new(project.config.egress()?);
    Ok(Live::new(runtime, models, http, secrets))
}

/// Writes what was recorded into the cassettes. A test of which a part could not be recorded keeps what it had.
fn record(suites: &[Suite], verdicts: &[Verdict], shell: &Shell) -> Result<(), Failure> {
    for suite in suites {
        let of_suite = verdicts.iter().filter(|verdict| verdict.file == suite.path());
        let recorded: IndexMap<_, _> =
            of_suite.filter_map(|verdict| Some((verdict.name.clone(), verdict.recording.clone()?))).collect();
        if recorded.is_empty() {
            continue;
        }
        let calls = recorded.values().map(testing::Recording::calls).sum();
        let (path, text) = suite.recorded(recorded).map_err(|error| {
            let message = format!("what the tests of `{}` recorded cannot be kept: {error}", suite.path().display());
            Failure::usage(codes::NOT_RECORDED, message)
                .hint("fake the node with the large answer, or record fewer tests")
        })?;
        write(&path, &text)?;
        shell.note(format!("recorded {} in {}", count(calls, "call"), path.display()));
    }
    Ok(())
}

/// Writes what was found into the test files; nothing else in them changes. Says whether anything was written.
fn update(verdicts: &[Verdict], shell: &Shell) -> Result<bool, Failure> {
    let mut files: BTreeMap<&Path, Vec<&(String, Value)>> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.updates.is_empty()) {
        files.entry(&verdict.file).or_default().extend(&verdict.updates);
    }
    for (path, updates) in &files {
        let mut text = source::read_text(path).map_err(|finding| Failure::usage(finding.code, finding.message))?;
        for (pointer, value) in updates {
            text = source::rewrite::set(&text, pointer, value).map_err(|error| {
                Failure::usage(error.code(), format!("cannot update `{pointer}` in `{}`: {error}", path.display()))
            })?;
        }
        replace(path, &text)?;
        let count = updates.len();
        shell.note(format!("updated {count} {} in {}", if count == 1 { "value" } else { "values" }, path.display()));
    }
    Ok(!files.is_empty())
}

/// The test files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    const LEFT_OUT: [&str; 3] = ["target", "node_modules", "out"];
    let is_shown = |name: &str| !name.starts_with('.') && !LEFT_OUT.contains(&name);
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || is_shown(&entry.file_name().to_string_lossy()))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && is_test(&entry.file_name().to_string_lossy()))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn is_test(name: &str) -> bool {
    [".test.yaml", ".test.yml", ".test.json"].iter().any(|ending| name.ends_with(ending))
}

/// A path as a person in the current folder would write it.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

fn summary(passed: usize, failed: usize, broken: usize) -> String {
    let broken = match broken {
        0 => String::new(),
        1 => ", 1 finding in test files or their workflows".to_owned(),
        count => format!(", {count} findings in test files or their workflows"),
    };
    format!("{passed} passed, {failed} failed{broken}")
}
