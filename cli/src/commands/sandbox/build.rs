//! `sandbox build`: the interpreters of the sandbox, with the packages of this project.

use std::{fs, io::Write as _};

use liteagent_engine::codes;
use liteagent_guests::{
    self as guests,
    packages::{self, LOCK, Lock, Package, Packages},
    python,
};
use liteagent_sandbox::{self as sandbox, protocol::Language};

use crate::{
    failure::{Exit, Failure},
    output,
    platform::block_on,
    project::Project,
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
        let folder = guests::folder();
        let wanted = project.wanted()?;
        let guest = if wanted.is_empty() {
            if project.lock()?.is_some() {
                shell.note(format!("no package is wanted beside those that are built in: `{LOCK}` is not needed"));
            }
            python::build(&folder, say)?
        } else {
            let lock = self.lock(&project, &wanted, shell)?;
            python::build_with(&folder, &Packages::new(wanted, lock)?, say)?
        };
        let config = sandbox::Config { progress, ..project.sandbox()? };
        block_on(prepare(config))?;
        shell.out(format!("the sandbox is ready: Python in {}, JavaScript in this program", guest.display()))?;
        Ok(Exit::Done)
    }

    /// The lock that is there; without one, or where a new one is asked for, what is found now.
    fn lock(&self, project: &Project, wanted: &[Package], shell: &Shell) -> Result<Lock, Failure> {
        let old = if self.update { None } else { project.lock()? };
        if let Some(lock) = old {
            return Ok(lock);
        }
        let lock = packages::resolve(&guests::folder(), wanted, |line| shell.note(line))?;
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
async fn prepare(config: sandbox::Config) -> Result<(), Failure> {
    let failed = |fault: sandbox::protocol::Fault| {
        let failure = Failure::platform(codes::SANDBOX_FAILED, fault.message);
        Failure { hint: fault.hint.map(Into::into), ..failure }
    };
    let sandbox = sandbox::Sandbox::new(config).map_err(failed)?;
    for language in Language::ALL {
        sandbox.prepare(language).await.map_err(failed)?;
    }
    Ok(())
}

/// The sandbox speaks from threads of its own.
fn progress(line: &str) {
    // Nobody may be there to read it, and that is no failure.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
