//! Sessions of users, and what was tried to begin one.

use async_trait::async_trait;
use liteagent_engine::{store::StoreError, units::Millis};

use super::{Entry, TokenHash, UserRow};

/// After how long failed sign-ins are forgotten.
pub const FORGOTTEN: Millis = 24 * 60 * 60 * 1_000;
/// The longest pause after a failed sign-in.
const LONGEST: Millis = 15 * 60 * 1_000;

/// How long after the last of so many failures it may be tried again: nothing while they are at most `free`, then a second
/// that doubles with each, up to a quarter of an hour.
pub fn pause(failures: u32, free: u32) -> Millis {
    match failures.saturating_sub(free) {
        0 => 0,
        over => 1_000_i64.checked_shl(over.min(20) - 1).unwrap_or(LONGEST).min(LONGEST),
    }
}

/// Something that failed sign-ins are counted by.
#[derive(Clone, Debug)]
pub struct Counted {
    /// An account or an address.
    pub subject: String,
    /// How many failures have no consequence.
    pub free: u32,
}

/// A session that is about to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: String,
    /// Its user.
    pub user: String,
    /// The hash of its first refresh token.
    pub refresh: TokenHash,
    /// Now.
    pub at: Millis,
    /// When it ends unless it is refreshed before.
    pub expires_at: Millis,
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// It was good, and is not any more; the session goes on.
    Done {
        /// The session.
        session: String,
        /// Its user.
        user: UserRow,
    },
    /// It had been used before: someone else has it. The session was ended.
    Reused {
        /// The session.
        session: String,
    },
    /// Nobody knows it, its session has ended, or its user may not sign in.
    Unknown,
}

/// Sessions of users.
///
/// # Contract
/// * A refresh token is good once. One that comes again ends its session, whoever has it.
/// * A session is good until it ends or expires, and while its user is there and not disabled.
/// * A try counts before it is known how it comes out, so that many at once are not more than many in a row.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Begins a session.
    async fn begin_session(&self, new: NewSession, entry: Entry) -> Result<(), StoreError>;
    /// The user of a session that is good.
    async fn session_user(&self, session: &str, now: Millis) -> Result<Option<UserRow>, StoreError>;
    /// Gives a new refresh token for an old one. `entry` is kept when the old one had been used.
    async fn rotate(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Millis,
        expires_at: Millis,
        entry: Entry,
    ) -> Result<Rotated, StoreError>;
    /// Ends the session of a refresh token, also of one that was used; its id, when there is one.
    async fn end_session(&self, refresh: TokenHash, entry: Entry) -> Result<Option<String>, StoreError>;
    /// Counts a try to sign in as failed; `Some` says until when there is a pause, and nothing was counted.
    async fn try_sign_in(&self, counted: [Counted; 2], now: Millis) -> Result<Option<Millis>, StoreError>;
    /// Takes a try back: it did not fail. The first subject starts anew.
    async fn sign_in_succeeded(&self, counted: [Counted; 2]) -> Result<(), StoreError>;
    /// Deletes sessions and links that have expired, and failures that are forgotten.
    async fn sweep(&self, now: Millis) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_quarter_of_an_hour() {
        let pauses: Vec<Millis> = [0, 5, 6, 7, 8, 15, 16, 1_000, u32::MAX].map(|count| pause(count, 5)).to_vec();
        assert_eq!(pauses, [0, 0, 1_000, 2_000, 4_000, 512_000, 900_000, 900_000, 900_000]);
    }
}
