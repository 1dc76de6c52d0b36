//! Where documents are read: in child processes of this program.

use std::sync::Arc;

use liteagent_documents::{Program, Readers};

use crate::{failure::Failure, project::Project};

/// The hidden command that is a child process.
pub(crate) const CHILD: &str = "document-reader";

/// The readers of a project. Nothing is started before the first document.
pub(crate) fn readers(project: &Project) -> Result<Arc<Readers>, Failure> {
    let config = &project.config.documents;
    // This program itself, also when its file has been replaced since it was started.
    let program = Program { path: "/proc/self/exe".into(), arguments: vec![CHILD.into()] };
    Ok(Arc::new(Readers::new(program, config.limits()?, config.processes())))
}
