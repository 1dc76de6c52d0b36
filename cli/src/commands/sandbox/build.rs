//! `sandbox build`: the interpreters of the sandbox, with the packages of this project.

use std::{fs, io::Write as _, path::Path};

use liteagent_engine::codes;
use liteagent_guests::{
    packages::{self, LOCK, Lock, Package, Packages},
    python,
};
use liteagent_sandbox::{Sandbox, protocol::Language};

use crate::{
    failure::{Exit, Failure},
    output,
    platform::block_on,
    project::Project,
    sandbox,
    shell::Shell,
};

/// Builds the interpreters of the sandbox, with the packages of `[sandbox] packages`, unless that was done. This needs
/// `python3` with venv; packages come from PyPI, or from where pip's settings say.
#[derive(clap::Args)]
pub(crate) struct Build {
    /// Finds the packages anew, and writes `sandbox.lock` anew
    #[arg(long)]
    update: bool,
}

impl Build {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let say = |line: &str| shell.note(line);
        let folder = sandbox::guests();
        let wanted = project.wanted()?;
        let guest = if wanted.is_empty() {
            if project.lock()?.is_some() {
                shell.note(format!("no package is wanted beside those that are built in: `{LOCK}` is not needed"));
            }
            python::build(&folder, say)?
        } else {
            let lock = self.lock(&project, &wanted, &folder, shell)?;
            python::build_with(&folder, &Packages::new(wanted, lock)?, say)?
        };
        block_on(prepare(&project))?;
        shell.out(format!("the sandbox is ready: Python in {}, JavaScript in this program", guest.display()))?;
        Ok(Exit::Done)
    }

    /// The lock that is there; without one, or where a new one is asked for, what is found now.
    fn lock(&self, project: &Project, wanted: &[Package], folder: &Path, shell: &Shell) -> Result<Lock, Failure> {
        let old = if self.update { None } else { project.lock()? };
        if let Some(lock) = old {
            return Ok(lock);
        }
        let lock = packages::resolve(folder, wanted, |line| shell.note(line))?;
        write(project, &lock)?;
        for pin in &lock.0 {
            shell.note(format!("locked {}", pin.package));
        }
        Ok(lock)
    }
}

fn write(project: &Project, lock: &Lock) -> Result<(), Failure> {
    let path = project.lock_file();
    if path.exists() {
        return output::replace(&path, &lock.to_string());
    }
    let written = fs::File::create_new(&path).and_then(|mut file| file.write_all(lock.to_string().as_bytes()));
    written.map_err(|error| {
        Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()))
            .hint("look at the permissions of the folder, and at the room on the disk")
    })
}

/// Compiles the interpreters for this machine, where that was not done.
async fn prepare(project: &Project) -> Result<(), Failure> {
    let sandbox = Sandbox::new(sandbox::config(project)?).map_err(sandbox::unusable)?;
    for language in Language::ALL {
        sandbox.prepare(language).await.map_err(sandbox::unusable)?;
    }
    Ok(())
}
