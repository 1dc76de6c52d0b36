//! What is written to collections in SQLite. Each function is part of a transaction.

use liteagent_backends::database::{self, Database};
use rusqlite::params;

use super::{bytes_of, damaged};
use crate::{
    catalog::Revision,
    store::{Counts, Put, PutChunk, Settings},
    terms::Terms,
};

/// From how many tombstones on the oldest are purged.
const TOMBSTONES: i64 = 1_000;
/// Changes whose tombstones stay: writes that began so long ago are refused still.
const KEPT_CHANGES: i64 = 100;

/// A document as the collection has it.
struct Source {
    row: i64,
    revision: Revision,
    settings: Revision,
    deleted: bool,
}

/// The number of a collection, and that of the change that begins; `None` when it is not there.
fn change(db: &Database, collection: &str) -> Result<Option<(i64, i64)>, database::Error> {
    let sql = "UPDATE collections SET changes = changes + 1 WHERE name = ?1 RETURNING id, changes";
    db.first(sql, [collection], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn source(db: &Database, collection: i64, document: &str) -> Result<Option<Source>, database::Error> {
    let sql = "SELECT row, revision, settings, deleted FROM sources WHERE collection = ?1 AND document = ?2";
    db.first(sql, params![collection, document], |row| {
        Ok(Source { row: row.get(0)?, revision: row.get(1)?, settings: row.get(2)?, deleted: row.get(3)? })
    })
}

pub(super) fn create(db: &Database, name: &str, dimensions: u32) -> Result<(), database::Error> {
    let sql = "INSERT OR IGNORE INTO collections (name, dimensions, changes, purged) VALUES (?1, ?2, 0, 0)";
    db.execute(sql, params![name, dimensions]).map(drop)
}

pub(super) fn drop_collection(db: &Database, name: &str) -> Result<Option<i64>, database::Error> {
    let sql = "DELETE FROM collections WHERE name = ?1 RETURNING id";
    let Some(id) = db.first(sql, [name], |row| row.get::<_, i64>(0))? else { return Ok(None) };
    let of_sources = "source IN (SELECT row FROM sources WHERE collection = ?1)";
    db.execute(&format!("DELETE FROM chunks WHERE {of_sources}"), [id])?;
    db.execute(&format!("DELETE FROM vectors WHERE {of_sources}"), [id])?;
    db.execute("DELETE FROM sources WHERE collection = ?1", [id])?;
    Ok(Some(id))
}

pub(super) fn put(db: &Database, collection: &str, put: &Put) -> Result<Option<()>, database::Error> {
    let Some((collection, change)) = change(db, collection)? else { return Ok(None) };
    let found = source(db, collection, &put.document)?;
    let row = match found {
        Some(found) if found.revision > put.revision || (found.deleted && found.revision == put.revision) => {
            return Ok(Some(()));
        }
        Some(found) => {
            clear(db, found.row)?;
            let sql = "UPDATE sources SET revision = ?2, deleted = 0, change = ?3, content = ?3 WHERE row = ?1";
            db.execute(sql, params![found.row, put.revision, change])?;
            if put.settings.revision >= found.settings {
                set(db, found.row, &put.settings, change)?;
            }
            found.row
        }
        None => {
            insert(db, collection, &put.document, put.revision, change)?;
            let row = db.last_row();
            set(db, row, &put.settings, change)?;
            row
        }
    };
    for chunk in &put.chunks {
        add(db, row, chunk)?;
    }
    Ok(Some(()))
}

fn insert(
    db: &Database,
    collection: i64,
    document: &str,
    revision: Revision,
    change: i64,
) -> Result<(), database::Error> {
    let sql = "INSERT INTO sources (collection, document, revision, settings, enabled, metadata, deleted, change, content) \
               VALUES (?1, ?2, ?3, 0, 1, '{}', 0, ?4, ?4)";
    db.execute(sql, params![collection, document, revision, change]).map(drop)
}

fn set(db: &Database, source: i64, settings: &Settings, change: i64) -> Result<(), database::Error> {
    let metadata = serde_json::to_string(&settings.metadata).map_err(|error| damaged("metadata", error))?;
    let sql = "UPDATE sources SET settings = ?2, enabled = ?3, metadata = ?4, change = ?5 WHERE row = ?1";
    db.execute(sql, params![source, settings.revision, settings.enabled, metadata, change]).map(drop)
}

fn clear(db: &Database, source: i64) -> Result<(), database::Error> {
    db.execute("DELETE FROM chunks WHERE source = ?1", [source])?;
    db.execute("DELETE FROM vectors WHERE source = ?1", [source]).map(drop)
}

fn add(db: &Database, source: i64, put: &PutChunk) -> Result<(), database::Error> {
    let PutChunk { position, chunk, terms, vector } = put;
    let body = serde_json::to_string(chunk).map_err(|error| damaged("chunk", error))?;
    let sql = "INSERT INTO chunks (source, position, tokens, body) VALUES (?1, ?2, ?3, ?4)";
    db.execute(sql, params![source, position, chunk.tokens, body])?;
    let sql = "INSERT INTO vectors (row, source, position, passage, length, terms, vector) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let passage = chunk.passage.as_deref().map_or(-1, passage);
    let row = db.last_row();
    let values = params![row, source, position, passage, terms.length, packed(terms), bytes_of(vector)];
    db.execute(sql, values).map(drop)
}

/// A number of a passage within its document, from 0. FNV-1a of 64 bits.
fn passage(text: &str) -> i64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash >> 1) as i64
}

