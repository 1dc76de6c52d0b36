//! Sessions: begun with a password, gone on with by the refresh token, ended.

use std::net::IpAddr;

use axum::http::StatusCode;
use liteagent_engine::{codes, units::Millis};

use super::{
    Accounts, Actor, jwt, password,
    secrets::{self, hash},
};
use crate::{
    access::UserCaller,
    front::network,
    problem::Problem,
    store::{Counted, NewSession, Outcome, Rotated, UserRow},
};

/// How long a session lasts that nobody goes on with.
const SESSION: Millis = 30 * 24 * 60 * 60 * 1_000;
/// How many wrong passwords of one account have no consequence.
const FREE_OF_ACCOUNT: u32 = 5;
/// How many wrong passwords from one address have no consequence: a whole office may have it.
const FREE_OF_ADDRESS: u32 = 20;

/// What a user gets who is let in.
pub(super) struct SignedIn {
    /// Good for a quarter of an hour.
    pub(super) access: String,
    /// Good once, for the next access token.
    pub(super) refresh: String,
    /// How many seconds the refresh token is good.
    pub(super) refresh_for: i64,
    /// Who it is.
    pub(super) user: UserRow,
}

impl Accounts {
    /// Lets a user in who knows the password.
    pub(super) async fn sign_in(&self, email: &str, password: String, actor: &Actor) -> Result<SignedIn, Problem> {
        // What is no address of anyone is told like what is nobody's.
        let email = password::address(email).unwrap_or_default();
        let counted = self.may_try(&email, actor).await?;
        let (user, stored) = self.store.user_to_sign_in(&email).await?.unzip();
        let is_right = self.passwords.matches(password, stored.flatten()).await?;
        let Some(user) = user.filter(|_| is_right) else {
            // Who writes the password in place of the address must not find it in the log.
            let entry = self.entry(actor, "auth.sign-in", "a password was wrong");
            self.store.record(crate::store::Entry { outcome: Outcome::Refused, ..entry }).await?;
            return Err(wrong_password("the e-mail address or the password is wrong"));
        };
        self.store.sign_in_succeeded(counted).await?;
        if user.disabled {
            let detail = format!("the account `{email}` is disabled");
            return Err(
                Problem::new(StatusCode::FORBIDDEN, codes::NOT_ALLOWED, detail).hint("ask an owner to enable it")
            );
        }
        self.begin(user, actor).await
    }

    /// Counts a try before it is known how it comes out; refuses it during a pause.
    async fn may_try(&self, email: &str, actor: &Actor) -> Result<[Counted; 2], Problem> {
        let counted = counted(email, actor.address);
        let now = self.clock.now();
        match self.store.try_sign_in(counted.clone(), now).await? {
            None => Ok(counted),
            Some(until) => {
                let seconds = u64::try_from(until - now).unwrap_or(0).div_ceil(1_000);
                let detail = format!("too many passwords were wrong: the next may be tried in {seconds} s");
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, codes::SIGN_IN_PAUSED, detail)
                    .hint("wait; whoever has forgotten the password can have a link from an owner that sets another")
                    .retry_after(seconds))
            }
        }
    }

    /// Begins a session.
    pub(super) async fn begin(&self, user: UserRow, actor: &Actor) -> Result<SignedIn, Problem> {
        let now = self.clock.now();
        let (session, refresh) = (secrets::id("session"), secrets::random(secrets::REFRESH));
        let new = NewSession {
            id: session.clone(),
            user: user.id.clone(),
            refresh: hash(&refresh),
            at: now,
            expires_at: now + SESSION,
        };
        let entry = self.entry(actor, "auth.sign-in", &user.email).by(&user.email);
        self.store.begin_session(new, entry).await?;
        Ok(self.signed_in(user, &session, refresh, now))
    }

    fn signed_in(&self, user: UserRow, session: &str, refresh: String, now: Millis) -> SignedIn {
        let access = self.tokens.issue(&user, session, now);
        SignedIn { access, refresh, refresh_for: SESSION / 1_000, user }
    }

    /// Goes on with a session: the refresh token is good no more, and another takes its place.
    pub(super) async fn refresh(&self, token: Option<&str>, actor: &Actor) -> Result<SignedIn, Problem> {
        let ended =
            |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, codes::SESSION_ENDED, detail).hint("sign in again");
        let token = token.ok_or_else(|| ended("expected the cookie of a session, found none"))?;
        let (now, refresh) = (self.clock.now(), secrets::random(secrets::REFRESH));
        let entry = self.entry(actor, "auth.reuse", "");
        match self.store.rotate(hash(token), hash(&refresh), now, now + SESSION, entry).await? {
            Rotated::Done { session, user } => Ok(self.signed_in(user, &session, refresh, now)),
            Rotated::Reused { session } => {
                self.forget_session(&session);
                Err(ended("a refresh token came a second time: someone else may have it, so the session was ended"))
            }
            Rotated::Unknown => Err(ended("the session has ended")),
        }
    }

    /// Ends the session of a refresh token.
    pub(super) async fn sign_out(&self, token: Option<&str>, actor: &Actor) -> Result<(), Problem> {
        let Some(token) = token else { return Ok(()) };
        let entry = self.entry(actor, "auth.sign-out", "");
        if let Some(session) = self.store.end_session(hash(token), entry).await? {
            self.forget_session(&session);
        }
        Ok(())
    }

    /// Changes the password of a user who knows it. Every other session ends.
    pub(super) async fn change_password(
        &self,
        caller: &UserCaller,
        current: String,
        new: String,
        actor: &Actor,
    ) -> Result<(), Problem> {
        if caller.is_developer() {
            return Err(Problem::conflict(codes::NO_USER, "the development key is no user, and has no password")
                .hint("sign in as a user"));
        }
        password::check(&new, &caller.name)?;
        let counted = self.may_try(&caller.name, actor).await?;
        let stored = self.store.user_to_sign_in(&caller.name).await?.and_then(|(_, stored)| stored);
        if !self.passwords.matches(current, stored).await? {
            return Err(wrong_password("the current password is wrong"));
        }
        self.store.sign_in_succeeded(counted).await?;
        let hash = self.passwords.hash(new).await?;
        let entry = self.entry(actor, "auth.password", &caller.name);
        let is_there = self.store.set_password(&caller.id, hash, caller.session.as_deref(), entry).await?;
        self.forget_user(&caller.id);
        if is_there { Ok(()) } else { Err(super::unknown("the user was deleted")) }
    }

    /// How many seconds an access token is good.
    pub(super) const ACCESS_FOR: i64 = jwt::LIFE;
}

/// By what failures are counted: the account, whether it is there or not, and the address.
fn counted(email: &str, address: IpAddr) -> [Counted; 2] {
    // Only a hash of the account: people also write their password in its place.
    let account = liteagent_engine::id::Digest::of(email.as_bytes());
    [
        Counted { subject: format!("account:{account}"), free: FREE_OF_ACCOUNT },
        Counted { subject: format!("address:{}", network(address)), free: FREE_OF_ADDRESS },
    ]
}

fn wrong_password(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, codes::WRONG_PASSWORD, detail)
        .hint("whoever has forgotten the password can have a link from an owner that sets another")
}
