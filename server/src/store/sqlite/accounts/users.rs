//! Users and their links.

use async_trait::async_trait;
use liteagent_backends::database::{self, Database, damaged};
use liteagent_engine::{store::StoreError, units::Millis};
use rusqlite::Row;

use super::{record, sessions::end_all};
use crate::{
    access::Role,
    store::{
        Changed, Entry, LinkFor, NewLink, NewUser, TokenHash, UserChange, UserRow, UserStore, sqlite::SqliteStore,
    },
};

/// The columns that [`user`] reads.
pub(super) const USER: &str = "id, email, role, password IS NOT NULL, disabled, created_at, signed_in_at";
/// What only those are who can sign in and manage the installation.
const ABLE_OWNER: &str = "role = 'owner' AND NOT disabled AND password IS NOT NULL";

#[async_trait]
impl UserStore for SqliteStore {
    async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let sql = format!("SELECT {USER} FROM users ORDER BY email");
        let rows = self.read(move |db| db.all(&sql, (), user)).await?;
        Ok(rows.into_iter().collect::<Result<_, _>>()?)
    }

    async fn user(&self, id: &str) -> Result<Option<UserRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |db| one(db, &id)).await
    }

    async fn user_to_sign_in(&self, email: &str) -> Result<Option<(UserRow, Option<String>)>, StoreError> {
        let email = email.to_owned();
        let sql = format!("SELECT {USER}, password FROM users WHERE email = ?1");
        let found = self.read(move |db| db.first(&sql, [email], |row| Ok((user(row)?, row.get(7)?)))).await?;
        let Some((user, password)) = found else { return Ok(None) };
        Ok(Some((user?, password)))
    }

    async fn add_user(&self, new: NewUser, link: NewLink, entry: Entry) -> Result<bool, StoreError> {
        self.write(move |db| {
            if !insert(db, &new)? {
                return Ok(false);
            }
            add_link(db, Some(&new.id), &link)?;
            record(db, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn add_first_user(&self, new: NewUser, entry: Entry) -> Result<bool, StoreError> {
        self.write(move |db| {
            if has_users(db)? {
                return Ok(false);
            }
            insert(db, &new)?;
            record(db, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn add_first_owner_link(&self, link: NewLink) -> Result<bool, StoreError> {
        self.write(move |db| {
            if has_users(db)? {
                return Ok(false);
            }
            add_link(db, None, &link)?;
            Ok(true)
        })
        .await
    }

    async fn add_password_link(&self, id: &str, link: NewLink, entry: Entry) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |db| {
            if one(db, &id)?.is_none() {
                return Ok(false);
            }
            // The new link takes the place of those before it.
            db.execute("DELETE FROM links WHERE user = ?1", [&id])?;
            add_link(db, Some(&id), &link)?;
            record(db, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn link(&self, hash: TokenHash, now: Millis) -> Result<Option<LinkFor>, StoreError> {
        self.read(move |db| working(db, &hash, now)).await
    }

    async fn use_first_owner_link(&self, hash: TokenHash, owner: NewUser, entry: Entry) -> Result<bool, StoreError> {
        self.write(move |db| {
            if working(db, &hash, owner.at)? != Some(LinkFor::FirstOwner) {
                return Ok(false);
            }
            insert(db, &owner)?;
            db.execute("DELETE FROM links WHERE user IS NULL", ())?;
            record(db, &entry)?;
            Ok(true)
        })
        .await
    }

    async fn use_password_link(
        &self,
        hash: TokenHash,
        password: String,
        entry: Entry,
    ) -> Result<Option<UserRow>, StoreError> {
        self.write(move |db| {
            let Some(LinkFor::Password(user)) = working(db, &hash, entry.at)? else { return Ok(None) };
            set_password(db, &user.id, &password, None)?;
            record(db, &entry.clone().by(&user.email).to(&user.email))?;
            one(db, &user.id)
        })
        .await
    }

    async fn set_password(
        &self,
        id: &str,
        password: String,
        session: Option<&str>,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let (id, session) = (id.to_owned(), session.map(str::to_owned));
        self.write(move |db| {
            let is_set = set_password(db, &id, &password, session.as_deref())?;
            if is_set {
                record(db, &entry)?;
            }
            Ok(is_set)
        })
        .await
    }

    async fn change_user(&self, id: &str, change: UserChange, entry: Entry) -> Result<Changed, StoreError> {
        let id = id.to_owned();
        self.write(move |db| {
            let Some(user) = one(db, &id)? else { return Ok(Changed::Missing) };
            let role = change.role.unwrap_or(user.role);
            let disabled = change.disabled.unwrap_or(user.disabled);
            if (role != Role::Owner || disabled) && is_last_owner(db, &id)? {
                return Ok(Changed::LastOwner);
            }
            db.execute("UPDATE users SET role = ?2, disabled = ?3 WHERE id = ?1", (&id, role.as_str(), disabled))?;
            if disabled {
                end_all(db, &id, None)?;
            }
            record(db, &entry.clone().to(&user.email))?;
            Ok(Changed::Done(UserRow { role, disabled, ..user }))
        })
        .await
    }

    async fn delete_user(&self, id: &str, entry: Entry) -> Result<Changed, StoreError> {
        let id = id.to_owned();
        self.write(move |db| {
            let Some(user) = one(db, &id)? else { return Ok(Changed::Missing) };
            if is_last_owner(db, &id)? {
                return Ok(Changed::LastOwner);
            }
            end_all(db, &id, None)?;
            db.execute("DELETE FROM links WHERE user = ?1", [&id])?;
            db.execute("DELETE FROM users WHERE id = ?1", [&id])?;
            record(db, &entry.clone().to(&user.email))?;
            Ok(Changed::Done(user))
        })
        .await
    }
}

/// `false` when the e-mail address is taken.
fn insert(db: &Database, new: &NewUser) -> Result<bool, database::Error> {
    let NewUser { id, email, role, password, at } = new;
    let sql = "INSERT INTO users (id, email, role, password, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (email) DO NOTHING";
    Ok(db.execute(sql, (id, email, role.as_str(), password, at))? > 0)
}

fn add_link(db: &Database, user: Option<&str>, link: &NewLink) -> Result<(), database::Error> {
    let sql = "INSERT INTO links (hash, user, expires_at) VALUES (?1, ?2, ?3)";
    db.execute(sql, (link.hash, user, link.expires_at)).map(drop)
}

/// Sets a password. The links of the user work no more, and every session but one ends.
fn set_password(db: &Database, user: &str, password: &str, session: Option<&str>) -> Result<bool, database::Error> {
    let is_set = db.execute("UPDATE users SET password = ?2 WHERE id = ?1", (user, password))? > 0;
    db.execute("DELETE FROM links WHERE user = ?1", [user])?;
    end_all(db, user, session)?;
    Ok(is_set)
}

/// What a link is for, when it works.
fn working(db: &Database, hash: &TokenHash, now: Millis) -> Result<Option<LinkFor>, database::Error> {
    let sql = "SELECT user FROM links WHERE hash = ?1 AND expires_at > ?2";
    let Some(user) = db.first(sql, (hash, now), |row| row.get::<_, Option<String>>(0))? else { return Ok(None) };
    Ok(match user {
        None => (!has_users(db)?).then_some(LinkFor::FirstOwner),
        Some(id) => one(db, &id)?.filter(|user| !user.disabled).map(LinkFor::Password),
    })
}

fn has_users(db: &Database) -> Result<bool, database::Error> {
    Ok(db.first("SELECT 1 FROM users LIMIT 1", (), |_| Ok(()))?.is_some())
}

/// Whether this is the only owner who can sign in.
fn is_last_owner(db: &Database, id: &str) -> Result<bool, database::Error> {
    let sql = format!(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1 AND {ABLE_OWNER}) \
         AND NOT EXISTS (SELECT 1 FROM users WHERE id <> ?1 AND {ABLE_OWNER})"
    );
    Ok(db.first(&sql, [id], |_| Ok(()))?.is_some())
}

fn one(db: &Database, id: &str) -> Result<Option<UserRow>, database::Error> {
    db.first(&format!("SELECT {USER} FROM users WHERE id = ?1"), [id], user)?.transpose()
}

/// A user of the columns [`USER`].
pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<Result<UserRow, database::Error>> {
    let role: String = row.get(2)?;
    let Some(role) = Role::named(&role) else { return Ok(Err(damaged(format!("a user is a `{role}`")))) };
    Ok(Ok(UserRow {
        id: row.get(0)?,
        email: row.get(1)?,
        role,
        has_password: row.get(3)?,
        disabled: row.get(4)?,
        created_at: row.get(5)?,
        signed_in_at: row.get(6)?,
    }))
}
