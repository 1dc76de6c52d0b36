//! Links that work once: one makes the first owner, others let users set their passwords.

use std::{fmt, net::Ipv4Addr};

use axum::http::StatusCode;
use liteagent_engine::{codes, store::StoreError, units::Millis};

use super::{
    Accounts, Actor, Refused, password,
    secrets::{self, FIRST_OWNER_LINK, PASSWORD_LINK, hash},
    sign_in::SignedIn,
};
use crate::{
    access::Role,
    problem::Problem,
    store::{LinkFor, NewLink, NewUser, UserRow},
};

/// How long the link of the first owner works.
const FIRST_OWNER: Millis = 24 * 60 * 60 * 1_000;
/// How long a link works that sets a password.
const PASSWORD: Millis = 3 * 24 * 60 * 60 * 1_000;

/// The first owner, where the environment names one.
#[derive(Clone)]
pub struct Admin {
    email: String,
    password: String,
}

impl Admin {
    /// Takes an e-mail address and a password.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn new(email: &str, password: &str) -> Result<Self, Refused> {
        let email = password::address(email)?;
        password::check(password, &email)?;
        Ok(Self { email, password: password.to_owned() })
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("email", &self.email).finish_non_exhaustive()
    }
}

/// A link that was made.
pub(super) struct Link {
    /// Its path on this server. The secret stands where no server and no log sees it.
    pub(super) path: String,
    /// From when on it is refused.
    pub(super) expires_at: Millis,
}

impl Accounts {
    /// Sees to it that there is an owner, or a way to become the first: the path of a link.
    pub(crate) async fn first_owner(&self, admin: Option<&Admin>) -> Result<Option<String>, StoreError> {
        let Some(Admin { email, password }) = admin else {
            let (link, new) = self.link(FIRST_OWNER_LINK, FIRST_OWNER);
            let is_needed = self.store.add_first_owner_link(new).await?;
            return Ok(is_needed.then_some(link.path));
        };
        if self.store.users().await?.is_empty() {
            let password = Some(self.passwords.hash(password.clone()).await?);
            let owner = self.new_user(email.clone(), Role::Owner, password);
            let actor = Actor { who: "nobody".to_owned(), address: Ipv4Addr::LOCALHOST.into(), is_owner: false };
            // Another process may have been first.
            self.store.add_first_user(owner, self.entry(&actor, "users.first-owner", email)).await?;
        }
        Ok(None)
    }

    /// Adds a user, who sets the password by the link. `None` when the e-mail address is taken.
    pub(super) async fn invite(&self, email: &str, role: Role, actor: &Actor) -> Result<(UserRow, Link), Problem> {
        let email = password::address(email)?;
        let new = self.new_user(email.clone(), role, None);
        let (link, new_link) = self.link(PASSWORD_LINK, PASSWORD);
        let user = UserRow {
            id: new.id.clone(),
            email: email.clone(),
            role,
            has_password: false,
            disabled: false,
            created_at: new.at,
            signed_in_at: None,
        };
        if self.store.add_user(new, new_link, self.entry(actor, "users.create", &email)).await? {
            return Ok((user, link));
        }
        Err(Problem::conflict(codes::USER_EXISTS, format!("there is a user `{email}` already"))
            .hint("change the user with PATCH /api/users/{id}, or give another e-mail address"))
    }

    /// A link by which a user sets another password.
    pub(super) async fn password_link(&self, user: &UserRow, actor: &Actor) -> Result<Option<Link>, StoreError> {
        let (link, new) = self.link(PASSWORD_LINK, PASSWORD);
        let entry = self.entry(actor, "users.link", &user.email);
        Ok(self.store.add_password_link(&user.id, new, entry).await?.then_some(link))
    }

    /// Uses a link, and lets its user in.
    pub(super) async fn welcome(
        &self,
        secret: &str,
        email: Option<&str>,
        password: String,
        actor: &Actor,
    ) -> Result<SignedIn, Problem> {
        let hash = hash(secret);
        let whose = self.store.link(hash, self.clock.now()).await?.ok_or_else(dead)?;
        let user = match whose {
            LinkFor::Password(user) => {
                password::check(&password, &user.email)?;
                let password = self.passwords.hash(password).await?;
                let entry = self.entry(actor, "auth.password", "");
                let user = self.store.use_password_link(hash, password, entry).await?.ok_or_else(dead)?;
                self.forget_user(&user.id);
                user
            }
            LinkFor::FirstOwner => {
                let email = password::address(email.unwrap_or_default())?;
                password::check(&password, &email)?;
                let password = Some(self.passwords.hash(password).await?);
                let owner = self.new_user(email.clone(), Role::Owner, password);
                let id = owner.id.clone();
                let entry = self.entry(actor, "users.first-owner", &email).by(&email);
                if !self.store.use_first_owner_link(hash, owner, entry).await? {
                    return Err(dead());
                }
                self.store.user(&id).await?.ok_or_else(dead)?
            }
        };
        self.begin(user, actor).await
    }

    fn new_user(&self, email: String, role: Role, password: Option<String>) -> NewUser {
        NewUser { id: secrets::id("user"), email, role, password, at: self.clock.now() }
    }

    fn link(&self, prefix: &str, life: Millis) -> (Link, NewLink) {
        let secret = secrets::random(prefix);
        let expires_at = self.clock.now() + life;
        let new = NewLink { hash: hash(&secret), expires_at };
        (Link { path: format!("/welcome#token={secret}"), expires_at }, new)
    }
}

fn dead() -> Problem {
    Problem::new(StatusCode::GONE, codes::LINK_DEAD, "the link is unknown, was used, or has expired")
        .hint("ask an owner for another; the link of the first owner is made anew when the server starts")
}