/// Each term in four bytes, and how often it stands there in one.
fn packed(terms: &Terms) -> Vec<u8> {
    let pack = |(term, count): &(u32, u32)| {
        let [a, b, c, d] = term.to_le_bytes();
        [a, b, c, d, u8::try_from(*count).unwrap_or(u8::MAX)]
    };
    terms.counts.iter().flat_map(pack).collect()
}

pub(super) fn describe(
    db: &Database,
    collection: &str,
    document: &str,
    settings: &Settings,
) -> Result<Option<()>, database::Error> {
    let Some((collection, change)) = change(db, collection)? else { return Ok(None) };
    if let Some(found) = source(db, collection, document)?
        && !found.deleted
        && found.settings <= settings.revision
    {
        set(db, found.row, settings, change)?;
    }
    Ok(Some(()))
}

pub(super) fn delete(
    db: &Database,
    name: &str,
    documents: &[(String, Revision)],
) -> Result<Option<()>, database::Error> {
    let Some((collection, change)) = change(db, name)? else { return Ok(None) };
    for (document, revision) in documents {
        let row = match source(db, collection, document)? {
            Some(found) if found.revision > *revision => continue,
            Some(found) => found.row,
            None => {
                insert(db, collection, document, *revision, change)?;
                db.last_row()
            }
        };
        clear(db, row)?;
        let sql =
            "UPDATE sources SET revision = ?2, deleted = 1, metadata = '{}', change = ?3, content = ?3 WHERE row = ?1";
        db.execute(sql, params![row, revision, change])?;
    }
    purge(db, collection, change)?;
    Ok(Some(()))
}

fn purge(db: &Database, collection: i64, change: i64) -> Result<(), database::Error> {
    let sql = "SELECT count(*) FROM sources WHERE collection = ?1 AND deleted";
    let tombstones: i64 = db.first(sql, [collection], |row| row.get(0))?.unwrap_or_default();
    if tombstones > TOMBSTONES {
        let old = change - KEPT_CHANGES;
        db.execute("DELETE FROM sources WHERE collection = ?1 AND deleted AND change <= ?2", [collection, old])?;
        db.execute("UPDATE collections SET purged = max(purged, ?2) WHERE id = ?1", [collection, old])?;
    }
    Ok(())
}

/// What became of the edit of a chunk.
pub(super) enum Edited {
    NoCollection,
    NoChunk,
    Done(Counts),
}

pub(super) fn edit(
    db: &Database,
    collection: &str,
    document: &str,
    position: u32,
    chunk: Option<&PutChunk>,
) -> Result<Edited, database::Error> {
    let Some((collection, change)) = change(db, collection)? else { return Ok(Edited::NoCollection) };
    let Some(source) = source(db, collection, document)? else { return Ok(Edited::NoChunk) };
    let sql = "DELETE FROM chunks WHERE source = ?1 AND position = ?2 RETURNING row";
    let Some(row) = db.first(sql, params![source.row, position], |row| row.get::<_, i64>(0))? else {
        return Ok(Edited::NoChunk);
    };
    db.execute("DELETE FROM vectors WHERE row = ?1", [row])?;
    if let Some(chunk) = chunk {
        add(db, source.row, chunk)?;
    }
    db.execute("UPDATE sources SET change = ?2, content = ?2 WHERE row = ?1", [source.row, change])?;
    let sql = "SELECT count(*), coalesce(sum(tokens), 0) FROM chunks WHERE source = ?1";
    let counts =
        db.first(sql, [source.row], |row| Ok(Counts { chunks: row.get(0)?, tokens: row.get::<_, i64>(1)? as u64 }))?;
    Ok(Edited::Done(counts.unwrap_or_default()))
}
