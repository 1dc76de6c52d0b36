//! The catalog of bases in SQLite.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use liteagent_engine::{
    capability::knowledge::{Base, Mark, NewBase},
    units::Millis,
};
use rusqlite::{Row, params};

use super::{Embedded, documents};
use crate::{
    catalog::{
        BaseId, BaseRow, Begin, Catalog, DocumentQuery, DocumentRow, Finish, Finished, NextCollection, Revision,
        Setting,
    },
    error::Error,
    store::Counts,
};

const COLUMNS: &str = "id, name, model, dimensions, language, collection, next_collection, next_model, next_dimensions, \
                       documents, chunks, created_at";

fn base_row(row: &Row<'_>) -> rusqlite::Result<BaseRow> {
    let next: (Option<String>, Option<String>, Option<u32>) = (row.get(6)?, row.get(7)?, row.get(8)?);
    Ok(BaseRow {
        id: row.get(0)?,
        collection: row.get(5)?,
        next: match next {
            (Some(collection), Some(model), Some(dimensions)) => Some(NextCollection { collection, model, dimensions }),
            _ => None,
        },
        base: Base {
            name: row.get(1)?,
            model: row.get(2)?,
            dimensions: row.get(3)?,
            language: row.get(4)?,
            documents: row.get::<_, i64>(9)? as u64,
            chunks: row.get::<_, i64>(10)? as u64,
            created_at: row.get(11)?,
        },
    })
}

/// A base by a column that has no doubles.
fn base_where(db: &Database, column: &str, is: impl rusqlite::ToSql) -> Result<Option<BaseRow>, database::Error> {
    db.first(&format!("SELECT {COLUMNS} FROM bases WHERE {column} = ?1"), [is], base_row)
}

/// The next number of a base; `None` when it was deleted.
pub(super) fn draw(db: &Database, base: BaseId) -> Result<Option<Revision>, database::Error> {
    db.first("UPDATE bases SET counter = counter + 1 WHERE id = ?1 RETURNING counter", [base], |row| row.get(0))
}

fn leave(db: &Database, collection: &str) -> Result<(), database::Error> {
    db.execute("INSERT OR IGNORE INTO leftovers VALUES (?1)", [collection]).map(drop)
}

fn create(db: &Database, base: &NewBase, at: Millis) -> Result<Option<BaseRow>, database::Error> {
    if base_where(db, "name", &base.name)?.is_some() {
        return Ok(None);
    }
    let NewBase { name, model, dimensions, language } = base;
    let sql =
        "INSERT INTO bases (name, model, dimensions, language, collection, created_at) VALUES (?1, ?2, ?3, ?4, '', ?5)";
    db.execute(sql, params![name, model, dimensions, language, at])?;
    let id = db.last_row();
    db.execute("UPDATE bases SET collection = ?2 WHERE id = ?1", params![id, name_of(id, 0)])?;
    base_where(db, "id", id)
}

/// The name of a collection: never used again.
fn name_of(base: BaseId, revision: Revision) -> String {
    format!("kb{base}_{revision}")
}

fn remove(db: &Database, base: BaseId) -> Result<(), database::Error> {
    let Some(row) = base_where(db, "id", base)? else { return Ok(()) };
    db.execute("DELETE FROM bases WHERE id = ?1", [base])?;
    db.execute("DELETE FROM documents WHERE base = ?1", [base])?;
    leave(db, &row.collection)?;
    row.next.map_or(Ok(()), |next| leave(db, &next.collection))
}

fn begin_rebuild(
    db: &Database,
    base: BaseId,
    model: &str,
    dimensions: u32,
) -> Result<Option<NextCollection>, database::Error> {
    let Some(row) = base_where(db, "id", base)? else { return Ok(None) };
    match row.next {
        Some(next) if next.model == model && next.dimensions == dimensions => return Ok(Some(next)),
        Some(other) => leave(db, &other.collection)?,
        None => {}
    }
    let Some(revision) = draw(db, base)? else { return Ok(None) };
    let next = NextCollection { collection: name_of(base, revision), model: model.to_owned(), dimensions };
    let sql = "UPDATE bases SET next_collection = ?2, next_model = ?3, next_dimensions = ?4 WHERE id = ?1";
    db.execute(sql, params![base, next.collection, next.model, next.dimensions])?;
    db.execute("UPDATE documents SET built = 0 WHERE base = ?1", [base])?;
    Ok(Some(next))
}

const NO_NEXT: &str = "next_collection = NULL, next_model = NULL, next_dimensions = NULL";

fn cancel_rebuild(db: &Database, base: BaseId) -> Result<(), database::Error> {
    let Some(next) = base_where(db, "id", base)?.and_then(|row| row.next) else { return Ok(()) };
    db.execute(&format!("UPDATE bases SET {NO_NEXT} WHERE id = ?1"), [base])?;
    leave(db, &next.collection)
}

fn switch(db: &Database, base: BaseId, next: &NextCollection) -> Result<bool, database::Error> {
    let Some(row) = base_where(db, "id", base)? else { return Ok(false) };
    let unbuilt = "SELECT 1 FROM documents WHERE base = ?1 AND built <> changed LIMIT 1";
    if row.next.as_ref() != Some(next) || db.first(unbuilt, [base], |_| Ok(()))?.is_some() {
        return Ok(false);
    }
    let sql = format!("UPDATE bases SET collection = ?2, model = ?3, dimensions = ?4, {NO_NEXT} WHERE id = ?1");
    db.execute(&sql, params![base, next.collection, next.model, next.dimensions])?;
    leave(db, &row.collection)?;
    Ok(true)
}

