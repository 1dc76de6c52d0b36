//! `index`: puts the documents of a folder into a knowledge base.

use std::path::{Component, Path, PathBuf};

use liteagent_engine::{
    bundle::Bundle,
    codes,
    id::RunId,
    store::{RunFilter, RunPhase, Stores},
    value,
    value::Value,
    view::RunView,
};

use crate::{
    commands::run::ShowArgs,
    config::RootConfig,
    failure::{Exit, Failure},
    follow::follow,
    library,
    platform::{Platform, block_on},
    project::Project,
    shell::Shell,
};

/// The workflow that does it.
const WORKFLOW: &str = "indexing/folder";

/// Puts the documents of a folder into a knowledge base. Files that are as they were cost nothing; those that are gone disappear
/// from it. What was cut off goes on when the command is given again.
#[derive(clap::Args)]
pub(crate) struct Index {
    /// The knowledge base; it is made when it is not there
    #[arg(value_name = "KNOWLEDGE")]
    knowledge: String,
    /// The folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Indexes files that are as they were as well
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    show: ShowArgs,
}

impl Index {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let mut project = Project::here()?;
        let (root, folder) = place(&project.root, &self.folder)?;
        // Whoever gives the command may read the folder, whatever workflows may.
        project.config.files.roots.insert(".".to_owned(), RootConfig::to_read(root));
        let bundle = library::workflow(&project, WORKFLOW, shell)?;
        let inputs = value!({ "folder": folder, "knowledge": self.knowledge.as_str(), "again": self.again });
        block_on(self.start(&project, bundle, inputs, shell))
    }

    async fn start(&self, project: &Project, bundle: Bundle, inputs: Value, shell: &Shell) -> Result<Exit, Failure> {
        let platform = Platform::open(project, self.show.progress(shell)).await?;
        let exit = match cut_off(&platform.stores, &inputs).await? {
            Some(run) => {
                shell.note(format!("goes on with {run}, which was cut off"));
                platform.progress.watch(run);
                platform.engine.resume(run).await?;
                follow(&platform, run, shell, (&self.show).into()).await
            }
            None => library::run(&platform, bundle, inputs, shell, (&self.show).into()).await,
        };
        platform.close().await?;
        exit
    }
}

/// The folder that is opened, and the way to the one that is meant: below the project by its path there, so that ids of
/// documents stay when the project moves; elsewhere by its whole path.
fn place(project: &Path, folder: &Path) -> Result<(PathBuf, String), Failure> {
    let found = folder.canonicalize().map_err(|error| {
        Failure::usage(codes::FILES_NOT_FOUND, format!("cannot open the folder `{}`: {error}", folder.display()))
            .hint("give the path of a folder with documents")
    })?;
    if !found.is_dir() {
        let message = format!("expected a folder, found the file `{}`", folder.display());
        return Err(Failure::usage(codes::FILES_NOT_FOUND, message).hint("give the folder that it lies in"));
    }
    let root = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    let (root, below) = match found.strip_prefix(&root) {
        Ok(below) => (root.clone(), below.to_owned()),
        Err(_) => (PathBuf::from("/"), found.strip_prefix("/").unwrap_or(&found).to_owned()),
    };
    let names = below.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let names: Vec<String> = names.collect();
    Ok((root, if names.is_empty() { ".".to_owned() } else { names.join("/") }))
}

/// A run with the same inputs that has not ended, and that nobody executes.
async fn cut_off(stores: &Stores, inputs: &Value) -> Result<Option<RunId>, Failure> {
    for phase in [RunPhase::Running, RunPhase::Queued] {
        let filter = RunFilter { workflow: Some(WORKFLOW.to_owned()), phase: Some(phase), ..RunFilter::default() };
        for row in stores.journal.runs(filter).await? {
            if RunView::load(stores, row.id).await?.inputs == *inputs {
                return Ok(Some(row.id));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_project_are_known_by_their_way_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let (project, docs) = (folder.path().join("project"), folder.path().join("project/docs/a"));
        std::fs::create_dir_all(&docs).unwrap();
        assert_eq!(place(&project, &docs).unwrap().1, "docs/a");
        assert_eq!(place(&project, &project).unwrap().1, ".");
        let (root, path) = place(&docs, &project).unwrap();
        assert_eq!(root.join(path), project.canonicalize().unwrap());
        assert!(place(&project, &project.join("none")).unwrap_err().message.contains("none"));
    }
}
