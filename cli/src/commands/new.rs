//! `new`: a workflow from a template, or a test from a run.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use liteagent_engine::{bundle::Bundle, codes};

use crate::{
    config,
    editor::{self, SchemaKind},
    failure::{Exit, Failure},
    platform::{block_on, open_stores_to_read},
    project::{Project, shown},
    shell::Shell,
    testing,
};

/// Writes a new workflow that checks clean and runs, or a test that repeats a run.
#[derive(clap::Args)]
pub(crate) struct New {
    /// The name, which is also the path below the project: `support/answer` makes `support/answer.yaml`
    #[arg(required_unless_present = "test")]
    name: Option<String>,
    /// What to begin with
    #[arg(long, value_enum, default_value_t)]
    template: Template,
    /// Writes a test instead, which repeats a run with everything outside faked as it was
    #[arg(long, value_name = "FILE", requires = "from_run", conflicts_with = "name")]
    test: Option<PathBuf>,
    /// The run that the test repeats
    #[arg(long, value_name = "RUN", requires = "test")]
    from_run: Option<String>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Template {
    /// One input, one node, one output
    #[default]
    Hello,
    /// A request over HTTP with a retry and a branch on its answer
    Http,
    /// A list, each item of it handled in parallel
    Batch,
    /// A question to a person before something happens
    Approval,
}

impl Template {
    const fn text(self) -> &'static str {
        match self {
            Self::Hello => include_str!("new/hello.yaml"),
            Self::Http => include_str!("new/http.yaml"),
            Self::Batch => include_str!("new/batch.yaml"),
            Self::Approval => include_str!("new/approval.yaml"),
        }
    }
}

impl New {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if let (Some(path), Some(run)) = (&self.test, &self.from_run) {
            return block_on(test_from_run(path, run, shell));
        }
        let name = self.name.unwrap_or_default();
        if !is_name(&name) {
            return Err(Failure::usage(
                codes::UNKNOWN_NAME,
                format!("expected a name such as `support/answer`, found `{name}`"),
            )
            .hint("use lower-case letters, digits, `_` and `-`, with `/` between folders"));
        }
        let project = Project::here()?;
        let path = project.root.join(format!("{name}.yaml"));
        let text = self.template.text().replace("@name", &name);
        write_new(&path, &SchemaKind::Workflow.with_modeline(&text, &path, &project.root)?)?;
        set_up_editors(&project.root, shell)?;
        shell.out(shown(&path).display().to_string())?;
        shell.note(format!("try it: liteagent run {name}"));
        Ok(Exit::Done)
    }
}

/// Writes a test that repeats a run.
async fn test_from_run(path: &Path, run: &str, shell: &Shell) -> Result<Exit, Failure> {
    let project = Project::here()?;
    let stores = open_stores_to_read(&project).await?.stores;
    let row = super::runs::find(&*stores.journal, run).await?;
    let text = stores.journal.bundle(&row.digest).await?.unwrap_or_default();
    let bundle = Bundle::parse(&text)
        .map_err(|error| Failure::platform(codes::STORE_DAMAGED, error.to_string()).hint("run `liteagent doctor`"))?;
    let text = testing::record(&stores, row.id, &bundle, &liteagent_nodes::registry()).await?;
    write_new(path, &SchemaKind::Test.with_modeline(&text, path, &project.root)?)?;
    set_up_editors(&project.root, shell)?;
    shell.out(path.display().to_string())?;
    shell.note(format!("try it: liteagent test {}", path.display()));
    Ok(Exit::Done)
}

/// Writes what editors read. Settings belong to a project; in any other folder they would speak of files that are not
/// ours.
fn set_up_editors(root: &Path, shell: &Shell) -> Result<(), Failure> {
    editor::refresh(root, shell)?;
    if !root.join(config::FILE).is_file() {
        return Ok(());
    }
    for (name, text) in editor::SETTINGS {
        let path = root.join(name);
        if !path.exists() {
            write_new(&path, text)?;
            shell.note(format!("wrote  {name}"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    name.split('/').all(part)
}

/// Writes a file that is not there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(codes::FILE_EXISTS, format!("`{}` is there already", path.display()))
                .hint("take another name, or delete the file first")
        }
        _ => Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display())),
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = fs::File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