#[async_trait]
impl Catalog for Embedded {
    async fn base(&self, name: &str) -> Result<Option<BaseRow>, Error> {
        let name = name.to_owned();
        Ok(self.read(move |db| base_where(db, "name", name)).await?)
    }

    async fn bases(&self) -> Result<Vec<BaseRow>, Error> {
        Ok(self.read(|db| db.all(&format!("SELECT {COLUMNS} FROM bases ORDER BY name"), (), base_row)).await?)
    }

    async fn create(&self, base: &NewBase, at: Millis) -> Result<Option<BaseRow>, Error> {
        let base = base.clone();
        Ok(self.write(move |db| create(db, &base, at)).await?)
    }

    async fn remove(&self, base: BaseId) -> Result<(), Error> {
        Ok(self.write(move |db| remove(db, base)).await?)
    }

    async fn leftovers(&self) -> Result<Vec<String>, Error> {
        Ok(self.read(|db| db.all("SELECT collection FROM leftovers", (), |row| row.get(0))).await?)
    }

    async fn forget_leftover(&self, collection: &str) -> Result<(), Error> {
        let collection = collection.to_owned();
        let sql = "DELETE FROM leftovers WHERE collection = ?1";
        Ok(self.write(move |db| db.execute(sql, [&collection]).map(drop)).await?)
    }

    async fn documents(&self, base: BaseId, ids: &[String]) -> Result<Vec<Option<DocumentRow>>, Error> {
        let ids = ids.to_owned();
        Ok(self.read(move |db| ids.iter().map(|id| documents::one(db, base, id)).collect()).await?)
    }

    async fn list(&self, base: BaseId, query: &DocumentQuery) -> Result<Vec<DocumentRow>, Error> {
        let query = query.clone();
        Ok(self.read(move |db| documents::list(db, base, &query)).await?)
    }

    async fn mark(&self, base: BaseId, marks: &[Mark], at: Millis) -> Result<(), Error> {
        let marks = marks.to_owned();
        let done = self.write(move |db| documents::mark(db, base, &marks, at)).await?;
        done.ok_or(Error::NoBase)
    }

    async fn begin(&self, base: BaseId, begin: &Begin, at: Millis) -> Result<DocumentRow, Error> {
        let begin = begin.clone();
        let begun = self.write(move |db| documents::begin(db, base, &begin, at)).await?;
        begun.ok_or(Error::NoBase)
    }

    async fn finish(&self, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, Error> {
        let finish = finish.clone();
        let finished = self
            .write(move |db| match base_where(db, "id", base)? {
                None => Ok(Finished::Gone),
                Some(row) if row.collection != finish.collection => Ok(Finished::Moved),
                Some(_) => documents::finish(db, base, &finish, at),
            })
            .await?;
        Ok(finished)
    }

    async fn set(&self, base: BaseId, id: &str, setting: &Setting, at: Millis) -> Result<Option<DocumentRow>, Error> {
        let (id, setting) = (id.to_owned(), setting.clone());
        Ok(self.write(move |db| documents::set(db, base, &id, &setting, at)).await?)
    }

    async fn edited(&self, base: &BaseRow, id: &str, counts: Counts, at: Millis) -> Result<bool, Error> {
        let (base, id) = (base.clone(), id.to_owned());
        let edited = self.write(move |db| match base_where(db, "id", base.id)? {
            Some(row) if row.collection == base.collection => {
                documents::edited(db, base.id, &id, counts, at).map(|()| true)
            }
            _ => Ok(false),
        });
        Ok(edited.await?)
    }

    async fn withdraw(&self, base: BaseId, ids: &[String], at: Millis) -> Result<Vec<(String, Revision)>, Error> {
        let ids = ids.to_owned();
        Ok(self.write(move |db| documents::withdraw(db, base, &ids, at)).await?)
    }

    async fn remove_documents(&self, base: BaseId, gone: &[(String, Revision)]) -> Result<u64, Error> {
        let gone = gone.to_owned();
        Ok(self.write(move |db| documents::remove(db, base, &gone)).await?)
    }

    async fn begin_rebuild(&self, base: BaseId, model: &str, dimensions: u32) -> Result<NextCollection, Error> {
        let model = model.to_owned();
        let next = self.write(move |db| begin_rebuild(db, base, &model, dimensions)).await?;
        next.ok_or(Error::NoBase)
    }

    async fn cancel_rebuild(&self, base: BaseId) -> Result<(), Error> {
        Ok(self.write(move |db| cancel_rebuild(db, base)).await?)
    }

    async fn unbuilt(&self, base: BaseId, after: Option<&str>, limit: usize) -> Result<Vec<DocumentRow>, Error> {
        let after = after.unwrap_or_default().to_owned();
        Ok(self.read(move |db| documents::unbuilt(db, base, &after, limit)).await?)
    }

    async fn built(&self, base: BaseId, id: &str, changed: Revision) -> Result<bool, Error> {
        let id = id.to_owned();
        Ok(self.write(move |db| documents::built(db, base, &id, changed)).await?)
    }

    async fn switch(&self, base: BaseId, next: &NextCollection) -> Result<bool, Error> {
        let next = next.clone();
        Ok(self.write(move |db| switch(db, base, &next)).await?)
    }
}
