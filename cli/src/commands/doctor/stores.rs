//! Where everything is kept: the database, the object store, the disk, the vector store.

use std::path::Path;

use liteagent_backends::Room;
use liteagent_engine::codes;

use super::Finding::{self, Bad, Good, Odd};
use crate::{
    commands::migrate::SCHEMAS,
    config::{self, database::Database},
    failure::Failure,
    knowledge,
    platform::{block_on, open_stores},
    project::Project,
};

/// Opens it; of one that machines share, all that is in it.
pub(super) fn database(here: &Project) -> Finding {
    let opened = block_on(async {
        let Some(pool) = open_stores(here).await?.database else { return Ok("opens".to_owned()) };
        for schema in &SCHEMAS {
            pool.prepare(schema).await?;
        }
        Ok(pool.describe().await?)
    });
    let is_shared = Database::of_environment().is_ok_and(|database| database.is_shared());
    match opened {
        Ok(text) => Good(text),
        Err(failure) if failure.code == Some(codes::STORE) && is_shared => Bad(
            failure.message,
            "start PostgreSQL, or mend `DATABASE_URL`: `psql \"$DATABASE_URL\"` must work from here".to_owned(),
        ),
        Err(Failure { message, hint: Some(hint), .. }) if is_shared => Bad(message, hint),
        Err(failure) => Bad(
            failure.message,
            "stop other programs that use it, free space on the disk, or move the data folder away to begin anew"
                .to_owned(),
        ),
    }
}

/// Whether the object store can be used.
pub(super) fn objects(here: &Project) -> Finding {
    let checked = config::objects::options(here).and_then(|options| {
        let Some(options) = options else { return Ok("large values and files are in the data folder".to_owned()) };
        block_on(config::objects::check(here))?;
        Ok(format!("large values and files are in {options}"))
    });
    match checked {
        Ok(text) => Good(text),
        Err(failure) => Bad(failure.message, failure.hint.unwrap_or_else(|| "mend `STORAGE_URL`".to_owned())),
    }
}

pub(super) fn disk_space(here: &Project) -> Finding {
    let data = here.data();
    let folder = data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let room = match Room::of(folder) {
        Ok(room) => room,
        Err(error) => return Odd(error.to_string(), "run `df` and look at the data folder's disk".to_owned()),
    };
    let reserve = match here.config.min_free() {
        Ok(reserve) => reserve,
        Err(failure) => return Bad(failure.message, "set it to a share or a size, or unset it".to_owned()),
    };
    let percent = (u128::from(room.free) * 100).checked_div(room.total.into()).unwrap_or_default();
    let text = format!(
        "{} MiB free ({percent} %); a new run needs {} MiB (`min_free` is {reserve})",
        room.free >> 20,
        reserve.needed(room).div_ceil(1 << 20)
    );
    if room.free >= reserve.needed(room) {
        return Good(text);
    }
    Bad(
        text,
        format!(
            "free space (`liteagent runs prune` deletes old runs), set `LITEAGENT_DATA` to a folder on another disk, \
             or lower `min_free` under `[storage]` in `{}`",
            config::FILE
        ),
    )
}

/// Asks Qdrant for its release, where it is used.
pub(super) fn vector_store(_: &Project) -> Finding {
    let bad = |message: String, hint: Option<String>| {
        Bad(message, hint.unwrap_or_else(|| "start Qdrant, or unset `QDRANT_URL`".to_owned()))
    };
    let qdrant = match knowledge::qdrant() {
        Ok(Some(qdrant)) => qdrant,
        Ok(None) if Database::of_environment().is_ok_and(|database| database.is_shared()) => {
            let missing = knowledge::no_store();
            return Odd(missing.message, missing.hint.unwrap_or_default());
        }
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
