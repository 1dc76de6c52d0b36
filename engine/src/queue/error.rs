//! Why a queue did not do what it was asked.

use crate::{codes, error::Code};

/// Why a queue did not do what it was asked.
///
/// No run is lost by it: what could not be pushed is pushed later by whoever reads the truth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It could not be reached in time, or it is not known whether it did it.
    #[error("the queue cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with an error.
    #[error("the queue refuses a command: {0}")]
    Refused(String),
    /// It does not accept the credentials, or they do not allow what is needed.
    #[error("the queue refuses the credentials: {0}")]
    Credentials(String),
    /// It would throw jobs away when its memory is full.
    #[error(
        "expected `maxmemory-policy noeviction` in Redis, found `{0}`: it would throw jobs away when its memory is full"
    )]
    Evicts(String),
    /// It is too old.
    #[error("expected Redis 7.0 or newer, found {0}")]
    TooOld(String),
    /// Its address cannot be read.
    #[error("{0}")]
    Address(String),
}

impl QueueError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreachable(_) => codes::QUEUE_UNREACHABLE,
            Self::Refused(_) => codes::QUEUE_REFUSED,
            Self::Credentials(_) => codes::QUEUE_CREDENTIALS,
            Self::Evicts(_) => codes::QUEUE_EVICTS,
            Self::TooOld(_) => codes::QUEUE_OLD,
            Self::Address(_) => codes::QUEUE_ADDRESS,
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "look whether Redis runs at the address in `QUEUE_REDIS_URL` or `REDIS_URL`; runs wait in the database \
                 until it answers"
            }
            Self::Refused(_) => {
                "read the message of Redis; the user of the address needs the commands in `docs/queues.md`"
            }
            Self::Credentials(_) => "put the user and the password into the address: `redis://USER:PASSWORD@HOST:6379`",
            Self::Evicts(_) => {
                "set `maxmemory-policy noeviction` in redis.conf, or give the queue a Redis of its own by `QUEUE_REDIS_URL`"
            }
            Self::TooOld(_) => "use Redis 7.0 or newer, or Valkey",
            Self::Address(_) => {
                "write `redis://HOST:6379`, `rediss://…` with TLS, `redis+sentinel://HOST:26379,HOST:26379/MASTER` or \
                 `redis+cluster://HOST:6379,HOST:6379`"
            }
        }
    }
}
