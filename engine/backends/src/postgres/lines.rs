//! Who is counted under which key: the rules of `store::hold` over the rows of `holds` that matter for some keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
};

use liteagent_engine::{
    definition::WhenFull,
    id::RunId,
    store::{
        Hold,
        hold::{self, Lines as _},
    },
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    db::{Tx, sql},
    stored::{decoded, stored},
};
use crate::database::Error;

/// The condition for runs that wait for room: they were never taken, and are not asked to stop.
macro_rules! waits_for_room {
    () => {
        "epoch = 0 AND EXISTS (SELECT FROM holds WHERE holds.id = runs.id AND NOT held) AND NOT EXISTS \
         (SELECT FROM inbox WHERE inbox.run = runs.number AND body IS NOT NULL AND cancels)"
    };
}
pub(super) use waits_for_room;

/// So many waiting runs of a line matter: the rules look at no more.
const LOOKED_AT: i64 = 256;

/// Lines, as far as they were read, with what this transaction changes in them.
#[derive(Default)]
pub(super) struct Lines {
    by_key: HashMap<String, BTreeMap<i64, Stand>>,
    keys: HashMap<i64, BTreeMap<String, u32>>,
    ids: HashMap<i64, RunId>,
}

/// A run in a line.
#[derive(Clone, Copy)]
struct Stand {
    room: u32,
    holds: bool,
}

impl hold::Lines for Lines {
    type Error = Infallible;

    fn keys(&self, run: i64) -> Result<Vec<(String, u32)>, Infallible> {
        Ok(self.keys.get(&run).into_iter().flatten().map(|(key, room)| (key.clone(), *room)).collect())
    }

    fn holders(&self, key: &str, most: u32) -> Result<Vec<i64>, Infallible> {
        let all = self.by_key.get(key).into_iter().flatten();
        Ok(all.filter(|(_, stand)| stand.holds).map(|(run, _)| *run).take(most as usize).collect())
    }

    fn waiting(&self, key: &str, before: i64, most: u32) -> Result<Vec<i64>, Infallible> {
        let all = self.by_key.get(key).into_iter().flat_map(|line| line.range(..before));
        Ok(all.filter(|(_, stand)| !stand.holds).map(|(run, _)| *run).take(most as usize).collect())
    }
}

