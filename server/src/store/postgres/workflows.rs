//! Workflows and their versions in PostgreSQL.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error, damaged},
    postgres::{Columns as _, Failure, Row, Sql, Tx, sql, stored},
};
use liteagent_engine::store::StoreError;

use super::{PostgresStore, accounts::record};
use crate::store::{Entry, NewVersion, Source, StoredVersion, VersionRow, WorkflowRow, WorkflowStore};

/// The columns that [`version`] reads.
macro_rules! version_columns {
    () => {
        "workflow, version, digest, note, created_by, created_at"
    };
}
/// The columns that [`workflow`] reads.
macro_rules! workflow_columns {
    () => {
        "name, latest, published, updated_at"
    };
}

#[async_trait]
impl WorkflowStore for PostgresStore {
    async fn workflows(&self, after: Option<&str>, limit: u32) -> Result<Vec<WorkflowRow>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            workflow_columns!(),
            " FROM workflows WHERE name > $1 AND NOT deleted ORDER BY name LIMIT $2"
        ));
        let query = query.bind(stored(after.unwrap_or_default())).bind(i64::from(limit));
        Ok(self.0.rows(query).await?.iter().map(workflow).collect::<Result<_, _>>()?)
    }

    async fn workflow(&self, name: &str) -> Result<Option<WorkflowRow>, StoreError> {
        let query = sql(concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE name = $1 AND NOT deleted"));
        Ok(self.0.first(query.bind(stored(name))).await?.as_ref().map(workflow).transpose()?)
    }

    async fn add_version(&self, new: NewVersion, entry: Entry) -> Result<VersionRow, StoreError> {
        let files = serde_json::to_string(&new.source.files).expect("texts are JSON");
        self.0.again(|| self.add(&new, &files, &entry)).await
    }

    async fn versions(&self, name: &str, before: Option<u32>, limit: u32) -> Result<Vec<VersionRow>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            version_columns!(),
            " FROM workflow_versions WHERE workflow = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
        ));
        let query = query.bind(stored(name)).bind(before.map_or(i64::MAX, i64::from)).bind(i64::from(limit));
        Ok(self.0.rows(query).await?.iter().map(version).collect::<Result<_, _>>()?)
    }

    async fn version(&self, name: &str, number: u32) -> Result<Option<StoredVersion>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            version_columns!(),
            ", source, files FROM workflow_versions WHERE workflow = $1 AND version = $2"
        ));
        let Some(row) = self.0.first(query.bind(stored(name)).bind(i64::from(number))).await? else { return Ok(None) };
        let files = serde_json::from_str(&row.text(7)?).map_err(Error::from)?;
        Ok(Some(StoredVersion { row: version(&row)?, source: Source { text: row.text(6)?, files } }))
    }

    async fn published(&self) -> Result<Vec<VersionRow>, StoreError> {
        let query = sql(concat!(
            "SELECT ",
            version_columns!(),
            " FROM workflow_versions JOIN workflows ON name = workflow AND published = version \
             WHERE NOT deleted ORDER BY name"
        ));
        Ok(self.0.rows(query).await?.iter().map(version).collect::<Result<_, _>>()?)
    }

    async fn publish(&self, name: &str, number: Option<u32>, entry: Entry) -> Result<bool, StoreError> {
        let number = number.map(i64::from);
        let publish = || {
            sql("UPDATE workflows SET published = $2, updated_at = $3 WHERE name = $1 AND NOT deleted AND \
                 ($2 IS NULL OR EXISTS (SELECT FROM workflow_versions WHERE workflow = $1 AND version = $2))")
            .bind(stored(name))
            .bind(number)
            .bind(entry.at)
        };
        self.0.again(|| self.told(publish(), &entry)).await
    }

    async fn delete_workflow(&self, name: &str, entry: Entry) -> Result<bool, StoreError> {
        let delete = || {
            sql("UPDATE workflows SET deleted = true, published = NULL, updated_at = $2 WHERE name = $1 AND NOT deleted")
                .bind(stored(name))
                .bind(entry.at)
        };
        self.0.again(|| self.told(delete(), &entry)).await
    }
}

