//! `restore`: an installation from a backup.

use std::path::PathBuf;

use liteagent_backends::{archive, begin_epoch};
use liteagent_engine::time::{Clock as _, SystemClock, iso};
use liteagent_server::store;

use crate::{
    config::database::Database,
    failure::{Exit, Failure},
    progress::count,
    project::{Project, shown},
    shell::Shell,
};

/// Makes an installation from a backup, where none is yet. Runs that had not ended are held until a person releases them,
/// schedules pause, and everybody signs in again.
#[derive(clap::Args)]
pub(crate) struct Restore {
    /// What `liteagent backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder to be made [default: that of the project]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

impl Restore {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        Database::must_be_files("restore")?;
        let into = match self.into {
            Some(into) => into,
            None => Project::here()?.data(),
        };
        let now = SystemClock.now();
        let unpacked = archive::unpack(&self.file, &into)?;
        let runs = begin_epoch(unpacked.folder(), now)?;
        let paused = store::begin_epoch(unpacked.folder(), now)?;
        let manifest = unpacked.settle()?;
        shell.note(format!(
            "restored {} into {}: what was there at {}",
            self.file.display(),
            shown(&into).display(),
            iso(manifest.about.at)
        ));
        if let Some(objects) = &manifest.about.objects {
            shell.note(format!("large values and files are in {objects}: `STORAGE_URL` must name them"));
        }
        if let Some(paused) = paused {
            let paused = count(paused as usize, "schedule");
            shell.note(format!("{paused} paused; sessions and one-time links have ended"));
        }
        if runs.held > 0 {
            shell.note(format!(
                "{} held: `liteagent runs held` lists them, `liteagent runs release --all` lets them go on",
                count(runs.held as usize, "run")
            ));
        }
        Ok(Exit::Done)
    }
}
