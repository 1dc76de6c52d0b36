//! Users and their links.

use async_trait::async_trait;
use liteagent_backends::{
    database::{Error, damaged},
    postgres::{Columns as _, Failure, Row, Tx, sql, stored},
};
use liteagent_engine::{store::StoreError, units::Millis};

use super::{record, sessions::end_all};
use crate::{
    access::Role,
    store::{
        Changed, Entry, LinkFor, NewLink, NewUser, TokenHash, UserChange, UserRow, UserStore, postgres::PostgresStore,
    },
};

/// The columns that [`user`] reads.
macro_rules! user_columns {
    () => {
        "id, email, role, password IS NOT NULL, disabled, created_at, signed_in_at"
    };
}
pub(super) use user_columns;

/// What only those are who can sign in and manage the installation.
macro_rules! able_owner {
    () => {
        "role = 'owner' AND NOT disabled AND password IS NOT NULL"
    };
}

/// Lets no other process change users until the commit: what is decided may depend on all of them.
const ALONE: &str = "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE";

#[async_trait]
impl UserStore for PostgresStore {
    async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let query = sql(concat!("SELECT ", user_columns!(), " FROM users ORDER BY email"));
        Ok(self.0.rows(query).await?.iter().map(user).collect::<Result<_, _>>()?)
    }

    async fn user(&self, id: &str) -> Result<Option<UserRow>, StoreError> {
        let query = sql(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(stored(id));
        Ok(self.0.first(query).await?.as_ref().map(user).transpose()?)
    }

    async fn user_to_sign_in(&self, email: &str) -> Result<Option<(UserRow, Option<String>)>, StoreError> {
        let query = sql(concat!("SELECT ", user_columns!(), ", password FROM users WHERE email = $1"));
        let found = self.0.first(query.bind(stored(email))).await?;
        let read = |row: &Row| Ok::<_, Error>((user(row)?, row.maybe_text(7)?));
        Ok(found.as_ref().map(read).transpose()?)
    }

    async fn add_user(&self, new: NewUser, link: NewLink, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                if !insert(&mut tx, &new).await? {
                    return Ok(false);
                }
                add_link(&mut tx, Some(&new.id), &link).await?;
                record(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn add_first_user(&self, new: NewUser, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql(ALONE)).await?;
                if has_users(&mut tx).await? {
                    return Ok(false);
                }
                insert(&mut tx, &new).await?;
                record(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn add_first_owner_link(&self, link: NewLink) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql(ALONE)).await?;
                if has_users(&mut tx).await? {
                    return Ok(false);
                }
                add_link(&mut tx, None, &link).await?;
                tx.done(true).await
            })
            .await
    }

    async fn add_password_link(&self, id: &str, link: NewLink, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let query = sql("SELECT 1 FROM users WHERE id = $1 FOR UPDATE").bind(stored(id));
                if tx.first(query).await?.is_none() {
                    return Ok(false);
                }
                // The new link takes the place of those before it.
                tx.execute(sql("DELETE FROM links WHERE user_id = $1").bind(stored(id))).await?;
                add_link(&mut tx, Some(id), &link).await?;
                record(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn link(&self, hash: TokenHash, now: Millis) -> Result<Option<LinkFor>, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.snapshot().await?;
                Ok(working(&mut tx, &hash, now).await?)
            })
            .await
    }

    async fn use_first_owner_link(&self, hash: TokenHash, owner: NewUser, entry: Entry) -> Result<bool, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql(ALONE)).await?;
                if working(&mut tx, &hash, owner.at).await? != Some(LinkFor::FirstOwner) {
                    return Ok(false);
                }
                insert(&mut tx, &owner).await?;
                tx.execute(sql("DELETE FROM links WHERE user_id IS NULL")).await?;
                record(&mut tx, &entry).await?;
                tx.done(true).await
            })
            .await
    }

    async fn use_password_link(
        &self,
        hash: TokenHash,
        password: String,
        entry: Entry,
    ) -> Result<Option<UserRow>, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                // Who comes second waits here, and finds the link gone.
                tx.execute(sql("SELECT 1 FROM links WHERE hash = $1 FOR UPDATE").bind(hash)).await?;
                let Some(LinkFor::Password(user)) = working(&mut tx, &hash, entry.at).await? else { return Ok(None) };
                set_password(&mut tx, &user.id, &password, None).await?;
                record(&mut tx, &entry.clone().by(&user.email).to(&user.email)).await?;
                let user = one(&mut tx, &user.id).await?;
                tx.done(user).await
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
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                let is_set = set_password(&mut tx, id, &password, session).await?;
                if is_set {
                    record(&mut tx, &entry).await?;
                }
                tx.done(is_set).await
            })
            .await
    }

    async fn change_user(&self, id: &str, change: UserChange, entry: Entry) -> Result<Changed, StoreError> {
        self.0.again(|| self.change(id, change, &entry)).await
    }

    async fn delete_user(&self, id: &str, entry: Entry) -> Result<Changed, StoreError> {
        self.0
            .again(|| async {
                let mut tx = self.0.begin().await?;
                tx.execute(sql(ALONE)).await?;
                let Some(user) = one(&mut tx, id).await? else { return Ok(Changed::Missing) };
                if is_last_owner(&mut tx, id).await? {
                    return Ok(Changed::LastOwner);
                }
                // Its sessions and links go with it.
                tx.execute(sql("DELETE FROM users WHERE id = $1").bind(stored(id))).await?;
                record(&mut tx, &entry.clone().to(&user.email)).await?;
                tx.done(Changed::Done(user)).await
            })
            .await
    }
}

