//! Loading one workflow for a command that runs or draws it.

use std::path::Path;

use liteagent_engine::{
    bundle::Bundle,
    codes,
    diagnostic::{Diagnostic, Severity, render},
    load::{LoadOptions, load},
};

use crate::{
    failure::{Exit, Failure},
    project::Project,
    shell::Shell,
};

/// Loads a workflow; errors are shown on stderr, warnings only by `check`.
pub(crate) fn load_for_use(path: &Path, shell: &Shell) -> Result<Bundle, Failure> {
    let loaded = load(path, &Project::here()?.node_types(), &LoadOptions::default());
    if let Some(bundle) = loaded.bundle {
        return Ok(bundle);
    }
    if let Some(name) = loaded.composite {
        let message = format!("`{}` makes the node type `{name}`, and is no workflow", path.display());
        return Err(Failure::usage(codes::NO_WORKFLOW, message).hint(format!("use it in a workflow: `type: {name}`")));
    }
    let errors: Vec<Diagnostic> =
        loaded.diagnostics.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    shell.note(render::text(&errors, shell.colors_err()).trim_end());
    let (count, them) =
        if errors.len() == 1 { ("1 error".to_owned(), "it") } else { (format!("{} errors", errors.len()), "them") };
    Err(Failure {
        exit: Exit::Failed,
        ..Failure::usage(codes::NOT_RUNNABLE, format!("`{}` has {count}", path.display()))
            .hint(format!("mend {them}, then `liteagent check {}`", path.display()))
    })
}