impl PostgresStore {
    /// Whether a statement changed something; then the audit log has it.
    async fn told(&self, statement: Sql<'_>, entry: &Entry) -> Result<bool, Failure> {
        let mut tx = self.0.begin().await?;
        let is_done = tx.execute(statement).await? > 0;
        if is_done {
            record(&mut tx, entry).await?;
        }
        tx.done(is_done).await
    }

    async fn add(&self, new: &NewVersion, files: &str, entry: &Entry) -> Result<VersionRow, Failure> {
        let mut tx = self.0.begin().await?;
        // The row of a workflow without versions: whoever adds one locks it, also for the first.
        let text =
            "INSERT INTO workflows (name, latest, deleted, updated_at) VALUES ($1, 0, true, $2) ON CONFLICT DO NOTHING";
        tx.execute(sql(text).bind(stored(&new.workflow)).bind(entry.at)).await?;
        let text = "SELECT latest FROM workflows WHERE name = $1 FOR UPDATE";
        tx.execute(sql(text).bind(stored(&new.workflow))).await?;
        let query = sql(concat!(
            "SELECT ",
            version_columns!(),
            " FROM workflow_versions JOIN workflows ON name = workflow AND latest = version AND NOT deleted \
             WHERE workflow = $1 AND digest = $2 AND source = $3 AND files = $4"
        ));
        let query =
            query.bind(stored(&new.workflow)).bind(new.digest.as_str()).bind(stored(&new.source.text)).bind(files);
        let row = if let Some(same) = tx.first(query).await? {
            version(&same)?
        } else {
            record(&mut tx, entry).await?;
            insert(&mut tx, new, files, entry).await?
        };
        if new.publish {
            let text = "UPDATE workflows SET published = $2, updated_at = $3 WHERE name = $1 AND published IS DISTINCT FROM $2";
            let number = i64::from(row.version);
            tx.execute(sql(text).bind(stored(&new.workflow)).bind(number).bind(entry.at)).await?;
        }
        tx.done(row).await
    }
}

async fn insert(tx: &mut Tx<'_>, new: &NewVersion, files: &str, entry: &Entry) -> Result<VersionRow, Error> {
    let text =
        "UPDATE workflows SET latest = latest + 1, deleted = false, updated_at = $2 WHERE name = $1 RETURNING latest";
    let number = tx.first(sql(text).bind(stored(&new.workflow)).bind(entry.at)).await?;
    let number: u32 = number.ok_or_else(|| damaged("a row that was locked is gone"))?.number(0)?;
    let text = "INSERT INTO workflow_versions (workflow, version, digest, source, files, note, created_by, created_at) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let add = sql(text)
        .bind(stored(&new.workflow))
        .bind(i64::from(number))
        .bind(new.digest.as_str())
        .bind(stored(&new.source.text))
        .bind(files)
        .bind(new.note.as_deref().map(stored))
        .bind(stored(&entry.who))
        .bind(entry.at);
    tx.execute(add).await?;
    Ok(VersionRow {
        workflow: new.workflow.clone(),
        version: number,
        digest: new.digest.clone(),
        note: new.note.clone(),
        created_by: entry.who.clone(),
        created_at: entry.at,
    })
}

fn workflow(row: &Row) -> Result<WorkflowRow, Error> {
    Ok(WorkflowRow {
        name: row.text(0)?,
        latest: row.number(1)?,
        published: row.maybe_number(2)?,
        updated_at: row.value(3)?,
    })
}

fn version(row: &Row) -> Result<VersionRow, Error> {
    Ok(VersionRow {
        workflow: row.text(0)?,
        version: row.number(1)?,
        digest: row.text(2)?.parse().map_err(|error: String| damaged(error))?,
        note: row.maybe_text(3)?,
        created_by: row.text(4)?,
        created_at: row.value(5)?,
    })
}
