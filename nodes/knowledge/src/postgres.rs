//! The catalog in PostgreSQL, in the database of the runs. Several processes write at once: whoever changes a base or its
//! documents locks the row of the base first.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error as DatabaseError, damaged},
    postgres::{Columns as _, Migration, Migrations, Pool, sql, stored},
};
use liteagent_engine::{
    capability::knowledge::{Mark, NewBase},
    store::StoreError,
    units::Millis,
};

use crate::{
    catalog::{
        BaseId, BaseRow, Begin, Catalog, DocumentQuery, DocumentRow, Finish, Finished, NextCollection, Revision,
        Setting,
    },
    error::Error,
    store::Counts,
};

mod bases;
mod documents;
#[cfg(test)]
mod tests;

/// The schema of the catalog of knowledge bases.
pub const KNOWLEDGE: Migrations = Migrations {
    component: "knowledge",
    versions: &[Migration::Expands(include_str!("../migrations/postgres/0001_knowledge.sql"))],
};

/// The catalog in a PostgreSQL database.
pub(crate) struct PostgresCatalog(Pool);

impl PostgresCatalog {
    /// The catalog in a database; its schema is made where there is none.
    pub(crate) async fn over(pool: Pool) -> Result<Self, StoreError> {
        pool.prepare(&KNOWLEDGE).await?;
        Ok(Self(pool))
    }

    /// What tells this installation from others.
    pub(crate) async fn installation(&self) -> Result<String, StoreError> {
        let found = self.0.first(sql("SELECT id FROM knowledge_installation")).await?;
        let found = found.ok_or_else(|| damaged("the knowledge bases have no id of their installation"))?;
        Ok(found.text(0)?)
    }
}

#[async_trait]
impl Catalog for PostgresCatalog {
    async fn base(&self, name: &str) -> Result<Option<BaseRow>, Error> {
        let row = self.0.first(bases::named(name)).await?;
        Ok(row.as_ref().map(bases::base).transpose()?)
    }

    async fn bases(&self) -> Result<Vec<BaseRow>, Error> {
        let rows = self.0.rows(bases::all()).await?;
        Ok(rows.iter().map(bases::base).collect::<Result<_, _>>()?)
    }

