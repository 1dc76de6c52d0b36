//! The callers that were seen a moment ago: a request of one of them asks no store.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use liteagent_engine::units::Millis;

use crate::{access::Caller, store::TokenHash};

/// How long it is believed who someone is: after that, what another process has ended is over here too.
pub(super) const BELIEVED: Millis = 10_000;
/// The most callers that are kept.
const MOST: usize = 10_000;

/// Callers by the hash of what they show.
#[derive(Default)]
pub(super) struct Callers(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    known: HashMap<TokenHash, Known>,
    /// Counts how often some were forgotten.
    revision: u64,
}

struct Known {
    caller: Caller,
    until: Millis,
}

impl Callers {
    /// Who shows this.
    pub(super) fn get(&self, hash: &TokenHash, now: Millis) -> Option<Caller> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.known.get(hash).filter(|known| now < known.until).map(|known| known.caller.clone())
    }

    /// What [`Callers::keep`] must be given by whoever asks the store from now on.
    pub(super) fn revision(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// Keeps what the store said, unless someone was forgotten since it was asked: it may have been about them.
    pub(super) fn keep(&self, hash: TokenHash, caller: Caller, now: Millis, until: Millis, revision: u64) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.revision != revision {
            return;
        }
        if kept.known.len() >= MOST {
            kept.known.retain(|_, known| now < known.until);
        }
        if kept.known.len() >= MOST {
            kept.known.clear();
        }
        kept.known.insert(hash, Known { caller, until: until.min(now + BELIEVED) });
    }

    /// Forgets some, at once.
    pub(super) fn forget(&self, mut is_one: impl FnMut(&Caller) -> bool) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.revision += 1;
        kept.known.retain(|_, known| !is_one(&known.caller));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::KeyCaller, store::KeyScope};

    fn caller(id: usize) -> Caller {
        let scope = KeyScope::Workflow("w".to_owned());
        Caller::Key(KeyCaller {
            id: id.to_string(),
            name: String::new(),
            scope,
            rate: None,
            limits: crate::store::KeyLimits::default(),
            read_only: false,
        })
    }

    fn hash(id: usize) -> TokenHash {
        super::super::secrets::hash(&id.to_string())
    }

    #[test]
    fn a_caller_is_believed_for_ten_seconds_and_not_beyond_its_end() {
        let callers = Callers::default();
        callers.keep(hash(1), caller(1), 0, Millis::MAX, 0);
        callers.keep(hash(2), caller(2), 0, 500, 0);
        assert!(callers.get(&hash(1), BELIEVED - 1).is_some());
        assert!(callers.get(&hash(1), BELIEVED).is_none());
        assert!(callers.get(&hash(2), 499).is_some());
        assert!(callers.get(&hash(2), 500).is_none());
    }

    #[test]
    fn who_is_forgotten_while_the_store_is_asked_is_not_kept() {
        let callers = Callers::default();
        let revision = callers.revision();
        callers.forget(|_| true);
        callers.keep(hash(1), caller(1), 0, Millis::MAX, revision);
        assert!(callers.get(&hash(1), 0).is_none());
        callers.keep(hash(1), caller(1), 0, Millis::MAX, callers.revision());
        callers.forget(|known| matches!(known, Caller::Key(key) if key.id == "1"));
        assert!(callers.get(&hash(1), 0).is_none());
    }

    #[test]
    fn only_so_many_are_kept() {
        let callers = Callers::default();
        for id in 0..=MOST {
            callers.keep(hash(id), caller(id), 0, Millis::MAX, 0);
        }
        assert!(callers.0.read().unwrap().known.len() <= MOST);
        assert!(callers.get(&hash(MOST), 0).is_some());
    }
}
