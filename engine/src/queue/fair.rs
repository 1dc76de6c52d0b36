//! Whose turn it is: start-time fair queueing by counting.
//!
//! Every job of a key gets a number one above that of the key's job before it, and above that of the turn which is being
//! served. The lowest number goes first. So a key that pushed a thousand jobs has numbers far ahead, and who comes later
//! stands beside its next job, not behind its last one. The script of the Redis form counts in the same way.

use std::collections::HashMap;

/// The numbers of one priority.
#[derive(Debug, Default)]
pub(super) struct Fair {
    /// The number that was served last.
    turn: u64,
    /// The last number of each key that has jobs.
    last: HashMap<String, u64>,
}

impl Fair {
    /// The number of one more job of a key.
    pub(super) fn number(&mut self, key: &str) -> u64 {
        let number = self.last.get(key).copied().unwrap_or(0).max(self.turn) + 1;
        self.last.insert(key.to_owned(), number);
        number
    }

    /// A job was served; a key without further jobs is forgotten.
    pub(super) fn served(&mut self, key: &str, number: u64) {
        self.turn = self.turn.max(number);
        if self.last.get(key) == Some(&number) {
            self.last.remove(key);
        }
    }
}
