//! Documents. What changes them begins by drawing a number of their base, which locks it.

use std::{borrow::Cow, collections::BTreeMap};

use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Row, Sql, Tx, sql, stored},
};
use liteagent_engine::{
    capability::knowledge::{Document, DocumentStatus, Mark},
    units::Millis,
    value::Object,
};

use super::{
    as_limit,
    bases::{draw, lock},
    broken,
};
use crate::{
    catalog::{BaseId, Begin, DocumentQuery, DocumentRow, Finish, Finished, Revision, Setting},
    store::Counts,
};

/// The columns that [`document`] reads.
macro_rules! columns {
    () => {
        "id, title, url, hash, status, error, enabled, metadata, chunks, tokens, updated_at, revision, settings, changed"
    };
}

pub(super) fn document(row: &Row) -> Result<DocumentRow, Error> {
    let (id, status) = (row.text(0)?, row.text(4)?);
    let known = DocumentStatus::ALL.into_iter().find(|known| known.as_str() == status);
    let status = known.ok_or_else(|| broken(&id, format!("unknown status `{status}`")))?;
    let metadata = serde_json::from_str(&row.text(7)?).map_err(|error| broken(&id, error))?;
    let document = Document {
        title: row.text(1)?,
        url: row.maybe_text(2)?,
        hash: row.text(3)?,
        status,
        error: row.maybe_text(5)?,
        enabled: row.value(6)?,
        metadata,
        chunks: row.number(8)?,
        tokens: row.number(9)?,
        updated_at: row.value(10)?,
        id,
    };
    Ok(DocumentRow { document, revision: row.value(11)?, settings: row.value(12)?, changed: row.value(13)? })
}

fn all_stored(ids: &[String]) -> Vec<Cow<'_, str>> {
    ids.iter().map(|id| stored(id)).collect()
}

pub(super) fn these(base: BaseId, ids: &[String]) -> Sql<'_> {
    sql(concat!("SELECT ", columns!(), " FROM knowledge_documents WHERE base = $1 AND id = ANY($2)"))
        .bind(base)
        .bind(all_stored(ids))
}

pub(super) fn page(base: BaseId, query: &DocumentQuery) -> Sql<'_> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM knowledge_documents WHERE base = $1 AND ($2::text IS NULL OR id > $2 COLLATE \"C\") AND id ^@ $3 \
         AND ($4::text IS NULL OR status = $4) ORDER BY id LIMIT $5"
    );
    sql(text)
        .bind(base)
        .bind(query.after.as_deref().map(stored))
        .bind(stored(&query.prefix))
        .bind(query.status.map(DocumentStatus::as_str))
        .bind(as_limit(query.limit))
}

pub(super) fn unbuilt(base: BaseId, after: Option<&str>, limit: usize) -> Sql<'_> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM knowledge_documents WHERE base = $1 AND id > $2 AND built <> changed ORDER BY id LIMIT $3"
    );
    sql(text).bind(base).bind(stored(after.unwrap_or_default())).bind(as_limit(limit))
}

async fn one(tx: &mut Tx<'_>, base: BaseId, id: &str) -> Result<Option<DocumentRow>, Error> {
    let query = sql(concat!("SELECT ", columns!(), " FROM knowledge_documents WHERE base = $1 AND id = $2"));
    tx.first(query.bind(base).bind(stored(id))).await?.as_ref().map(document).transpose()
}

fn json(metadata: &Object) -> Result<String, Error> {
    serde_json::to_string(metadata).map_err(|error| broken("metadata", error))
}

/// `None` when the base was deleted.
pub(super) async fn mark(tx: &mut Tx<'_>, base: BaseId, marks: &[Mark], at: Millis) -> Result<Option<()>, Error> {
    if lock(tx, base).await?.is_none() {
        return Ok(None);
    }
    // A statement changes each row once: the last mark of a document counts.
    let last: BTreeMap<&str, &Mark> = marks.iter().map(|mark| (&*mark.id, mark)).collect();
    let column = |of: &dyn for<'m> Fn(&'m Mark) -> Option<&'m str>| -> Vec<Option<String>> {
        last.values().map(|mark| of(mark).map(|text| stored(text).into_owned())).collect()
    };
    let text = "INSERT INTO knowledge_documents (base, id, title, hash, status, error, enabled, metadata, chunks, tokens, \
                updated_at, revision, settings, changed, built) \
                SELECT $1, id, title, '', status, error, true, '{}', 0, 0, $6, 0, 0, 0, 0 \
                FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS marks (id, title, status, error) \
                ON CONFLICT (base, id) DO UPDATE SET status = excluded.status, error = excluded.error, \
                updated_at = excluded.updated_at";
    let add = sql(text)
        .bind(base)
        .bind(column(&|mark| Some(&mark.id)))
        .bind(column(&|mark| Some(mark.title.as_ref().unwrap_or(&mark.id))))
        .bind(column(&|mark| Some(mark.status.as_str())))
        .bind(column(&|mark| mark.error.as_deref()))
        .bind(at);
    tx.execute(add).await?;
    Ok(Some(()))
}

