//! Who waits: runs take turns, whatever each of them asks for.

use std::collections::{HashMap, VecDeque};

use liteagent_engine::id::RunId;

/// What waits, in fair order.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// What was refused before: it had its turn already.
    again: VecDeque<T>,
    /// Runs that wait, the next one in front.
    turns: VecDeque<Option<RunId>>,
    /// What each of them waits for, in its order.
    waiting: HashMap<Option<RunId>, VecDeque<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { again: VecDeque::new(), turns: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, run: Option<RunId>, again: bool, item: T) {
        if again {
            self.again.push_back(item);
            return;
        }
        let own = self.waiting.entry(run).or_insert_with(|| {
            self.turns.push_back(run);
            VecDeque::new()
        });
        own.push_back(item);
    }

    /// What is next.
    pub(super) fn peek(&self) -> Option<&T> {
        self.again.front().or_else(|| self.waiting.get(self.turns.front()?)?.front())
    }

    /// Takes what is next; its run then waits for its next turn.
    pub(super) fn pop(&mut self) -> Option<T> {
        if let Some(item) = self.again.pop_front() {
            return Some(item);
        }
        let run = self.turns.pop_front()?;
        let own = self.waiting.get_mut(&run)?;
        let item = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&run);
        } else {
            self.turns.push_back(run);
        }
        item
    }

    /// Takes everything.
    pub(super) fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_take_turns_and_what_was_refused_goes_first() {
        let (one, two) = (Some(RunId::random()), Some(RunId::random()));
        let mut queue = Queue::default();
        for number in 0..3 {
            queue.push(one, false, format!("a{number}"));
        }
        queue.push(two, false, "b0".to_owned());
        queue.push(None, false, "c0".to_owned());
        queue.push(two, true, "again".to_owned());
        queue.push(two, false, "b1".to_owned());
        assert_eq!(queue.peek().map(String::as_str), Some("again"));
        assert_eq!(queue.drain(), ["again", "a0", "b0", "c0", "a1", "b1", "a2"]);
        assert!(queue.peek().is_none() && queue.waiting.is_empty() && queue.turns.is_empty());
    }
}
