//! Files over the API: uploads, what runs are given of them, what runs made, and links to either.

use std::path::PathBuf;

use liteagent_backends::Reserve;
use liteagent_engine::{
    codes,
    store::FileValue,
    time::iso,
    units::{Duration, Millis, Size},
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use self::{api::is_upload, links::Links};
use crate::{app::App, problem::Problem, routes::Routes, store::UploadRow};

mod api;
mod content;
mod inputs;
mod links;
mod name;
mod receive;
mod sniff;

/// How long an upload waits for a run that it is given to.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What may be uploaded.
#[derive(Clone, Debug)]
pub struct Uploads {
    /// The size of a file. Default: 100 MiB.
    pub size: Size,
    /// How many files one request may have. Default: 20.
    pub count: usize,
    /// Media types that are not taken: `application/zip`, `video/*`. Default: none.
    pub refuse: Vec<String>,
    /// The folder that they go to, and what must stay free on its disk. Default: nobody looks.
    pub room: Option<(PathBuf, Reserve)>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { size: Size(100 << 20), count: 20, refuse: Vec::new(), room: None }
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    content::routes(links::routes(api::routes(routes)))
}

/// A file: what inputs of runs take, and what runs give.
#[derive(Clone, Serialize, ToSchema)]
struct File {
    /// What it is known by; nobody can guess it.
    #[schema(example = "file_0123456789abcdef0123456789abcdef")]
    id: String,
    /// Its name, without folders.
    #[schema(example = "report.pdf")]
    name: String,
    /// Its media type, as its content says.
    #[schema(example = "application/pdf")]
    mime: String,
    /// Its size in bytes.
    size: u64,
    /// The SHA-256 of its content.
    sha256: String,
}

impl From<FileValue> for File {
    fn from(file: FileValue) -> Self {
        let FileValue { id, name, mime, size, sha256 } = file;
        Self { id, name, mime, size, sha256 }
    }
}

/// A file that was uploaded.
#[derive(Serialize, ToSchema)]
struct Upload {
    /// The file: what the input of a run takes as its value.
    file: File,
    /// What was corrected of what its sender said.
    note: Option<String>,
    /// When it came.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is deleted; runs that were given it keep it.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<UploadRow> for Upload {
    fn from(row: UploadRow) -> Self {
        Self {
            file: row.file.into(),
            note: row.note,
            created_at: iso(row.created_at),
            expires_at: iso(row.created_at + KEPT.millis()),
        }
    }
}

/// There is no such file, or not for this caller.
fn no_file(id: &str) -> Problem {
    let shown: String = id.escape_debug().take(100).collect();
    Problem::missing(codes::NO_FILE, format!("there is no file `{shown}` for this caller"))
        .hint("an upload belongs to who sent it, for 24 hours; list yours with GET /api/files")
}

impl App {
    /// From when on uploads are still there.
    fn uploads_since(&self) -> Millis {
        self.clock.now() - KEPT.millis()
    }

    /// An upload of a caller that has not expired.
    async fn upload(&self, owner: &str, id: &str) -> Result<UploadRow, Problem> {
        let row = self.store.upload(owner, id).await?;
        row.filter(|row| row.created_at >= self.uploads_since()).ok_or_else(|| no_file(id))
    }

    /// Deletes the uploads that nobody will use any more. Their content goes with what no run names.
    pub(crate) async fn sweep_uploads(&self) -> Result<(), Problem> {
        let count = self.store.forget_uploads(self.uploads_since()).await?;
        if count > 0 {
            tracing::info!(count, "uploads that were a day old were deleted");
        }
        Ok(())
    }
}
