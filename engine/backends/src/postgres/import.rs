//! Moving rows of SQLite files into a database: every table by one `COPY`, all of them in one transaction.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use liteagent_engine::{id::RunId, store::StoreError};
use rusqlite::types::ValueRef;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::mpsc;

use super::{pool::Pool, stored::stored};
use crate::database::{Database, Error, damaged};

pub mod runs;

/// About so many bytes are sent at once.
const PIECE: usize = 256 * 1024;

/// A table, and what its rows are made of.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// The table.
    pub table: &'static str,
    /// Its columns, and what is in them.
    pub columns: &'static [(&'static str, Content)],
    /// A `SELECT` over the file that gives these columns in this order.
    pub select: &'static str,
    /// Whether the schema comes with rows, which these replace.
    pub replaces: bool,
}

/// What is in a column.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// A number.
    Number,
    /// A number that is 0 or not.
    Flag,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// The 16 bytes of a UUID.
    Uuid,
    /// The id of a run, as people read it.
    Run,
}

/// A file, and the tables whose rows it has.
#[derive(Clone, Debug)]
pub struct Source {
    /// The SQLite file. It has the newest schema, and nobody writes it.
    pub file: PathBuf,
    /// The tables.
    pub tables: &'static [Moved],
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// So many rows of each table were moved.
    Done(Vec<(&'static str, u64)>),
    /// This table has rows already: nothing was changed.
    NotEmpty(&'static str),
}

impl Pool {
    /// Moves the rows of files into empty tables; `then` are statements that end it, such as those which set sequences. All of
    /// it is there afterwards, or nothing.
    ///
    /// # Errors
    /// When a file cannot be read, or the database cannot be reached or refuses a row.
    pub async fn import(&self, sources: &[Source], then: &'static [&'static str]) -> Result<Imported, StoreError> {
        let mut connection = self.connect().await?;
        let imported = import(&mut connection, sources, then).await?;
        connection.close().await.map_err(Error::from)?;
        Ok(imported)
    }
}

async fn import(
    connection: &mut PgConnection,
    sources: &[Source],
    then: &'static [&'static str],
) -> Result<Imported, Error> {
    let mut tx = connection.begin().await?;
    for moved in sources.iter().flat_map(|source| source.tables) {
        let sql = if moved.replaces {
            format!("DELETE FROM {}", moved.table)
        } else {
            format!("SELECT EXISTS (SELECT FROM {})", moved.table)
        };
        let rows = tx.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        let has_rows = rows.first().map_or(Ok(false), |row| row.try_get::<bool, _>(0))?;
        if has_rows {
            return Ok(Imported::NotEmpty(moved.table));
        }
    }
    let mut counts = Vec::new();
    for source in sources {
        for moved in source.tables {
            counts.push((moved.table, copy(&mut tx, source, moved).await?));
        }
    }
    for statement in then {
        tx.execute(sqlx::raw_sql(*statement)).await?;
    }
    tx.commit().await?;
    Ok(Imported::Done(counts))
}

async fn copy(connection: &mut PgConnection, source: &Source, moved: &'static Moved) -> Result<u64, Error> {
    let (pieces, mut lines) = mpsc::channel(2);
    let file = Arc::new(source.file.clone());
    let reads = tokio::task::spawn_blocking(move || read(&file, moved, &pieces));
    let columns: Vec<&str> = moved.columns.iter().map(|(name, _)| *name).collect();
    let sql = format!("COPY {} ({}) FROM STDIN", moved.table, columns.join(", "));
    let mut copy = connection.copy_in_raw(&sql).await?;
    while let Some(piece) = lines.recv().await {
        copy.send(piece).await?;
    }
    match reads.await {
        Ok(Ok(())) => Ok(copy.finish().await?),
        Ok(Err(error)) => {
            copy.abort("the file cannot be read").await?;
            Err(error)
        }
        Err(gone) => std::panic::resume_unwind(gone.into_panic()),
    }
}

/// Reads a table, line by line as `COPY` has them.
fn read(file: &std::path::Path, moved: &Moved, pieces: &mpsc::Sender<Bytes>) -> Result<(), Error> {
    let db = Database::open_read_only(file, false)?;
    let mut piece = Vec::with_capacity(PIECE);
    db.each(moved.select, (), |row| {
        for (place, (name, content)) in moved.columns.iter().enumerate() {
            if place > 0 {
                piece.push(b'\t');
            }
            let value = row.get_ref(place)?;
            write(&mut piece, *content, value).map_err(|what| {
                damaged(format!("the column `{name}` of `{}`: expected {content:?}, found {what}", moved.table))
            })?;
        }
        piece.push(b'\n');
        if piece.len() >= PIECE {
            let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE));
            // Nobody takes it when the database has refused something: that is told.
            let _ = pieces.blocking_send(full.into());
        }
        Ok::<_, Error>(())
    })?;
    let _ = pieces.blocking_send(piece.into());
    Ok(())
}

/// Writes a value as `COPY` reads it; what was found where something else was expected.
fn write(line: &mut Vec<u8>, content: Content, value: ValueRef<'_>) -> Result<(), String> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "bytes".to_owned());
    match (content, value) {
        (_, ValueRef::Null) => line.extend_from_slice(b"\\N"),
        (Content::Number, ValueRef::Integer(number)) => line.extend_from_slice(number.to_string().as_bytes()),
        (Content::Flag, ValueRef::Integer(number)) => line.push(if number == 0 { b'f' } else { b't' }),
        (Content::Text, ValueRef::Text(bytes)) => {
            for byte in stored(&text(bytes)?).bytes() {
                match byte {
                    b'\\' => line.extend_from_slice(b"\\\\"),
                    b'\n' => line.extend_from_slice(b"\\n"),
                    b'\r' => line.extend_from_slice(b"\\r"),
                    b'\t' => line.extend_from_slice(b"\\t"),
                    byte => line.push(byte),
                }
            }
        }
        (Content::Bytes, ValueRef::Blob(bytes)) => {
            line.extend_from_slice(b"\\\\x");
            hex(line, bytes);
        }
        (Content::Uuid, ValueRef::Blob(bytes)) if bytes.len() == 16 => hex(line, bytes),
        (Content::Run, ValueRef::Text(bytes)) => {
            let run: RunId = text(bytes)?.parse()?;
            hex(line, run.0.as_bytes());
        }
        (_, other) => return Err(format!("{:?}", other.data_type())),
    }
    Ok(())
}

fn hex(line: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    line.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}
