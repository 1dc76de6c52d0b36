//! Bases, and the collections that they have and had.

use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Row, Sql, Tx, sql},
};
use liteagent_engine::{
    capability::knowledge::{Base, NewBase},
    units::Millis,
};

use crate::catalog::{BaseId, BaseRow, NextCollection, Revision};

/// Bases with the columns that [`base`] reads.
macro_rules! select {
    ($($rest:literal)?) => {
        concat!(
            "SELECT id, name, model, dimensions, language, collection, next_collection, next_model, next_dimensions, \
             documents, chunks, created_at FROM knowledge_bases",
            $($rest)?
        )
    };
}

pub(super) fn base(row: &Row) -> Result<BaseRow, Error> {
    let next = (row.maybe_text(6)?, row.maybe_text(7)?, row.maybe_number(8)?);
    Ok(BaseRow {
        id: row.value(0)?,
        collection: row.text(5)?,
        next: match next {
            (Some(collection), Some(model), Some(dimensions)) => Some(NextCollection { collection, model, dimensions }),
            _ => None,
        },
        base: Base {
            name: row.text(1)?,
            model: row.text(2)?,
            dimensions: row.number(3)?,
            language: row.text(4)?,
            documents: row.number(9)?,
            chunks: row.number(10)?,
            created_at: row.value(11)?,
        },
    })
}

pub(super) fn named(name: &str) -> Sql<'_> {
    sql(select!(" WHERE name = $1")).bind(name)
}

pub(super) fn all() -> Sql<'static> {
    sql(select!(" ORDER BY name"))
}

/// A base that nobody else changes until the commit.
pub(super) async fn lock(tx: &mut Tx<'_>, id: BaseId) -> Result<Option<BaseRow>, Error> {
    tx.first(sql(select!(" WHERE id = $1 FOR UPDATE")).bind(id)).await?.as_ref().map(base).transpose()
}

/// The last of the next numbers of a base, which is locked; `None` when it was deleted.
pub(super) async fn draw(tx: &mut Tx<'_>, base: BaseId, how_many: i64) -> Result<Option<Revision>, Error> {
    let text = "UPDATE knowledge_bases SET counter = counter + $2 WHERE id = $1 RETURNING counter";
    tx.first(sql(text).bind(base).bind(how_many)).await?.map(|row| row.value(0)).transpose()
}

async fn leave(tx: &mut Tx<'_>, collection: &str) -> Result<(), Error> {
    let text = "INSERT INTO knowledge_leftovers VALUES ($1) ON CONFLICT DO NOTHING";
    tx.execute(sql(text).bind(collection)).await.map(drop)
}

pub(super) async fn create(tx: &mut Tx<'_>, new: &NewBase, at: Millis) -> Result<Option<BaseRow>, Error> {
    let NewBase { name, model, dimensions, language } = new;
    let text = "INSERT INTO knowledge_bases (name, model, dimensions, language, collection, created_at) \
                VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT (name) DO NOTHING RETURNING id";
    let add = sql(text).bind(name).bind(model).bind(i64::from(*dimensions)).bind(language).bind(at);
    let Some(row) = tx.first(add).await? else { return Ok(None) };
    let id: BaseId = row.value(0)?;
    let text = "UPDATE knowledge_bases SET collection = $2 WHERE id = $1";
    tx.execute(sql(text).bind(id).bind(name_of(id, 0))).await?;
    lock(tx, id).await
}

/// The name of a collection: never used again.
fn name_of(base: BaseId, revision: Revision) -> String {
    format!("kb{base}_{revision}")
}

pub(super) async fn remove(tx: &mut Tx<'_>, base: BaseId) -> Result<(), Error> {
    let Some(row) = lock(tx, base).await? else { return Ok(()) };
    tx.execute(sql("DELETE FROM knowledge_bases WHERE id = $1").bind(base)).await?;
    tx.execute(sql("DELETE FROM knowledge_documents WHERE base = $1").bind(base)).await?;
    leave(tx, &row.collection).await?;
    match row.next {
        Some(next) => leave(tx, &next.collection).await,
        None => Ok(()),
    }
}

pub(super) async fn begin_rebuild(
    tx: &mut Tx<'_>,
    base: BaseId,
    model: &str,
    dimensions: u32,
) -> Result<Option<NextCollection>, Error> {
    let Some(row) = lock(tx, base).await? else { return Ok(None) };
    match row.next {
        Some(next) if next.model == model && next.dimensions == dimensions => return Ok(Some(next)),
        Some(other) => leave(tx, &other.collection).await?,
        None => {}
    }
    let Some(revision) = draw(tx, base, 1).await? else { return Ok(None) };
    let next = NextCollection { collection: name_of(base, revision), model: model.to_owned(), dimensions };
    let text = "UPDATE knowledge_bases SET next_collection = $2, next_model = $3, next_dimensions = $4 WHERE id = $1";
    let set = sql(text).bind(base).bind(&next.collection).bind(&next.model).bind(i64::from(next.dimensions));
    tx.execute(set).await?;
    tx.execute(sql("UPDATE knowledge_documents SET built = 0 WHERE base = $1").bind(base)).await?;
    Ok(Some(next))
}

pub(super) async fn cancel_rebuild(tx: &mut Tx<'_>, base: BaseId) -> Result<(), Error> {
    let Some(next) = lock(tx, base).await?.and_then(|row| row.next) else { return Ok(()) };
    let text =
        "UPDATE knowledge_bases SET next_collection = NULL, next_model = NULL, next_dimensions = NULL WHERE id = $1";
    tx.execute(sql(text).bind(base)).await?;
    leave(tx, &next.collection).await
}

pub(super) async fn switch(tx: &mut Tx<'_>, base: BaseId, next: &NextCollection) -> Result<bool, Error> {
    let Some(row) = lock(tx, base).await? else { return Ok(false) };
    let unbuilt = "SELECT 1 FROM knowledge_documents WHERE base = $1 AND built <> changed LIMIT 1";
    if row.next.as_ref() != Some(next) || tx.first(sql(unbuilt).bind(base)).await?.is_some() {
        return Ok(false);
    }
    let text = "UPDATE knowledge_bases SET collection = $2, model = $3, dimensions = $4, next_collection = NULL, \
                next_model = NULL, next_dimensions = NULL WHERE id = $1";
    let set = sql(text).bind(base).bind(&next.collection).bind(&next.model).bind(i64::from(next.dimensions));
    tx.execute(set).await?;
    leave(tx, &row.collection).await?;
    Ok(true)
}
