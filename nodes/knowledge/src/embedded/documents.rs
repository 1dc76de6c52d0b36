//! The catalog of documents in SQLite.

use liteagent_backends::database::{self, Database};
use liteagent_engine::{
    capability::knowledge::{Document, DocumentStatus, Mark},
    units::Millis,
    value::Object,
};
use rusqlite::{Row, ToSql, params, types::Null};

use super::{bases::draw, damaged};
use crate::{
    catalog::{BaseId, Begin, DocumentQuery, DocumentRow, Finish, Finished, Revision, Setting},
    store::Counts,
};

const COLUMNS: &str = "id, title, url, hash, status, error, enabled, metadata, chunks, tokens, updated_at, revision, settings, \
                       changed";

/// A row whose metadata and status are still text.
struct Raw {
    row: DocumentRow,
    status: String,
    metadata: String,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let document = Document {
        id: row.get(0)?,
        title: row.get(1)?,
        url: row.get(2)?,
        hash: row.get(3)?,
        status: DocumentStatus::Queued,
        error: row.get(5)?,
        enabled: row.get(6)?,
        metadata: Object::default(),
        chunks: row.get(8)?,
        tokens: row.get::<_, i64>(9)? as u64,
        updated_at: row.get(10)?,
    };
    let row_of = DocumentRow { document, revision: row.get(11)?, settings: row.get(12)?, changed: row.get(13)? };
    Ok(Raw { row: row_of, status: row.get(4)?, metadata: row.get(7)? })
}

fn read(raw: Raw) -> Result<DocumentRow, database::Error> {
    let Raw { mut row, status, metadata } = raw;
    let known = DocumentStatus::ALL.into_iter().find(|known| known.as_str() == status);
    row.document.status = known.ok_or_else(|| damaged(&row.document.id, format!("unknown status `{status}`")))?;
    row.document.metadata = serde_json::from_str(&metadata).map_err(|error| damaged(&row.document.id, error))?;
    Ok(row)
}

pub(super) fn one(db: &Database, base: BaseId, id: &str) -> Result<Option<DocumentRow>, database::Error> {
    let sql = format!("SELECT {COLUMNS} FROM documents WHERE base = ?1 AND id = ?2");
    db.first(&sql, params![base, id], raw)?.map(read).transpose()
}

pub(super) fn list(db: &Database, base: BaseId, query: &DocumentQuery) -> Result<Vec<DocumentRow>, database::Error> {
    let from = match &query.after {
        Some(after) if *after >= query.prefix => format!("{after}\0"),
        _ => query.prefix.clone(),
    };
    // Every text is less than every blob.
    let end: Box<dyn ToSql> = match after_prefix(&query.prefix) {
        Some(end) => Box::new(end),
        None => Box::new(Vec::<u8>::new()),
    };
    let status: Box<dyn ToSql> = match query.status {
        Some(status) => Box::new(status.as_str()),
        None => Box::new(Null),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM documents WHERE base = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR status = ?4) \
         ORDER BY id LIMIT ?5"
    );
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    db.all(&sql, params![base, from, end, status, limit], raw)?.into_iter().map(read).collect()
}

/// The least text that is greater than every one that begins so.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

fn json(metadata: &Object) -> Result<String, database::Error> {
    serde_json::to_string(metadata).map_err(|error| damaged("metadata", error))
}

/// `None` when the base was deleted.
pub(super) fn mark(db: &Database, base: BaseId, marks: &[Mark], at: Millis) -> Result<Option<()>, database::Error> {
    if db.first("SELECT 1 FROM bases WHERE id = ?1", [base], |_| Ok(()))?.is_none() {
        return Ok(None);
    }
    let sql = "INSERT INTO documents (base, id, title, hash, status, error, enabled, metadata, chunks, tokens, updated_at, \
               revision, settings, changed, built) VALUES (?1, ?2, ?3, '', ?4, ?5, 1, '{}', 0, 0, ?6, 0, 0, 0, 0) \
               ON CONFLICT DO UPDATE SET status = excluded.status, error = excluded.error, updated_at = excluded.updated_at";
    for mark in marks {
        let title = mark.title.as_ref().unwrap_or(&mark.id);
        db.execute(sql, params![base, mark.id, title, mark.status.as_str(), mark.error, at])?;
    }
    Ok(Some(()))
}

