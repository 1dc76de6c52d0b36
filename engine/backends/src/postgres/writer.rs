//! A writer: takes what waits, does it in one transaction, and tells everyone what became of it.

use std::{sync::Arc, time::Duration};

use liteagent_engine::store::StoreError;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};

use super::{
    db::{Db, late},
    group,
    plain::{self, is_plain},
    queue::{Group, Outcomes, Queue},
};
use crate::database::Error;

/// How often a group is done again that met another transaction.
const REDOS: u32 = 32;
/// How far apart to try to reach a server that has gone.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a group was not done, or not known to be done.
pub(super) enum Failure {
    /// Another transaction was in the way: done again, it may succeed.
    Conflict(Error),
    /// The connection broke before the commit: nothing was done.
    Broken(Error),
    /// The server refused a statement: nothing was done.
    Refused(Error),
    /// The connection broke at the commit.
    Unknown(Error),
}

impl Failure {
    /// What was decided on has changed meanwhile.
    pub(super) fn overtaken() -> Self {
        Self::Conflict(StoreError::Failed("other transactions were in the way, again and again".to_owned()).into())
    }
}

impl<E: Into<Error>> From<E> for Failure {
    /// Of a failure before the commit.
    fn from(error: E) -> Self {
        let error = error.into();
        if error.is_conflict() {
            Self::Conflict(error)
        } else if error.is_broken() {
            Self::Broken(error)
        } else {
            Self::Refused(error)
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(error) | Failure::Broken(error) | Failure::Refused(error) => error.into(),
            Failure::Unknown(error) => {
                let error: Self = error.into();
                Self::Failed(format!("it is not known whether it was written: {error}"))
            }
        }
    }
}

/// A connection is believed to be there for so long after it was: then a break is found before anything is asked.
const FRESH: Duration = Duration::from_millis(100);

/// The connection of a writer, and when it was last used.
struct Link {
    connection: PgConnection,
    used: Instant,
}

/// Serves the queue until it is closed.
pub(super) async fn serve(db: Arc<Db>, queue: Arc<Queue>) {
    let mut link = None;
    while let Some(group) = queue.next().await {
        match persist(&db, &mut link, &group).await {
            // One of them does not fit: each one alone shows which.
            Err(Failure::Refused(_)) if group.len() > 1 => {
                for one in group.apart() {
                    let outcome = persist(&db, &mut link, &one).await;
                    one.settle(outcome.map_err(StoreError::from));
                }
            }
            outcome => group.settle(outcome.map_err(StoreError::from)),
        }
    }
}

/// Makes a group durable; what is known not to have been done is done again.
async fn persist(db: &Db, link: &mut Option<Link>, group: &Group) -> Result<Outcomes, Failure> {
    let (begun, mut redos) = (Instant::now(), 0);
    loop {
        let failure = match attempt(db, link, group).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(failure) => failure,
        };
        if matches!(failure, Failure::Broken(_) | Failure::Unknown(_)) {
            *link = None;
        }
        match failure {
            Failure::Conflict(_) if redos < REDOS => redos += 1,
            Failure::Broken(_) if begun.elapsed() < db.patience => sleep(PAUSE).await,
            failure => return Err(failure),
        }
    }
}

async fn attempt(db: &Db, link: &mut Option<Link>, group: &Group) -> Result<Outcomes, Failure> {
    let link = match link {
        Some(link) => link,
        None => link.insert(Link { connection: db.connect().await?, used: Instant::now() }),
    };
    let outcomes = if db.named && link.used.elapsed() < FRESH && is_plain(group) {
        committed(db, plain::append(&mut link.connection, db, group)).await?
    } else {
        let work = async {
            let mut tx = db.begin_on(&mut link.connection).await?;
            let outcomes = group::run(&mut tx, db, group).await?;
            Ok::<_, Failure>((tx, outcomes))
        };
        let worked = timeout(db.patience, work).await;
        let (tx, outcomes) = worked.map_err(|_| Failure::Broken(late("a statement took too long")))??;
        committed(db, tx.commit()).await?;
        outcomes
    };
    link.used = Instant::now();
    Ok(outcomes)
}

/// Waits for what makes a transaction durable.
async fn committed<T>(db: &Db, commit: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(db.patience, commit).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.is_refusal() => Err(error.into()),
        Ok(Err(error)) => Err(Failure::Unknown(error)),
        Err(_) => Err(Failure::Unknown(late("the commit took too long"))),
    }
}
