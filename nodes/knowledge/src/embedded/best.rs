//! The best of many scores, kept in order.

use std::cmp::Ordering;

/// The best rows so far, best first; not more than were asked for.
pub(super) struct Best<C> {
    rows: Vec<(u32, f32)>,
    most: usize,
    /// Orders rows of equal score.
    ties: C,
}

impl<C: Fn(u32, u32) -> Ordering> Best<C> {
    pub(super) fn new(most: usize, ties: C) -> Self {
        Self { rows: Vec::with_capacity(most.min(1024) + 1), most, ties }
    }

    pub(super) fn offer(&mut self, row: u32, score: f32) {
        let is_full = self.rows.len() >= self.most;
        if is_full && self.rows.last().is_none_or(|(_, worst)| score < *worst) {
            return;
        }
        let is_before =
            |(other, its): &(u32, f32)| its.total_cmp(&score).reverse().then_with(|| (self.ties)(*other, row));
        let place = self.rows.partition_point(|other| is_before(other).is_lt());
        if place < self.most {
            self.rows.insert(place, (row, score));
            self.rows.truncate(self.most);
        }
    }

    pub(super) fn into_rows(self) -> Vec<(u32, f32)> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_are_those_of_a_sorted_list(scores in prop::collection::vec(0_u8..9, 0..60), most in 0_usize..70) {
            let mut best = Best::new(most, |a: u32, b: u32| b.cmp(&a));
            let mut all: Vec<(u32, f32)> = (0..).zip(scores.into_iter().map(f32::from)).collect();
            for (row, score) in &all {
                best.offer(*row, *score);
            }
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
            all.truncate(most);
            prop_assert_eq!(best.into_rows(), all);
        }
    }
}
