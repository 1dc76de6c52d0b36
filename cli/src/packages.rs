//! The packages that a project wants for Python, their lock, and the guest that holds them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use liteagent_engine::codes;
use liteagent_guests::{
    BuildError, Kind,
    packages::{self, LOCK, Lock, Package, Packages},
};

use crate::{
    config::{FILE, text_of},
    failure::Failure,
    project::Project,
};

impl Project {
    /// The packages of `[sandbox] packages` that are not built in.
    pub(crate) fn wanted(&self) -> Result<Vec<Package>, Failure> {
        Ok(packages::wanted(&self.config.sandbox.packages)?)
    }

    /// The file that locks them.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// What locks them; `None` when there is no file.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, Failure> {
        text_of(&self.lock_file())?.map(|text| text.parse().map_err(Failure::from)).transpose()
    }

    /// The packages that are wanted with a lock that fits them, built into a guest in the folder `guests`; `None` when none
    /// is wanted.
    pub(crate) fn packages(&self, guests: &Path) -> Result<Option<Packages>, Failure> {
        let wanted = self.wanted()?;
        if wanted.is_empty() {
            return Ok(None);
        }
        let build = "run `liteagent sandbox build`";
        let Some(lock) = self.lock()? else {
            let message = format!("`{FILE}` wants packages, and there is no `{LOCK}` that pins them");
            return Err(Failure::usage(codes::PACKAGES_LOCK, message).hint(build));
        };
        let packages = Packages::new(wanted, lock)?;
        if !packages.is_built(guests) {
            let names: Vec<String> = packages.wanted().iter().map(ToString::to_string).collect();
            let message = format!("the sandbox of this project is not built with its packages: {}", names.join(", "));
            return Err(Failure::usage(codes::PACKAGES_NOT_BUILT, message).hint(build));
        }
        Ok(Some(packages))
    }

    /// The modules that Python code of this project can import beside those that every sandbox has, by their whole names.
    pub(crate) fn modules(&self, guests: &Path) -> Result<BTreeSet<String>, Failure> {
        let Some(packages) = self.packages(guests)? else { return Ok(BTreeSet::new()) };
        packages.modules(guests).map_err(|error| BuildError::from(error).into())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let failure = match error.kind {
            Kind::Entry => Self::usage(codes::CONFIG, format!("`sandbox.packages` of `{FILE}`: {error}")),
            Kind::Lock => Self::usage(codes::PACKAGES_LOCK, error.message),
            Kind::Native => Self::usage(codes::PACKAGE_NATIVE, error.message),
            Kind::Unavailable => Self::usage(codes::PACKAGE_UNAVAILABLE, error.message),
            Kind::Conflict => Self::usage(codes::PACKAGES_CONFLICT, error.message),
            Kind::Digest => Self::usage(codes::PACKAGE_DIGEST, error.message),
            Kind::Tool => Self::platform(codes::GUEST_BUILD, error.message),
        };
        Self { hint: error.hint, ..failure }
    }
}