impl PostgresStore {
    async fn change(&self, id: &str, change: UserChange, entry: &Entry) -> Result<Changed, Failure> {
        let mut tx = self.0.begin().await?;
        tx.execute(sql(ALONE)).await?;
        let Some(user) = one(&mut tx, id).await? else { return Ok(Changed::Missing) };
        let role = change.role.unwrap_or(user.role);
        let disabled = change.disabled.unwrap_or(user.disabled);
        if (role != Role::Owner || disabled) && is_last_owner(&mut tx, id).await? {
            return Ok(Changed::LastOwner);
        }
        let update = sql("UPDATE users SET role = $2, disabled = $3 WHERE id = $1").bind(stored(id));
        tx.execute(update.bind(role.as_str()).bind(disabled)).await?;
        if disabled {
            end_all(&mut tx, id, None).await?;
        }
        record(&mut tx, &entry.clone().to(&user.email)).await?;
        tx.done(Changed::Done(UserRow { role, disabled, ..user })).await
    }
}

/// `false` when the e-mail address is taken.
async fn insert(tx: &mut Tx<'_>, new: &NewUser) -> Result<bool, Error> {
    let NewUser { id, email, role, password, at } = new;
    let text = "INSERT INTO users (id, email, role, password, disabled, created_at) VALUES ($1, $2, $3, $4, false, $5) \
                ON CONFLICT (email) DO NOTHING";
    let add = sql(text).bind(id).bind(stored(email)).bind(role.as_str()).bind(password).bind(at);
    Ok(tx.execute(add).await? > 0)
}

async fn add_link(tx: &mut Tx<'_>, user: Option<&str>, link: &NewLink) -> Result<(), Error> {
    let add = sql("INSERT INTO links (hash, user_id, expires_at) VALUES ($1, $2, $3)");
    tx.execute(add.bind(link.hash).bind(user.map(stored)).bind(link.expires_at)).await.map(drop)
}

/// Sets a password. The links of the user work no more, and every session but one ends.
async fn set_password(tx: &mut Tx<'_>, user: &str, password: &str, session: Option<&str>) -> Result<bool, Error> {
    let update = sql("UPDATE users SET password = $2 WHERE id = $1").bind(stored(user)).bind(password);
    let is_set = tx.execute(update).await? > 0;
    tx.execute(sql("DELETE FROM links WHERE user_id = $1").bind(stored(user))).await?;
    end_all(tx, user, session).await?;
    Ok(is_set)
}

/// What a link is for, when it works.
async fn working(tx: &mut Tx<'_>, hash: &TokenHash, now: Millis) -> Result<Option<LinkFor>, Error> {
    let query = sql("SELECT user_id FROM links WHERE hash = $1 AND expires_at > $2").bind(hash).bind(now);
    let Some(found) = tx.first(query).await? else { return Ok(None) };
    Ok(match found.maybe_text(0)? {
        None => (!has_users(tx).await?).then_some(LinkFor::FirstOwner),
        Some(id) => one(tx, &id).await?.filter(|user| !user.disabled).map(LinkFor::Password),
    })
}

async fn has_users(tx: &mut Tx<'_>) -> Result<bool, Error> {
    Ok(tx.first(sql("SELECT 1 FROM users LIMIT 1")).await?.is_some())
}

/// Whether this is the only owner who can sign in.
async fn is_last_owner(tx: &mut Tx<'_>, id: &str) -> Result<bool, Error> {
    let query = sql(concat!(
        "SELECT 1 WHERE EXISTS (SELECT FROM users WHERE id = $1 AND ",
        able_owner!(),
        ") AND NOT EXISTS (SELECT FROM users WHERE id <> $1 AND ",
        able_owner!(),
        ")"
    ));
    Ok(tx.first(query.bind(stored(id))).await?.is_some())
}

async fn one(tx: &mut Tx<'_>, id: &str) -> Result<Option<UserRow>, Error> {
    let query = sql(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(stored(id));
    tx.first(query).await?.as_ref().map(user).transpose()
}

/// A user of the columns [`user_columns`].
pub(super) fn user(row: &Row) -> Result<UserRow, Error> {
    let role = row.text(2)?;
    Ok(UserRow {
        id: row.text(0)?,
        email: row.text(1)?,
        role: Role::named(&role).ok_or_else(|| damaged(format!("a user is a `{role}`")))?,
        has_password: row.value(3)?,
        disabled: row.value(4)?,
        created_at: row.value(5)?,
        signed_in_at: row.value(6)?,
    })
}