impl Lines {
    /// Reads the lines of some keys, whole or as far as the rules look, and beside them the rows of some runs.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        keys: BTreeSet<String>,
        whole: bool,
        runs: Vec<Uuid>,
    ) -> Result<Self, Error> {
        let mut lines = Self::default();
        if keys.is_empty() {
            return Ok(lines);
        }
        let keys: Vec<String> = keys.iter().map(|key| stored(key).into_owned()).collect();
        let text = "SELECT keys.key, number, id, room, held FROM unnest($1::text[]) AS keys (key) CROSS JOIN LATERAL ( \
                    (SELECT number, id, room, held FROM holds WHERE holds.key = keys.key AND held) UNION ALL \
                    (SELECT number, id, room, held FROM holds WHERE holds.key = keys.key AND NOT held ORDER BY number LIMIT $2) \
                    ) AS line";
        let most = if whole { i64::MAX } else { LOOKED_AT };
        lines.add(tx.rows(sql(text).bind(keys).bind(most)).await?)?;
        let waiting =
            lines.by_key.values().flatten().filter(|(_, stand)| !stand.holds).map(|(run, _)| lines.ids[run].0);
        let runs: BTreeSet<Uuid> = waiting.chain(runs).collect();
        if !runs.is_empty() {
            // What else they wait for, and who has that.
            let text = "WITH own AS MATERIALIZED (SELECT key, number, id, room, held FROM holds WHERE id = ANY($1)) \
                        SELECT key, number, id, room, held FROM own UNION \
                        SELECT key, number, id, room, held FROM holds WHERE held AND key IN (SELECT key FROM own)";
            lines.add(tx.rows(sql(text).bind(Vec::from_iter(runs))).await?)?;
        }
        Ok(lines)
    }

    /// The keys for which some runs stand.
    pub(super) async fn keys_of(tx: &mut Tx<'_>, runs: Vec<Uuid>) -> Result<BTreeSet<String>, Error> {
        let rows = tx.rows(sql("SELECT DISTINCT key FROM holds WHERE id = ANY($1)").bind(runs)).await?;
        rows.iter().map(|row| Ok(decoded(row.try_get(0)?))).collect()
    }

    fn add(&mut self, rows: Vec<PgRow>) -> Result<(), Error> {
        for row in rows {
            let (key, number) = (decoded(row.try_get(0)?), row.try_get(1)?);
            let room = u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX);
            self.put(key, number, RunId(row.try_get(2)?), Stand { room, holds: row.try_get(4)? });
        }
        Ok(())
    }

    fn put(&mut self, key: String, number: i64, id: RunId, stand: Stand) {
        self.ids.insert(number, id);
        self.keys.entry(number).or_default().insert(key.clone(), stand.room);
        self.by_key.entry(key).or_default().insert(number, stand);
    }

    /// Puts a new run into its lines; it has the highest number. Whether it has room.
    pub(super) fn stand(&mut self, number: i64, id: RunId, holds: &[Hold]) -> bool {
        let has_room = self.way(i64::MAX, holds.iter()).is_empty();
        for hold in holds {
            self.put(hold.key.clone(), number, id, Stand { room: hold.limit, holds: has_room });
        }
        has_room
    }

    /// The runs for which a new one is refused.
    pub(super) fn refused(&self, holds: &[Hold]) -> Option<Vec<RunId>> {
        let way = self.way(i64::MAX, holds.iter().filter(|hold| hold.when_full == WhenFull::Reject));
        (!way.is_empty()).then(|| self.named(&way))
    }

    /// The runs that a new one replaces.
    pub(super) fn replaced(&self, hold: &Hold) -> Vec<RunId> {
        let Ok(all) = hold::replaced(self, hold);
        self.named(&all)
    }

    fn way<'a>(&self, run: i64, holds: impl Iterator<Item = &'a Hold>) -> Vec<i64> {
        let keys: Vec<_> = holds.map(|hold| (hold.key.clone(), hold.limit)).collect();
        let Ok(way) = hold::in_the_way(self, run, &keys);
        way
    }

    /// The runs for which a waiting one must go on waiting.
    pub(super) fn ahead(&self, run: i64) -> Vec<RunId> {
        let Ok(keys) = self.keys(run);
        let Ok(way) = hold::in_the_way(self, run, &keys);
        self.named(&way)
    }

    /// From now on the run holds its keys.
    pub(super) fn hold(&mut self, run: i64) {
        let Ok(keys) = self.keys(run);
        for (key, _) in keys {
            if let Some(stand) = self.by_key.get_mut(&key).and_then(|line| line.get_mut(&run)) {
                stand.holds = true;
            }
        }
    }

    pub(super) fn leave(&mut self, run: i64) {
        for key in self.keys.remove(&run).into_iter().flatten().map(|(key, _)| key) {
            if let Some(line) = self.by_key.get_mut(&key) {
                line.remove(&run);
            }
        }
    }

    /// The oldest run that waits for a key and has room now.
    pub(super) fn first(&self, key: &str) -> Option<(i64, RunId)> {
        let Ok(first) = hold::first_in_line(self, key);
        first.map(|run| (run, self.ids[&run]))
    }

    /// The first of each line, when it has room.
    pub(super) fn firsts(&self) -> BTreeSet<(i64, RunId)> {
        self.by_key.keys().filter_map(|key| self.first(key)).collect()
    }

    fn named(&self, runs: &[i64]) -> Vec<RunId> {
        runs.iter().map(|run| self.ids[run]).collect()
    }
}
