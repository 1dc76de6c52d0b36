//! A writer: takes what waits, does it in one transaction, and tells everyone what became of it.

use std::{sync::Arc, time::Duration};

use liteagent_engine::store::StoreError;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};

use super::{
    db::{Db, late},
    failure::Failure,
    group,
    plain::{self, is_plain},
    pool::{PAUSE, REDOS},
    queue::{Group, Outcomes, Queue},
};
use crate::database::Error;

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
        queue.done();
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
            Failure::Broken(_) if begun.elapsed() < db.patience() => sleep(PAUSE).await,
            failure => return Err(failure),
        }
    }
}

async fn attempt(db: &Db, link: &mut Option<Link>, group: &Group) -> Result<Outcomes, Failure> {
    let link = match link {
        Some(link) => link,
        None => link.insert(Link { connection: db.connect().await?, used: Instant::now() }),
    };
    let outcomes = if db.named() && link.used.elapsed() < FRESH && is_plain(group) {
        committed(db, plain::append(&mut link.connection, db, group)).await?
    } else {
        let work = async {
            let mut tx = db.begin_on(&mut link.connection).await?;
            let outcomes = group::run(&mut tx, db, group).await?;
            Ok::<_, Failure>((tx, outcomes))
        };
        let worked = timeout(db.patience(), work).await;
        let (tx, outcomes) = worked.map_err(|_| Failure::Broken(late("a statement took too long")))??;
        committed(db, tx.commit()).await?;
        outcomes
    };
    link.used = Instant::now();
    Ok(outcomes)
}

/// Waits for what makes a transaction durable.
async fn committed<T>(db: &Db, commit: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(db.patience(), commit).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.is_refusal() => Err(error.into()),
        Ok(Err(error)) => Err(Failure::Unknown(error)),
        Err(_) => Err(Failure::Unknown(late("the commit took too long"))),
    }
}
