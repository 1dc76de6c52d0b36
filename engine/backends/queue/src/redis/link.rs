//! Calls to Redis: one shared connection for commands, and others for reads that block.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use liteagent_engine::queue::QueueError;
use rand::Rng;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind};
use tokio::{
    sync::RwLock,
    time::{Instant, sleep, timeout_at},
};

use crate::redis::{
    RedisOptions,
    connect::{Connection, Connector},
};

/// How long a server may think about one command before the connection is given up.
const ANSWER: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Calls with a deadline, over connections that are made anew when they break.
///
/// Every call may be made twice: when an answer is lost, nobody knows whether the command was carried out. The queue allows
/// that.
pub(super) struct Link {
    pub(super) connector: Connector,
    deadline: Duration,
    /// The connection of all commands, and how many there were before it.
    shared: RwLock<(u64, Option<Connection>)>,
    /// Connections that block for one reader at a time.
    blocking: Mutex<Vec<Connection>>,
}

impl Link {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, QueueError> {
        let connector = Connector::new(options)
            .map_err(|error| QueueError::Address(format!("{} cannot be used: {error}", options.address)))?;
        Ok(Self { connector, deadline: options.deadline, shared: RwLock::default(), blocking: Mutex::default() })
    }

    /// Sends a command until it is answered, at most until the deadline.
    pub(super) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        self.script(command, None).await
    }

    /// As [`Self::call`]; `code` makes the command that is sent to a server which does not know the script.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        command: &Cmd,
        code: Option<&(dyn Fn() -> Cmd + Sync)>,
    ) -> Result<T, QueueError> {
        let deadline = Instant::now() + self.deadline;
        let mut pause = FIRST_PAUSE;
        let mut reason = String::from("no answer");
        loop {
            match timeout_at(deadline, self.once(command, code)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if passes(&error) => reason = error.to_string(),
                Ok(Err(error)) => return Err(failure(&error)),
                Err(_) => return Err(self.late(&reason)),
            }
            // Spread, so that all who lost a server do not come back to it at the same moment.
            let spread = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            if Instant::now() + spread >= deadline {
                return Err(self.late(&reason));
            }
            sleep(spread).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn late(&self, reason: &str) -> QueueError {
        QueueError::Unreachable(format!("{reason} (tried for {} s)", self.deadline.as_secs_f64()))
    }

    async fn once<T: FromRedisValue>(&self, command: &Cmd, code: Option<&(dyn Fn() -> Cmd + Sync)>) -> RedisResult<T> {
        let (number, mut connection) = self.connection().await?;
        let mut answer = command.query_async(&mut connection).await;
        if let (Err(error), Some(code)) = (&answer, code)
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            answer = code().query_async(&mut connection).await;
        }
        if answer.as_ref().is_err_and(passes) {
            self.give_up(number).await;
        }
        answer
    }

    async fn connection(&self) -> RedisResult<(u64, Connection)> {
        if let (number, Some(connection)) = &*self.shared.read().await {
            return Ok((*number, connection.clone()));
        }
        let mut shared = self.shared.write().await;
        if let (number, Some(connection)) = &*shared {
            return Ok((*number, connection.clone()));
        }
        let connection = self.connector.connect(ANSWER).await?;
        *shared = (shared.0 + 1, Some(connection.clone()));
        Ok((shared.0, connection))
    }

    /// Forgets the connection of this number: a Sentinel may name another master.
    async fn give_up(&self, number: u64) {
        let mut shared = self.shared.write().await;
        if shared.0 == number {
            shared.1 = None;
        }
    }

    /// Sends a command that may block for a time, on a connection of its own; once.
    pub(super) async fn block<T: FromRedisValue>(&self, command: &Cmd, time: Duration) -> RedisResult<T> {
        let free = self.blocking.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match free {
            Some(connection) => connection,
            // The longest block and the time to answer.
            None => self.connector.connect(super::queue::SLICE + ANSWER).await?,
        };
        let answer = tokio::time::timeout(time + ANSWER, command.query_async(&mut connection)).await;
        let answer = answer.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        // One that broke is dropped, and so is one whose reader was dropped while it waited: its answer may still come.
        if answer.is_ok() {
            self.blocking.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}

/// Whether the reason of an error passes by itself: a server starts, is replaced, or does not answer at the moment.
pub(super) fn passes(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
        ),
        ErrorKind::Extension => matches!(error.code(), Some("MISCONF" | "NOREPLICAS" | "UNBLOCKED" | "BUSY")),
        _ => false,
    }
}

/// What is said about an error that does not pass.
pub(super) fn failure(error: &RedisError) -> QueueError {
    let refused = matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm));
    if refused || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) {
        QueueError::Credentials(error.to_string())
    } else if passes(error) {
        QueueError::Unreachable(error.to_string())
    } else {
        QueueError::Refused(error.to_string())
    }
}
