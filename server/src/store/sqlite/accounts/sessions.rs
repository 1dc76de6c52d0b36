//! Sessions, and failed sign-ins.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database};
use liteagent_engine::{store::StoreError, units::Millis};

use super::{
    record,
    users::{USER, user},
};
use crate::store::{
    Counted, Entry, FORGOTTEN, NewSession, Rotated, SessionStore, TokenHash, UserRow, pause, sqlite::SqliteStore,
};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn begin_session(&self, new: NewSession, entry: Entry) -> Result<(), StoreError> {
        self.write(move |db| {
            let NewSession { id, user, refresh, at, expires_at } = &new;
            let sql = "INSERT INTO sessions (id, user, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)";
            db.execute(sql, (id, user, at, expires_at))?;
            db.execute("INSERT INTO refresh_tokens (hash, session) VALUES (?1, ?2)", (refresh, id))?;
            db.execute("UPDATE users SET signed_in_at = ?2 WHERE id = ?1", (user, at))?;
            record(db, &entry)
        })
        .await
    }

    async fn session_user(&self, session: &str, now: Millis) -> Result<Option<UserRow>, StoreError> {
        let session = session.to_owned();
        self.read(move |db| user_of(db, &session, now)).await
    }

    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Millis,
        expires_at: Millis,
        entry: Entry,
    ) -> Result<Rotated, StoreError> {
        self.write(move |db| {
            let sql = "SELECT session, used FROM refresh_tokens WHERE hash = ?1";
            let known: Option<(String, bool)> = db.first(sql, [old], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let Some((session, used)) = known else { return Ok(Rotated::Unknown) };
            let Some(user) = user_of(db, &session, now)? else { return Ok(Rotated::Unknown) };
            if used {
                end(db, &session)?;
                record(db, &entry.clone().by(&user.email).to(&user.email))?;
                return Ok(Rotated::Reused { session });
            }
            db.execute("UPDATE refresh_tokens SET used = 1 WHERE hash = ?1", [old])?;
            db.execute("INSERT INTO refresh_tokens (hash, session) VALUES (?1, ?2)", (new, &session))?;
            db.execute("UPDATE sessions SET expires_at = ?2 WHERE id = ?1", (&session, expires_at))?;
            Ok(Rotated::Done { session, user })
        })
        .await
    }

    async fn end_session(&self, refresh: TokenHash, entry: Entry) -> Result<Option<String>, StoreError> {
        self.write(move |db| {
            let sql = "SELECT s.id, u.email FROM refresh_tokens t JOIN sessions s ON s.id = t.session \
                       JOIN users u ON u.id = s.user WHERE t.hash = ?1";
            let known: Option<(String, String)> = db.first(sql, [refresh], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let Some((session, email)) = known else { return Ok(None) };
            end(db, &session)?;
            record(db, &entry.clone().by(&email).to(&email))?;
            Ok(Some(session))
        })
        .await
    }

    async fn try_sign_in(&self, counted: [Counted; 2], now: Millis) -> Result<Option<Millis>, StoreError> {
        self.write(move |db| {
            let mut until = None;
            for Counted { subject, free } in &counted {
                let (count, last_at) = failures(db, subject, now)?;
                let end = last_at + pause(count, *free);
                until = until.max((end > now).then_some(end));
            }
            if until.is_some() {
                return Ok(until);
            }
            for Counted { subject, .. } in &counted {
                let (count, _) = failures(db, subject, now)?;
                let sql = "INSERT INTO sign_in_failures (subject, count, last_at) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (subject) DO UPDATE SET count = ?2, last_at = ?3";
                db.execute(sql, (subject, count.saturating_add(1), now))?;
            }
            Ok(None)
        })
        .await
    }

    async fn sign_in_succeeded(&self, [account, address]: [Counted; 2]) -> Result<(), StoreError> {
        self.write(move |db| {
            db.execute("DELETE FROM sign_in_failures WHERE subject = ?1", [&account.subject])?;
            let sql = "UPDATE sign_in_failures SET count = count - 1 WHERE subject = ?1 AND count > 0";
            db.execute(sql, [&address.subject]).map(drop)
        })
        .await
    }

    async fn sweep(&self, now: Millis) -> Result<(), StoreError> {
        self.write(move |db| {
            let sql = "DELETE FROM refresh_tokens WHERE session IN (SELECT id FROM sessions WHERE expires_at <= ?1)";
            db.execute(sql, [now])?;
            db.execute("DELETE FROM sessions WHERE expires_at <= ?1", [now])?;
            db.execute("DELETE FROM links WHERE expires_at <= ?1", [now])?;
            db.execute("DELETE FROM sign_in_failures WHERE last_at <= ?1", [now - FORGOTTEN]).map(drop)
        })
        .await
    }
}

/// The user of a session that is good.
fn user_of(db: &Database, session: &str, now: Millis) -> Result<Option<UserRow>, database::Error> {
    let sql = format!(
        "SELECT {USER} FROM users WHERE NOT disabled \
         AND id = (SELECT user FROM sessions WHERE sessions.id = ?1 AND expires_at > ?2)"
    );
    db.first(&sql, (session, now), user)?.transpose()
}

/// How often it failed, and when last.
fn failures(db: &Database, subject: &str, now: Millis) -> Result<(u32, Millis), database::Error> {
    let sql = "SELECT count, last_at FROM sign_in_failures WHERE subject = ?1 AND last_at > ?2";
    let found = db.first(sql, (subject, now - FORGOTTEN), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.unwrap_or((0, now)))
}

fn end(db: &Database, session: &str) -> Result<(), database::Error> {
    db.execute("DELETE FROM refresh_tokens WHERE session = ?1", [session])?;
    db.execute("DELETE FROM sessions WHERE id = ?1", [session]).map(drop)
}

/// Ends the sessions of a user, but for one.
pub(super) fn end_all(db: &Database, user: &str, but: Option<&str>) -> Result<(), database::Error> {
    let sql = "DELETE FROM refresh_tokens WHERE session IN \
               (SELECT id FROM sessions WHERE user = ?1 AND id IS NOT ?2)";
    db.execute(sql, (user, but))?;
    db.execute("DELETE FROM sessions WHERE user = ?1 AND id IS NOT ?2", (user, but)).map(drop)
}
