//! `import`: an installation from SQLite files into PostgreSQL.

use std::path::{Path, PathBuf};

use liteagent_backends::{
    Backends, FILE, Reserve, SqliteOptions,
    database::{self, Database as File},
    postgres::import::{Imported, Source, runs},
};
use liteagent_engine::{
    codes,
    id::{Digest, SessionId},
    store::{Blobs, StoreError},
    time::{Clock as _, SystemClock},
};
use liteagent_server::store::{self, SqliteStore};

use crate::{
    config::database::Database,
    failure::{Exit, Failure},
    platform::{block_on, open_stores},
    progress::count,
    project::{Project, shown},
    rows,
    shell::Shell,
};

/// Moves what a data folder has in SQLite files into the database of `DATABASE_URL`, where nothing is yet: runs with their journals,
/// large values and files, workflows, users, keys, schedules and the vault. Nothing may run meanwhile; the folder stays as it is.
/// Everybody signs in again. Knowledge bases are not moved: index their documents again.
#[derive(clap::Args)]
pub(crate) struct Import {
    /// The data folder
    #[arg(value_name = "DIR")]
    from: PathBuf,
}

impl Import {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        block_on(self.import(shell, &project))
    }

    async fn import(&self, shell: &Shell, project: &Project) -> Result<Exit, Failure> {
        let Some(pool) = Database::of_environment()?.pool()? else {
            return Err(refused("expected `DATABASE_URL`, the database to import into; found none".to_owned())
                .hint("set it to `postgres://USER:PASSWORD@HOST:5432/DATABASE`"));
        };
        let (from, rows_of_server) = (self.from.join(FILE), self.from.join(store::FILE));
        if !from.is_file() {
            let message =
                format!("expected a data folder with `{FILE}`, found none in `{}`", shown(&self.from).display());
            return Err(refused(message).hint("name the folder that `LITEAGENT_DATA` named, usually `.liteagent`"));
        }
        // Brings the files up to date.
        let options = SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() };
        let source = liteagent_backends::open(&self.from, options).await?;
        check_rest(&source, &from).await?;
        let mut sources = vec![Source { file: from.clone(), tables: runs::TABLES }];
        if rows_of_server.is_file() {
            drop(SqliteStore::open(&self.from).await?);
            sources.push(Source { file: rows_of_server, tables: store::TABLES });
        }

        let target = open_stores(project).await?;
        rows::open(&project.data(), Some(&pool)).await?;
        let blobs = copy_blobs(&sources, &*source.stores.blobs, &*target.stores.blobs).await?;
        match pool.import(&sources, runs::SEQUENCES).await? {
            Imported::Done(moved) => {
                let of = |table: &str| moved.iter().find(|(name, _)| *name == table).map_or(0, |(_, rows)| *rows);
                let all: u64 = moved.iter().map(|(_, rows)| rows).sum();
                shell.note(format!(
                    "moved {} with {}, and {}: {} in all",
                    count(of("runs") as usize, "run"),
                    count(of("records") as usize, "record"),
                    count(blobs, "blob"),
                    count(all as usize, "row"),
                ));
                Ok(Exit::Done)
            }
            Imported::NotEmpty(table) => {
                Err(refused(format!("expected an empty database, found rows in the table `{table}`"))
                    .hint("make another database, and name it in `DATABASE_URL`"))
            }
        }
    }
}

fn refused(message: String) -> Failure {
    Failure::usage(codes::IMPORT_REFUSED, message)
}

/// Refuses a folder that a process uses.
async fn check_rest(source: &Backends, file: &Path) -> Result<(), Failure> {
    let sessions: Vec<SessionId> = read(file, "SELECT lower(hex(id)) FROM sessions").await?;
    for session in sessions {
        if source.stores.journal.is_alive(session, SystemClock.now()).await? {
            return Err(refused("expected that nothing uses the data folder, found a process that does".to_owned())
                .hint("stop the server and every command that runs something there"));
        }
    }
    Ok(())
}

/// Copies everything that is named by its digest; how many there were.
async fn copy_blobs(sources: &[Source], from: &dyn Blobs, to: &dyn Blobs) -> Result<usize, Failure> {
    let mut copied = 0;
    for source in sources {
        let sql = if source.file.ends_with(FILE) {
            "SELECT DISTINCT lower(hex(digest)) FROM blobs"
        } else {
            "SELECT DISTINCT sha256 FROM uploads"
        };
        let digests: Vec<Digest> = read(&source.file, sql).await?;
        for digest in digests {
            // A blob whose run was deleted at this moment is missed by nobody.
            let Some(pieces) = from.get_pieces(&digest, 0..u64::MAX).await? else { continue };
            to.put_pieces(pieces).await?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// What a statement over a file gives, one text each.
async fn read<T>(file: &Path, sql: &'static str) -> Result<Vec<T>, StoreError>
where
    T: std::str::FromStr<Err: ToString> + Send + 'static,
{
    let file = file.to_owned();
    let read = move || {
        let texts = File::open_read_only(&file, false)?.all(sql, (), |row| row.get::<_, String>(0))?;
        let parsed = texts.iter().map(|text| text.parse().map_err(|error: T::Err| database::damaged(error)));
        parsed.collect::<Result<Vec<T>, database::Error>>()
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(read?)
}