/// `None` when the base was deleted.
pub(super) fn begin(
    db: &Database,
    base: BaseId,
    begin: &Begin,
    at: Millis,
) -> Result<Option<DocumentRow>, database::Error> {
    let Some(number) = draw(db, base)? else { return Ok(None) };
    let sql = "INSERT INTO documents (base, id, title, url, hash, status, enabled, metadata, chunks, tokens, updated_at, \
               revision, settings, changed, built) VALUES (?1, ?2, ?3, ?4, '', ?5, 1, ?6, 0, 0, ?7, ?8, ?8, ?8, 0) \
               ON CONFLICT DO UPDATE SET title = excluded.title, url = excluded.url, hash = '', status = excluded.status, \
               error = NULL, metadata = excluded.metadata, updated_at = excluded.updated_at, revision = excluded.revision, \
               settings = excluded.settings, changed = excluded.changed";
    let status = DocumentStatus::Embedding.as_str();
    db.execute(sql, params![base, begin.id, begin.title, begin.url, status, json(&begin.metadata)?, at, number])?;
    one(db, base, &begin.id)
}

pub(super) fn finish(db: &Database, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, database::Error> {
    let Some(row) = one(db, base, &finish.id)? else { return Ok(Finished::Gone) };
    if row.revision != finish.revision {
        return Ok(Finished::Overtaken);
    }
    if row.settings != finish.settings {
        return Ok(Finished::Settings(Box::new(row)));
    }
    let Some(number) = draw(db, base)? else { return Ok(Finished::Gone) };
    let Finish { id, hash, chunks, tokens, .. } = finish;
    let sql = "UPDATE documents SET hash = ?3, status = ?4, error = NULL, chunks = ?5, tokens = ?6, updated_at = ?7, \
               changed = ?8 WHERE base = ?1 AND id = ?2";
    let status = DocumentStatus::Ready.as_str();
    db.execute(sql, params![base, id, hash, status, chunks, *tokens as i64, at, number])?;
    Ok(Finished::Done)
}

pub(super) fn set(
    db: &Database,
    base: BaseId,
    id: &str,
    setting: &Setting,
    at: Millis,
) -> Result<Option<DocumentRow>, database::Error> {
    let Some(number) = draw(db, base)? else { return Ok(None) };
    let sql = |column| {
        format!(
            "UPDATE documents SET {column} = ?3, settings = ?4, changed = ?4, updated_at = ?5 WHERE base = ?1 AND id = ?2"
        )
    };
    match setting {
        Setting::Enabled(enabled) => db.execute(&sql("enabled"), params![base, id, enabled, number, at])?,
        Setting::Metadata(metadata) => db.execute(&sql("metadata"), params![base, id, json(metadata)?, number, at])?,
    };
    one(db, base, id)
}

pub(super) fn edited(db: &Database, base: BaseId, id: &str, counts: Counts, at: Millis) -> Result<(), database::Error> {
    let Some(number) = draw(db, base)? else { return Ok(()) };
    let sql =
        "UPDATE documents SET chunks = ?3, tokens = ?4, updated_at = ?5, changed = ?6 WHERE base = ?1 AND id = ?2";
    db.execute(sql, params![base, id, counts.chunks, counts.tokens as i64, at, number]).map(drop)
}

pub(super) fn withdraw(
    db: &Database,
    base: BaseId,
    ids: &[String],
    at: Millis,
) -> Result<Vec<(String, Revision)>, database::Error> {
    let sql =
        "UPDATE documents SET hash = '', revision = ?3, changed = ?3, updated_at = ?4 WHERE base = ?1 AND id = ?2";
    let mut found = Vec::new();
    for id in ids {
        let Some(number) = draw(db, base)? else { break };
        if db.execute(sql, params![base, id, number, at])? > 0 {
            found.push((id.clone(), number));
        }
    }
    Ok(found)
}

pub(super) fn remove(db: &Database, base: BaseId, documents: &[(String, Revision)]) -> Result<u64, database::Error> {
    let sql = "DELETE FROM documents WHERE base = ?1 AND id = ?2 AND revision = ?3";
    documents.iter().map(|(id, revision)| Ok(db.execute(sql, params![base, id, revision])? as u64)).sum()
}

pub(super) fn unbuilt(
    db: &Database,
    base: BaseId,
    after: &str,
    limit: usize,
) -> Result<Vec<DocumentRow>, database::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM documents WHERE base = ?1 AND id > ?2 AND built <> changed ORDER BY id LIMIT ?3"
    );
    db.all(&sql, params![base, after, limit as i64], raw)?.into_iter().map(read).collect()
}

pub(super) fn built(db: &Database, base: BaseId, id: &str, changed: Revision) -> Result<bool, database::Error> {
    let sql = "UPDATE documents SET built = max(built, ?3) WHERE base = ?1 AND id = ?2";
    Ok(db.execute(sql, params![base, id, changed])? > 0)
}
