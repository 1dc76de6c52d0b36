//! What is kept by other programs, where the settings name them.

use liteagent_engine::codes;

use super::Finding::{self, Bad, Good};
use crate::{config::objects, knowledge, platform::block_on, project::Project};

/// Whether the object store can be used.
pub(super) fn objects(here: &Project) -> Finding {
    let checked = objects::options(here).and_then(|options| {
        let Some(options) = options else { return Ok("large values and files are in the data folder".to_owned()) };
        block_on(objects::check(here))?;
        Ok(format!("large values and files are in {options}"))
    });
    match checked {
        Ok(text) => Good(text),
        Err(failure) => Bad(failure.message, failure.hint.unwrap_or_else(|| "mend `STORAGE_URL`".to_owned())),
    }
}

/// Asks Qdrant for its release, where it is used.
pub(super) fn vector_store(_: &Project) -> Finding {
    let bad = |message: String, hint: Option<String>| {
        Bad(message, hint.unwrap_or_else(|| "start Qdrant, or unset `QDRANT_URL`".to_owned()))
    };
    let qdrant = match knowledge::qdrant() {
        Ok(Some(qdrant)) => qdrant,
        Ok(None) => return Good("embedded".to_owned()),
        Err(failure) => return bad(failure.message, failure.hint),
    };
    match block_on(async { Ok(qdrant.version().await) }) {
        Ok(Ok(version)) => Good(format!("Qdrant {version} at {}", qdrant.url)),
        // Its hint names this command.
        Ok(Err(error)) if error.code == codes::KNOWLEDGE_UNREACHABLE => Bad(
            error.message,
            "start Qdrant, mend `QDRANT_URL` (the port of gRPC, usually 6334), or unset it".to_owned(),
        ),
        Ok(Err(error)) => bad(error.message, error.hint),
        Err(failure) => bad(failure.message, failure.hint),
    }
}
