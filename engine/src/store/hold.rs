//! Runs that are counted together: what a run is counted under, and the rules of the line in front of a key.
//!
//! A run stands in the line of each of its keys from its creation to its end. It *holds* them once it has room, all at
//! once, and waits until then. It has room when in each line fewer than `limit` runs hold the key or are ahead of it. Who
//! waits for another key is ahead of nobody, so that two lines cannot block each other.

use std::collections::BTreeSet;

use crate::{
    codes,
    definition::WhenFull,
    error::{ErrorClass, NodeError},
    event::RunStatus,
    id::RunId,
    store::{Message, MessageBody, NewRun, Parent},
    units::Millis,
    usage::Spent,
    value::Value,
};

/// What a run is counted under. A run below another one that stands in the line of the same key is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The key.
    pub key: String,
    /// How many runs may hold it at once, as this run sees it.
    pub limit: u32,
    /// What becomes of this run when there is no room.
    pub when_full: WhenFull,
}

/// The id of the message that cancels a run to make room: it is sent once, because a second cancel ends the handlers.
const REPLACED: &str = "replaced";

/// Why a run did not start: these are in its way.
pub fn full(ahead: &[RunId]) -> NodeError {
    const SHOWN: usize = 3;
    let mut runs: Vec<String> = ahead.iter().take(SHOWN).map(ToString::to_string).collect();
    if ahead.len() > SHOWN {
        runs.push(format!("{} more", ahead.len() - SHOWN));
    }
    let message = format!("as many runs go on as may at once: {}", runs.join(", "));
    NodeError::new(codes::RUNS_FULL, ErrorClass::RateLimited, message)
        .hint("try again when one has ended, or write `when_full: queue` to let this one wait")
}

/// What a parent is told of a child that was rejected.
pub fn rejected_child(child: &NewRun, parent: &Parent, ahead: &[RunId]) -> Message {
    let body = MessageBody::ChildEnded {
        node: parent.node.clone(),
        attempt: parent.attempt,
        status: RunStatus::Failed,
        outputs: Value::object(),
        error: Some(full(ahead).report("")),
        usage: Spent::default(),
    };
    Message { id: format!("end of {}", child.id), at: child.at, body }
}

/// What a run is told that makes room for another one.
pub fn cancelled_for(run: RunId, at: Millis) -> Message {
    let by = Some(format!("{run}, which replaces it"));
    Message { id: REPLACED.to_owned(), at, body: MessageBody::Cancel { by } }
}

/// So many waiting runs of a line are looked at.
const LOOKED_AT: u32 = 256;

/// What a store knows of lines. Runs are numbered in the order of their creation.
pub trait Lines {
    /// Why the store failed.
    type Error;
    /// The keys of a run, with its limits.
    fn keys(&self, run: i64) -> Result<Vec<(String, u32)>, Self::Error>;
    /// The runs that hold a key, oldest first, at most so many.
    fn holders(&self, key: &str, most: u32) -> Result<Vec<i64>, Self::Error>;
    /// The runs before this one that wait for a key, oldest first, at most so many.
    fn waiting(&self, key: &str, before: i64, most: u32) -> Result<Vec<i64>, Self::Error>;
}

/// The runs for which a run with these keys must wait; none when it has room. A new run has the number `i64::MAX`.
///
/// # Errors
/// When the store fails.
pub fn in_the_way<L: Lines>(lines: &L, run: i64, keys: &[(String, u32)]) -> Result<Vec<i64>, L::Error> {
    let mut way = BTreeSet::new();
    for (key, limit) in keys {
        let mut ahead = lines.holders(key, *limit)?;
        for waiting in lines.waiting(key, run, LOOKED_AT)? {
            if ahead.len() >= *limit as usize {
                break;
            }
            if !waits_elsewhere(lines, waiting, key)? {
                ahead.push(waiting);
            }
        }
        if ahead.len() >= *limit as usize {
            way.extend(ahead);
        }
    }
    Ok(way.into_iter().collect())
}

fn waits_elsewhere<L: Lines>(lines: &L, run: i64, but: &str) -> Result<bool, L::Error> {
    for (key, limit) in lines.keys(run)? {
        if key != but && lines.holders(&key, limit)?.len() >= limit as usize {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The oldest run that waits for a key and has room now.
///
/// # Errors
/// When the store fails.
pub fn first_in_line<L: Lines>(lines: &L, key: &str) -> Result<Option<i64>, L::Error> {
    for run in lines.waiting(key, i64::MAX, LOOKED_AT)? {
        if in_the_way(lines, run, &lines.keys(run)?)?.is_empty() {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// The runs that a new one replaces: the oldest, so many that there is room when they have ended.
///
/// # Errors
/// When the store fails.
pub fn replaced<L: Lines>(lines: &L, hold: &Hold) -> Result<Vec<i64>, L::Error> {
    if hold.when_full != WhenFull::Replace {
        return Ok(Vec::new());
    }
    let mut all = lines.holders(&hold.key, u32::MAX)?;
    all.extend(lines.waiting(&hold.key, i64::MAX, u32::MAX)?);
    all.sort_unstable();
    let excess = (all.len() + 1).saturating_sub(hold.limit as usize);
    all.truncate(excess);
    Ok(all)
}