    async fn create(&self, base: &NewBase, at: Millis) -> Result<Option<BaseRow>, Error> {
        let created = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let created = bases::create(&mut tx, base, at).await?;
            tx.done(created).await
        });
        Ok(created.await?)
    }

    async fn remove(&self, base: BaseId) -> Result<(), Error> {
        let removed = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            bases::remove(&mut tx, base).await?;
            tx.done(()).await
        });
        Ok(removed.await?)
    }

    async fn leftovers(&self) -> Result<Vec<String>, Error> {
        let rows = self.0.rows(sql("SELECT collection FROM knowledge_leftovers")).await?;
        Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
    }

    async fn forget_leftover(&self, collection: &str) -> Result<(), Error> {
        let text = "DELETE FROM knowledge_leftovers WHERE collection = $1";
        Ok(self.0.write(|| sql(text).bind(collection)).await.map(drop)?)
    }

    async fn documents(&self, base: BaseId, ids: &[String]) -> Result<Vec<Option<DocumentRow>>, Error> {
        let rows = self.0.rows(documents::these(base, ids)).await?;
        let found = rows.iter().map(documents::document).collect::<Result<Vec<_>, _>>()?;
        Ok(ids.iter().map(|id| found.iter().find(|row| row.document.id == *id).cloned()).collect())
    }

    async fn list(&self, base: BaseId, query: &DocumentQuery) -> Result<Vec<DocumentRow>, Error> {
        let rows = self.0.rows(documents::page(base, query)).await?;
        Ok(rows.iter().map(documents::document).collect::<Result<_, _>>()?)
    }

    async fn mark(&self, base: BaseId, marks: &[Mark], at: Millis) -> Result<(), Error> {
        let marked = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let marked = documents::mark(&mut tx, base, marks, at).await?;
            tx.done(marked).await
        });
        marked.await?.ok_or(Error::NoBase)
    }

    async fn begin(&self, base: BaseId, begin: &Begin, at: Millis) -> Result<DocumentRow, Error> {
        let begun = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let begun = documents::begin(&mut tx, base, begin, at).await?;
            tx.done(begun).await
        });
        begun.await?.ok_or(Error::NoBase)
    }

    async fn finish(&self, base: BaseId, finish: &Finish, at: Millis) -> Result<Finished, Error> {
        let finished = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let finished = match bases::lock(&mut tx, base).await? {
                None => Finished::Gone,
                Some(row) if row.collection != finish.collection => Finished::Moved,
                Some(_) => documents::finish(&mut tx, base, finish, at).await?,
            };
            tx.done(finished).await
        });
        Ok(finished.await?)
    }

    async fn set(&self, base: BaseId, id: &str, setting: &Setting, at: Millis) -> Result<Option<DocumentRow>, Error> {
        let set = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let set = documents::set(&mut tx, base, id, setting, at).await?;
            tx.done(set).await
        });
        Ok(set.await?)
    }

    async fn edited(&self, base: &BaseRow, id: &str, counts: Counts, at: Millis) -> Result<bool, Error> {
        let edited = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let now = bases::lock(&mut tx, base.id).await?;
            let is_there = now.is_some_and(|now| now.collection == base.collection);
            if is_there {
                documents::edited(&mut tx, base.id, id, counts, at).await?;
            }
            tx.done(is_there).await
        });
        Ok(edited.await?)
    }

    async fn withdraw(&self, base: BaseId, ids: &[String], at: Millis) -> Result<Vec<(String, Revision)>, Error> {
        let withdrawn = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let withdrawn = documents::withdraw(&mut tx, base, ids, at).await?;
            tx.done(withdrawn).await
        });
        Ok(withdrawn.await?)
    }

    async fn remove_documents(&self, base: BaseId, gone: &[(String, Revision)]) -> Result<u64, Error> {
        let removed = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let removed = documents::remove(&mut tx, base, gone).await?;
            tx.done(removed).await
        });
        Ok(removed.await?)
    }

    async fn begin_rebuild(&self, base: BaseId, model: &str, dimensions: u32) -> Result<NextCollection, Error> {
        let begun = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let begun = bases::begin_rebuild(&mut tx, base, model, dimensions).await?;
            tx.done(begun).await
        });
        begun.await?.ok_or(Error::NoBase)
    }

    async fn cancel_rebuild(&self, base: BaseId) -> Result<(), Error> {
        let cancelled = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            bases::cancel_rebuild(&mut tx, base).await?;
            tx.done(()).await
        });
        Ok(cancelled.await?)
    }

    async fn unbuilt(&self, base: BaseId, after: Option<&str>, limit: usize) -> Result<Vec<DocumentRow>, Error> {
        let rows = self.0.rows(documents::unbuilt(base, after, limit)).await?;
        Ok(rows.iter().map(documents::document).collect::<Result<_, _>>()?)
    }

    async fn built(&self, base: BaseId, id: &str, changed: Revision) -> Result<bool, Error> {
        let text = "UPDATE knowledge_documents SET built = greatest(built, $3) WHERE base = $1 AND id = $2";
        Ok(self.0.write(|| sql(text).bind(base).bind(stored(id)).bind(changed)).await? > 0)
    }

    async fn switch(&self, base: BaseId, next: &NextCollection) -> Result<bool, Error> {
        let switched = self.0.again(|| async {
            let mut tx = self.0.begin().await?;
            let switched = bases::switch(&mut tx, base, next).await?;
            tx.done(switched).await
        });
        Ok(switched.await?)
    }
}

/// A number as PostgreSQL keeps it.
fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Damage of what was read, with its place.
fn broken(what: &str, error: impl std::fmt::Display) -> DatabaseError {
    damaged(format!("{what}: {error}"))
}
