//! Sessions: one life of one process, alive while its heartbeat is young.

use liteagent_engine::{
    id::SessionId,
    store::{DAY, StoreError},
    units::Millis,
};

use super::{
    PostgresStore,
    db::{now, sql},
};
use crate::database::Error;

pub(super) fn not_open(session: SessionId) -> StoreError {
    StoreError::Failed(format!("the session {session} is not open"))
}

impl PostgresStore {
    pub(super) async fn begin_session(&self, session: SessionId, at: Millis) -> Result<(), Error> {
        let mut tx = self.db().begin().await?;
        let given = self.db().given(at);
        // Long dead. Their runs have owners without a session, and those are dead, too.
        let forget = concat!("DELETE FROM sessions WHERE heartbeat < coalesce($1, ", now!(), ") - $2");
        tx.execute(sql(forget).bind(given).bind(DAY)).await?;
        let open = concat!(
            "INSERT INTO sessions (id, heartbeat) VALUES ($1, coalesce($2, ",
            now!(),
            ")) ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat"
        );
        tx.execute(sql(open).bind(session.0).bind(given)).await?;
        tx.commit().await
    }

    pub(super) async fn beat(&self, session: SessionId, at: Millis) -> Result<(), StoreError> {
        let text =
            concat!("UPDATE sessions SET heartbeat = greatest(heartbeat, coalesce($2, ", now!(), ")) WHERE id = $1");
        let beaten = self.db().execute(sql(text).bind(session.0).bind(self.db().given(at))).await?;
        if beaten == 0 { Err(not_open(session)) } else { Ok(()) }
    }

    pub(super) async fn lives(&self, session: SessionId, at: Millis) -> Result<bool, Error> {
        let db = self.db();
        let text = concat!("SELECT 1 FROM sessions WHERE id = $1 AND heartbeat >= coalesce($2, ", now!(), ") - $3");
        let found = db.rows(sql(text).bind(session.0).bind(db.given(at)).bind(db.lease)).await?;
        Ok(!found.is_empty())
    }

    pub(super) async fn end_session(&self, session: SessionId) -> Result<(), Error> {
        let mut tx = self.db().begin().await?;
        tx.execute(sql("DELETE FROM sessions WHERE id = $1").bind(session.0)).await?;
        let text = "WITH own AS MATERIALIZED \
                    (SELECT id FROM runs WHERE phase = 1 AND owner = $1 ORDER BY id FOR UPDATE) \
                    UPDATE runs SET phase = 0, owner = NULL FROM own WHERE runs.id = own.id AND runs.owner = $1";
        tx.execute(sql(text).bind(session.0)).await?;
        tx.commit().await
    }
}
