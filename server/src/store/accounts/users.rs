//! Users, and the links that let them set their passwords.

use async_trait::async_trait;
use liteagent_engine::{store::StoreError, units::Millis};

use super::{Entry, TokenHash};
use crate::access::Role;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The id.
    pub id: String,
    /// The e-mail address, in small letters.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user has set a password, and so can sign in.
    pub has_password: bool,
    /// Whether the user may not sign in for now.
    pub disabled: bool,
    /// When the user was made.
    pub created_at: Millis,
    /// When the user last signed in.
    pub signed_in_at: Option<Millis>,
}

/// A user who is about to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The id.
    pub id: String,
    /// The e-mail address, in small letters.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// The password as a PHC string; without one it is set by a link.
    pub password: Option<String>,
    /// Now.
    pub at: Millis,
}

/// A link that works once.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The hash of its secret.
    pub hash: TokenHash,
    /// From when on it is refused.
    pub expires_at: Millis,
}

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkFor {
    /// To make the first owner.
    FirstOwner,
    /// To set the password of this user.
    Password(UserRow),
}

/// What changes of a user; `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserChange {
    /// The role.
    pub role: Option<Role>,
    /// Whether the user may not sign in.
    pub disabled: Option<bool>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done(UserRow),
    /// There is no such user.
    Missing,
    /// No owner who can sign in would be left.
    LastOwner,
}

/// Users, and the links that let them set their passwords.
///
/// # Contract
/// * No two users have one e-mail address.
/// * Once there is an owner who can sign in, there is always one.
/// * A user who is disabled or deleted, or whose password changes, has no session left; the one that changes it may stay.
/// * A link works once, until it expires, and while its user is there and not disabled. The first owner is made once.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Every user, by e-mail address.
    async fn users(&self) -> Result<Vec<UserRow>, StoreError>;
    /// One user.
    async fn user(&self, id: &str) -> Result<Option<UserRow>, StoreError>;
    /// The user of an e-mail address, with the password as a PHC string.
    async fn user_to_sign_in(&self, email: &str) -> Result<Option<(UserRow, Option<String>)>, StoreError>;
    /// Adds a user, with a link that sets the password; `false` when the e-mail address is taken.
    async fn add_user(&self, new: NewUser, link: NewLink, entry: Entry) -> Result<bool, StoreError>;
    /// Adds the first user; `false` when there is one already.
    async fn add_first_user(&self, new: NewUser, entry: Entry) -> Result<bool, StoreError>;
    /// Adds a link that makes the first owner; `false` when there is a user already.
    async fn add_first_owner_link(&self, link: NewLink) -> Result<bool, StoreError>;
    /// Adds a link that sets the password of a user; `false` when there is no such user.
    async fn add_password_link(&self, user: &str, link: NewLink, entry: Entry) -> Result<bool, StoreError>;
    /// What a link is for; `None` when it does not work.
    async fn link(&self, hash: TokenHash, now: Millis) -> Result<Option<LinkFor>, StoreError>;
    /// Makes the first owner by a link, which works no more; `false` when it does not work.
    async fn use_first_owner_link(&self, hash: TokenHash, owner: NewUser, entry: Entry) -> Result<bool, StoreError>;
    /// Sets a password by a link, which works no more; `None` when it does not work.
    async fn use_password_link(
        &self,
        hash: TokenHash,
        password: String,
        entry: Entry,
    ) -> Result<Option<UserRow>, StoreError>;
    /// Sets a password. Every session of the user but `session` ends. `false` when there is no such user.
    async fn set_password(
        &self,
        user: &str,
        password: String,
        session: Option<&str>,
        entry: Entry,
    ) -> Result<bool, StoreError>;
    /// Changes a user.
    async fn change_user(&self, id: &str, change: UserChange, entry: Entry) -> Result<Changed, StoreError>;
    /// Deletes a user.
    async fn delete_user(&self, id: &str, entry: Entry) -> Result<Changed, StoreError>;
}
