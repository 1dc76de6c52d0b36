//! `backup`: everything that the data folder holds, in one file.

use std::path::PathBuf;

use liteagent_backends::{
    FILE,
    archive::{self, About, ArchiveError, FORMAT, Manifest},
};
use liteagent_engine::{
    codes,
    time::{Clock as _, SystemClock, iso},
    units::Size,
};

use crate::{
    config::{database::Database, objects},
    failure::{Exit, Failure},
    platform::{block_on, open_stores},
    progress::count,
    project::Project,
    shell::Shell,
};

/// Writes everything that the data folder holds into one file, while others use it: runs, files, knowledge bases, and what a
/// server keeps. Keys and secrets are left out: keep them elsewhere.
#[derive(clap::Args)]
pub(crate) struct Backup {
    /// The file; one that is there is replaced when the backup is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Looks whether FILE is whole, and writes nothing
    #[arg(long)]
    verify: bool,
}

impl Backup {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if self.verify {
            let manifest = archive::verify(&self.file)?;
            shell.note(format!("{} is whole: {}", self.file.display(), told(&manifest)));
            return Ok(Exit::Done);
        }
        Database::must_be_files("backup")?;
        let project = Project::here()?;
        block_on(self.write(&project, shell))
    }

    async fn write(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let data = project.data();
        if !data.join(FILE).exists() {
            let message = format!("there is nothing to back up in `{}`", data.display());
            return Err(Failure::usage(codes::CONFIG, message)
                .hint("change to the folder of the project, or set `LITEAGENT_DATA` to its data folder"));
        }
        let journal = open_stores(project).await?.stores.journal;
        let installation = journal.installation().await?;
        let about = About {
            format: FORMAT,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            at: SystemClock.now(),
            installation: installation.id,
            epoch: installation.epoch,
            objects: objects::options(project)?.map(|options| options.to_string()),
        };
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || archive::write(&data, &file, about)).await;
        let written = written.map_err(|error| Failure::platform(codes::STORE, error.to_string()))??;
        journal.backed_up(SystemClock.now()).await?;
        let size = Size(written.size);
        shell.note(format!("wrote {}: {}; {size} packed", self.file.display(), told(&written.manifest)));
        if let Some(objects) = &written.manifest.about.objects {
            shell.note(format!(
                "not in it: large values and files in {objects}; let the bucket keep what is deleted for as long as backups are \
                 kept"
            ));
        }
        if !written.left_out.is_empty() {
            shell.note(format!(
                "left out: {}; keep keys and secrets elsewhere, with `SECRET_KEY` and `JWT_SECRET`",
                written.left_out.join(", ")
            ));
        }
        Ok(Exit::Done)
    }
}

/// What an archive holds, in one line.
fn told(manifest: &Manifest) -> String {
    let databases = manifest.files.values().filter(|held| held.database).count();
    let bytes = manifest.files.values().map(|held| held.size).sum();
    format!(
        "{} and {} of {}, {}",
        count(databases, "database"),
        count(manifest.files.len() - databases, "file"),
        iso(manifest.about.at),
        Size(bytes)
    )
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let failure = match &error {
            ArchiveError::Store(_) => Self::platform(error.code(), error.to_string()),
            _ => Self::usage(error.code(), error.to_string()),
        };
        failure.hint(error.hint())
    }
}
