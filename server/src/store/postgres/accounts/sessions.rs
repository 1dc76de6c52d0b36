//! Sessions, and failed sign-ins. Whoever changes the tokens of a session locks the session first.

use async_trait::async_trait;
use liteagent_backends::{
    database::Error,
    postgres::{Columns as _, Sql, Tx, sql, stored},
};
use liteagent_engine::{store::StoreError, units::Millis};

use super::{
    record,
    users::{user, user_columns},
};
use crate::store::{
    Counted, Entry, FORGOTTEN, NewSession, Rotated, SessionStore, TokenHash, UserRow, pause, postgres::PostgresStore,
};

#[async_trait]
impl SessionStore for PostgresStore {
    async fn begin_session(&self, new: NewSession, entry: Entry) -> Result<(), StoreError> {
        let NewSession { id, user, refresh, at, expires_at } = &new;
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                // Locks the user: one whose password changes at the same time loses this session, too.
                let seen = sql("UPDATE users SET signed_in_at = $2 WHERE id = $1").bind(stored(user)).bind(at);
                if tx.execute(seen).await? > 0 {
                    let text =
                        "INSERT INTO user_sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)";
                    tx.execute(sql(text).bind(id).bind(stored(user)).bind(at).bind(expires_at)).await?;
                    tx.execute(add_token(refresh, id)).await?;
                }
                record(&mut tx, &entry).await?;
                tx.done(()).await
            })
            .await
    }

    async fn session_user(&self, session: &str, now: Millis) -> Result<Option<UserRow>, StoreError> {
        Ok(self.0.first(user_of(session, now)).await?.as_ref().map(user).transpose()?)
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Millis,
        expires_at: Millis,
        entry: Entry,
    ) -> Result<Rotated, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let text = "SELECT s.id FROM user_sessions s JOIN refresh_tokens t ON t.session = s.id \
                            WHERE t.hash = $1 FOR UPDATE OF s";
                let Some(found) = tx.first(sql(text).bind(old)).await? else { return Ok(Rotated::Unknown) };
                let session = found.text(0)?;
                let Some(found) = tx.first(user_of(&session, now)).await? else { return Ok(Rotated::Unknown) };
                let user = user(&found)?;
                // Read anew: another process may have used it before the session was ours.
                let text = "UPDATE refresh_tokens SET used = true WHERE hash = $1 AND NOT used";
                if tx.execute(sql(text).bind(old)).await? == 0 {
                    end(&mut tx, &session).await?;
                    record(&mut tx, &entry.clone().by(&user.email).to(&user.email)).await?;
                    return tx.done(Rotated::Reused { session }).await;
                }
                tx.execute(add_token(&new, &session)).await?;
                let text = "UPDATE user_sessions SET expires_at = $2 WHERE id = $1";
                tx.execute(sql(text).bind(&session).bind(expires_at)).await?;
                tx.done(Rotated::Done { session, user }).await
            })
            .await
    }

    async fn end_session(&self, refresh: TokenHash, entry: Entry) -> Result<Option<String>, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let text = "SELECT s.id, u.email FROM user_sessions s JOIN refresh_tokens t ON t.session = s.id \
                            JOIN users u ON u.id = s.user_id WHERE t.hash = $1 FOR UPDATE OF s";
                let Some(found) = tx.first(sql(text).bind(refresh)).await? else { return Ok(None) };
                let (session, email) = (found.text(0)?, found.text(1)?);
                end(&mut tx, &session).await?;
                record(&mut tx, &entry.clone().by(&email).to(&email)).await?;
                tx.done(Some(session)).await
            })
            .await
    }

    async fn try_sign_in(&self, counted: [Counted; 2], now: Millis) -> Result<Option<Millis>, StoreError> {
        let mut sorted: Vec<&Counted> = counted.iter().collect();
        sorted.sort_by(|one, other| one.subject.cmp(&other.subject));
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let (mut until, mut counts) = (None, Vec::new());
                for Counted { subject, free } in sorted.iter().copied() {
                    // Locks the row, which may be new: many tries at once are counted one after the other.
                    let text = "INSERT INTO sign_in_failures AS old (subject, count, last_at) VALUES ($1, 0, $2) \
                                ON CONFLICT (subject) DO UPDATE SET count = old.count RETURNING count, last_at";
                    let found = tx.first(sql(text).bind(stored(subject)).bind(now)).await?;
                    let (count, last_at): (u32, Millis) = match &found {
                        Some(found) => (found.number(0)?, found.value(1)?),
                        None => (0, now),
                    };
                    let (count, last_at) = if last_at > now - FORGOTTEN { (count, last_at) } else { (0, now) };
                    let end = last_at + pause(count, *free);
                    until = until.max((end > now).then_some(end));
                    counts.push((subject, count));
                }
                if until.is_some() {
                    return Ok(until);
                }
                for (subject, count) in counts {
                    let text = "UPDATE sign_in_failures SET count = $2, last_at = $3 WHERE subject = $1";
                    let count = i64::from(count.saturating_add(1));
                    tx.execute(sql(text).bind(stored(subject)).bind(count).bind(now)).await?;
                }
                tx.done(None).await
            })
            .await
    }

    async fn sign_in_succeeded(&self, [account, address]: [Counted; 2]) -> Result<(), StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let text = "DELETE FROM sign_in_failures WHERE subject = $1";
                tx.execute(sql(text).bind(stored(&account.subject))).await?;
                let text = "UPDATE sign_in_failures SET count = count - 1 WHERE subject = $1 AND count > 0";
                tx.execute(sql(text).bind(stored(&address.subject))).await?;
                tx.done(()).await
            })
            .await
    }

    async fn sweep(&self, now: Millis) -> Result<(), StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql("DELETE FROM user_sessions WHERE expires_at <= $1").bind(now)).await?;
                tx.execute(sql("DELETE FROM links WHERE expires_at <= $1").bind(now)).await?;
                let text = "DELETE FROM sign_in_failures WHERE last_at <= $1";
                tx.execute(sql(text).bind(now - FORGOTTEN)).await?;
                tx.done(()).await
            })
            .await
    }
}

fn add_token<'q>(hash: &'q TokenHash, session: &'q str) -> Sql<'q> {
    sql("INSERT INTO refresh_tokens (hash, session, used) VALUES ($1, $2, false)").bind(hash).bind(session)
}

/// The user of a session that is good.
fn user_of(session: &str, now: Millis) -> Sql<'_> {
    sql(concat!(
        "SELECT ",
        user_columns!(),
        " FROM users WHERE NOT disabled \
         AND id = (SELECT user_id FROM user_sessions WHERE user_sessions.id = $1 AND expires_at > $2)"
    ))
    .bind(stored(session))
    .bind(now)
}

/// Ends a session; its tokens go with it.
async fn end(tx: &mut Tx<'_>, session: &str) -> Result<(), Error> {
    tx.execute(sql("DELETE FROM user_sessions WHERE id = $1").bind(session)).await.map(drop)
}

/// Ends the sessions of a user, but for one.
pub(super) async fn end_all(tx: &mut Tx<'_>, user: &str, but: Option<&str>) -> Result<(), Error> {
    let text = "DELETE FROM user_sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2";
    tx.execute(sql(text).bind(stored(user)).bind(but)).await.map(drop)
}