/// `None` when the base was deleted.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    base: BaseId,
    begin: &Begin,
    at: Millis,
) -> Result<Option<DocumentRow>, Error> {
    let Some(number) = draw(tx, base, 1).await? else { return Ok(None) };
    let text = "INSERT INTO knowledge_documents (base, id, title, url, hash, status, enabled, metadata, chunks, tokens, \
                updated_at, revision, settings, changed, built) \
                VALUES ($1, $2, $3, $4, '', $5, true, $6, 0, 0, $7, $8, $8, $8, 0) \
                ON CONFLICT (base, id) DO UPDATE SET title = excluded.title, url = excluded.url, hash = '', \
                status = excluded.status, error = NULL, metadata = excluded.metadata, updated_at = excluded.updated_at, \
                revision = excluded.revision, settings = excluded.settings, changed = excluded.changed";
    let add = sql(text)
        .bind(base)
        .bind(stored(&begin.id))
        .bind(stored(&begin.title))
        .bind(begin.url.as_deref().map(stored))
        .bind(DocumentStatus::Embedding.as_str())
        .bind(json(&begin.metadata)?)
        .bind(at)
        .bind(number);
    tx.execute(add).await?;
    one(tx, base, &begin.id).await
}

/// The base is locked.
pub(super) async fn finish(tx: &mut Tx<'_>, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, Error> {
    let Some(row) = one(tx, base, &finish.id).await? else { return Ok(Finished::Gone) };
    if row.revision != finish.revision {
        return Ok(Finished::Overtaken);
    }
    if row.settings != finish.settings {
        return Ok(Finished::Settings(Box::new(row)));
    }
    let Some(number) = draw(tx, base, 1).await? else { return Ok(Finished::Gone) };
    let Finish { id, hash, chunks, tokens, .. } = finish;
    let text = "UPDATE knowledge_documents SET hash = $3, status = $4, error = NULL, chunks = $5, tokens = $6, \
                updated_at = $7, changed = $8 WHERE base = $1 AND id = $2";
    let set = sql(text).bind(base).bind(stored(id)).bind(hash).bind(DocumentStatus::Ready.as_str());
    tx.execute(set.bind(i64::from(*chunks)).bind(*tokens as i64).bind(at).bind(number)).await?;
    Ok(Finished::Done)
}

pub(super) async fn set(
    tx: &mut Tx<'_>,
    base: BaseId,
    id: &str,
    setting: &Setting,
    at: Millis,
) -> Result<Option<DocumentRow>, Error> {
    let Some(number) = draw(tx, base, 1).await? else { return Ok(None) };
    let (enabled, metadata) = match setting {
        Setting::Enabled(enabled) => (Some(*enabled), None),
        Setting::Metadata(metadata) => (None, Some(json(metadata)?)),
    };
    let text = "UPDATE knowledge_documents SET enabled = coalesce($3, enabled), metadata = coalesce($4, metadata), \
                settings = $5, changed = $5, updated_at = $6 WHERE base = $1 AND id = $2";
    let set = sql(text).bind(base).bind(stored(id)).bind(enabled).bind(metadata).bind(number).bind(at);
    tx.execute(set).await?;
    one(tx, base, id).await
}

/// The base is locked.
pub(super) async fn edited(tx: &mut Tx<'_>, base: BaseId, id: &str, counts: Counts, at: Millis) -> Result<(), Error> {
    let Some(number) = draw(tx, base, 1).await? else { return Ok(()) };
    let text = "UPDATE knowledge_documents SET chunks = $3, tokens = $4, updated_at = $5, changed = $6 \
                WHERE base = $1 AND id = $2";
    let set = sql(text).bind(base).bind(stored(id)).bind(i64::from(counts.chunks)).bind(counts.tokens as i64);
    tx.execute(set.bind(at).bind(number)).await.map(drop)
}

pub(super) async fn withdraw(
    tx: &mut Tx<'_>,
    base: BaseId,
    ids: &[String],
    at: Millis,
) -> Result<Vec<(String, Revision)>, Error> {
    // Each has a number of its own.
    let many = as_limit(ids.len());
    let Some(last) = draw(tx, base, many).await? else { return Ok(Vec::new()) };
    let text = "UPDATE knowledge_documents AS old SET hash = '', revision = $3 + nth, changed = $3 + nth, updated_at = $4 \
                FROM unnest($2::text[]) WITH ORDINALITY AS gone (id, nth) WHERE old.base = $1 AND old.id = gone.id \
                RETURNING old.id, old.revision";
    let rows = tx.rows(sql(text).bind(base).bind(all_stored(ids)).bind(last - many).bind(at)).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.value(1)?))).collect()
}

pub(super) async fn remove(tx: &mut Tx<'_>, base: BaseId, gone: &[(String, Revision)]) -> Result<u64, Error> {
    // The triggers count in the row of the base: it is locked before those of documents, as everywhere.
    if lock(tx, base).await?.is_none() {
        return Ok(0);
    }
    let (ids, revisions): (Vec<_>, Vec<_>) = gone.iter().map(|(id, revision)| (stored(id), *revision)).unzip();
    let text = "DELETE FROM knowledge_documents AS old USING unnest($2::text[], $3::bigint[]) AS gone (id, revision) \
                WHERE old.base = $1 AND old.id = gone.id AND old.revision = gone.revision";
    tx.execute(sql(text).bind(base).bind(ids).bind(revisions)).await
}
