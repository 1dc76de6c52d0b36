//! What a transaction has locked: sessions, rows of runs, and names that have no row of their own.

use std::collections::{BTreeSet, HashMap};

use liteagent_engine::{
    id::{Digest, RunId, SessionId},
    store::{NewRun, RunRow},
    units::Millis,
};
use sqlx::Row as _;
use uuid::Uuid;

use super::db::{Db, Tx, now, sql};
use crate::{
    database::Error,
    row::{Cells as _, RUN_COLUMNS, hash, run_columns, run_row},
};

/// A run that nobody else can change until the commit, as it will be then.
pub(super) struct Locked {
    /// Its place in the order of creation.
    pub(super) number: i64,
    pub(super) row: RunRow,
    /// Who pays.
    pub(super) account: Option<String>,
    /// It was taken on the timeline on which the server still writes.
    pub(super) is_current: bool,
    /// It waits for room, unless it is asked to stop.
    pub(super) waits: bool,
    pub(super) change: Change,
}

/// What of a run must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Nothing,
    /// Only that there are more records.
    More,
    /// Also who owns it, and where it stands.
    Whole,
    /// All: it begins to exist.
    New,
}

impl Locked {
    /// There are more records.
    pub(super) fn grow(&mut self, records: u64, at: Millis) {
        self.row.seq += records;
        self.row.updated_at = at;
        if self.change == Change::Nothing {
            self.change = Change::More;
        }
    }

    /// Something else changed.
    pub(super) fn touch(&mut self) {
        if self.change != Change::New {
            self.change = Change::Whole;
        }
    }
}

/// Runs by their ids.
#[derive(Default)]
pub(super) struct Runs(pub(super) HashMap<RunId, Locked>);

impl Runs {
    /// Locks the rows of these runs, those that are there.
    pub(super) async fn lock(tx: &mut Tx<'_>, db: &Db, ids: BTreeSet<RunId>) -> Result<Self, Error> {
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let text = sqlx::AssertSqlSafe(format!(
            concat!(
                "SELECT ",
                run_columns!(),
                ", account, number, timeline = {}, epoch = 0 AND EXISTS (SELECT FROM holds WHERE holds.id = runs.id AND NOT held) \
                 FROM runs WHERE id = ANY($1) ORDER BY id FOR UPDATE"
            ),
            db.timeline
        ));
        let ids: Vec<Uuid> = ids.into_iter().map(|run| run.0).collect();
        let mut runs = HashMap::with_capacity(ids.len());
        for row in tx.rows(sqlx::query(text).bind(ids)).await? {
            let account = row.text(RUN_COLUMNS)?;
            let (number, is_current) = (row.try_get(RUN_COLUMNS + 1)?, row.try_get(RUN_COLUMNS + 2)?);
            let waits = row.try_get(RUN_COLUMNS + 3)?;
            let row = run_row(&row)?;
            runs.insert(row.id, Locked { number, row, account, is_current, waits, change: Change::Nothing });
        }
        Ok(Self(runs))
    }

    pub(super) fn get(&self, run: RunId) -> Option<&Locked> {
        self.0.get(&run)
    }

    pub(super) fn get_mut(&mut self, run: RunId) -> Option<&mut Locked> {
        self.0.get_mut(&run)
    }

    /// Those of which something must be written, in the order of creation.
    pub(super) fn changed(&self, is: impl Fn(Change) -> bool) -> Vec<&Locked> {
        let mut all: Vec<&Locked> = self.0.values().filter(|run| is(run.change)).collect();
        all.sort_unstable_by_key(|run| run.number);
        all
    }
}

/// Sessions that are open, and their last heartbeats.
#[derive(Default)]
pub(super) struct Sessions {
    heartbeats: HashMap<SessionId, Millis>,
    /// The time of the database.
    now: Option<Millis>,
}

impl Sessions {
    /// Locks the sessions that take runs, so that none is closed meanwhile.
    pub(super) async fn lock(tx: &mut Tx<'_>, sessions: BTreeSet<Uuid>) -> Result<Self, Error> {
        let text =
            concat!("SELECT id, heartbeat, ", now!(), " FROM sessions WHERE id = ANY($1) ORDER BY id FOR KEY SHARE");
        let mut found = Self::default();
        found.read(tx, text, sessions).await?;
        Ok(found)
    }

    /// Reads the heartbeats of other sessions.
    pub(super) async fn also(&mut self, tx: &mut Tx<'_>, sessions: BTreeSet<Uuid>) -> Result<(), Error> {
        let unknown = sessions.into_iter().filter(|id| !self.heartbeats.contains_key(&SessionId(*id))).collect();
        self.read(tx, concat!("SELECT id, heartbeat, ", now!(), " FROM sessions WHERE id = ANY($1)"), unknown).await
    }

    async fn read(&mut self, tx: &mut Tx<'_>, text: &'static str, sessions: BTreeSet<Uuid>) -> Result<(), Error> {
        if sessions.is_empty() {
            return Ok(());
        }
        for row in tx.rows(sql(text).bind(Vec::from_iter(sessions))).await? {
            self.heartbeats.insert(SessionId(row.try_get(0)?), row.try_get(1)?);
            self.now = Some(row.try_get(2)?);
        }
        Ok(())
    }

    pub(super) fn is_open(&self, session: SessionId) -> bool {
        self.heartbeats.contains_key(&session)
    }

    /// Whether a session lives, at a time of the database or of the caller.
    pub(super) fn is_alive(&self, db: &Db, session: SessionId, at: Millis) -> bool {
        let at = db.given(at).or(self.now).unwrap_or(at);
        self.heartbeats.get(&session).is_some_and(|heartbeat| at.saturating_sub(*heartbeat) <= db.lease)
    }
}

/// Names that are locked for a transaction. Many names share a lock, because the server has room for some thousands only.
#[derive(Default)]
pub(super) struct Names(BTreeSet<i32>);

impl Names {
    const LOCKS: u16 = 1024;
    const SPACE: i32 = 0x6c69_7465;

    /// The line of a key.
    pub(super) fn line(&mut self, key: &str) {
        self.add(&format!("line\0{key}"));
    }

    pub(super) fn start_key(&mut self, new: &NewRun) {
        if let Some(key) = &new.idempotency {
            self.add(&format!("start\0{}\0{}\0{}", key.caller, new.workflow, key.key));
        }
    }

    pub(super) fn conversation(&mut self, id: &str) {
        self.add(&format!("conversation\0{id}"));
    }

    /// Every process must come to the same number.
    fn add(&mut self, name: &str) {
        let hash = hash(&Digest::of(name.as_bytes()));
        self.0.insert(i32::from(u16::from_be_bytes([hash[0], hash[1]]) % Self::LOCKS));
    }

    pub(super) async fn lock(self, tx: &mut Tx<'_>) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text = "SELECT pg_advisory_xact_lock($1, name) FROM unnest($2::int[]) AS name";
        tx.rows(sql(text).bind(Self::SPACE).bind(Vec::from_iter(self.0))).await.map(drop)
    }
}
