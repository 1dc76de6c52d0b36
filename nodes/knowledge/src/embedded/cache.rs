//! The collections that are in memory. Beyond a budget the one goes whose last search is the longest ago.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::memory::Loaded;

/// Collections in memory, by number.
pub(super) struct Cache {
    budget: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    collections: HashMap<i64, Entry>,
    searches: u64,
}

struct Entry {
    loaded: Arc<RwLock<Loaded>>,
    bytes: u64,
    last: u64,
}

impl Cache {
    /// Holds so many bytes, and at least one collection.
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, held: Mutex::default() }
    }

    /// A collection, empty where it is not in memory.
    pub(super) fn get(&self, collection: i64, dimensions: u32) -> Arc<RwLock<Loaded>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.searches += 1;
        let last = held.searches;
        let empty = || Entry { loaded: Arc::new(RwLock::new(Loaded::new(dimensions))), bytes: 0, last };
        let entry = held.collections.entry(collection).or_insert_with(empty);
        entry.last = last;
        entry.loaded.clone()
    }

    /// A collection takes so many bytes now.
    pub(super) fn grew(&self, collection: i64, bytes: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = held.collections.get_mut(&collection) {
            entry.bytes = bytes;
        }
        while held.collections.len() > 1
            && held.collections.values().map(|entry| entry.bytes).sum::<u64>() > self.budget
        {
            let others = held.collections.iter().filter(|(id, _)| **id != collection);
            let Some((oldest, _)) = others.min_by_key(|(_, entry)| entry.last) else { return };
            let oldest = *oldest;
            held.collections.remove(&oldest);
        }
    }

    /// A collection was dropped.
    pub(super) fn forget(&self, collection: i64) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).collections.remove(&collection);
    }

    #[cfg(test)]
    fn holds(&self) -> Vec<i64> {
        let held = self.held.lock().unwrap();
        let mut ids: Vec<i64> = held.collections.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collection_that_was_searched_longest_ago_goes() {
        let cache = Cache::new(100);
        for id in [1, 2, 3] {
            cache.get(id, 4);
            cache.grew(id, 40);
        }
        assert_eq!(cache.holds(), [2, 3]);
        cache.get(2, 4);
        cache.get(4, 4);
        cache.grew(4, 60);
        assert_eq!(cache.holds(), [2, 4]);
        cache.grew(4, 1000);
        assert_eq!(cache.holds(), [4], "what is searched is held whatever it takes");
        cache.forget(4);
        assert!(cache.holds().is_empty());
    }
}
