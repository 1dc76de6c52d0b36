//! `document-reader`: a child process that reads documents. It is started by this program, with a socket as its standard
//! input.

use liteagent_documents::child;
use liteagent_engine::codes;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Reads documents for the process that started it, without any other way out.
#[derive(clap::Args)]
pub(crate) struct DocumentReader {}

impl DocumentReader {
    #[expect(clippy::unused_self, reason = "every verb has the same form")]
    pub(crate) fn run(self, _: &Shell) -> Result<Exit, Failure> {
        child::serve().map_err(|failed| {
            Failure::platform(codes::DOCUMENT_READER, failed.to_string())
                .hint("this command is for the program itself: use the node `document-extractor`")
        })?;
        Ok(Exit::Done)
    }
}
