//! Where large values and files are: in the data folder, or in a bucket.

use std::sync::Arc;

use liteagent_backends::{ObjectBlobs, ObjectOptions};
use liteagent_engine::time::SystemClock;

use super::setting;
use crate::{failure::Failure, project::Project};

/// Which bucket has them, by `STORAGE_URL` or `storage.url`; `None` when they are in the data folder.
pub(crate) fn options(project: &Project) -> Result<Option<ObjectOptions>, Failure> {
    let url = setting("STORAGE_URL").or_else(|| project.config.storage.url.clone());
    let read = url.map(|url| ObjectOptions::read(&url, setting)).transpose();
    read.map_err(|error| Failure::usage(error.code(), error.to_string()).hint(error.hint()))
}

/// That bucket. Nothing is asked of it yet.
pub(crate) fn open(project: &Project) -> Result<Option<ObjectBlobs>, Failure> {
    let open = |options| ObjectBlobs::open(&options, project.data(), Arc::new(SystemClock));
    Ok(options(project)?.map(open).transpose()?)
}

/// Looks whether that bucket can be used, before anything relies on it.
pub(crate) async fn check(project: &Project) -> Result<(), Failure> {
    match open(project)? {
        Some(objects) => Ok(objects.check().await?),
        None => Ok(()),
    }
}
