//! Where each word stands: lists of rows, and BM25 over them.

use std::collections::HashMap;

use super::memory::Bits;
use crate::terms::{Question, Term};

/// How soon more of the same word counts no more.
const K1: f32 = 1.2;
/// How much the length of a chunk counts.
const B: f32 = 0.75;

/// The words of every row.
#[derive(Default)]
pub(super) struct Postings {
    lists: HashMap<Term, List>,
    lengths: Vec<u32>,
    /// Of rows that are not dead.
    rows: u64,
    /// Words of rows that are not dead.
    words: u64,
    entries: usize,
}

/// The rows of a word, and how often it stands in each.
#[derive(Default)]
struct List {
    rows: Vec<u32>,
    counts: Vec<u8>,
}

impl Postings {
    /// Adds the next row; `terms` as they are stored: a number in four bytes, its count in one.
    pub(super) fn push(&mut self, length: u32, terms: &[u8]) {
        let row = self.lengths.len() as u32;
        self.lengths.push(length);
        self.rows += 1;
        self.words += u64::from(length);
        for [a, b, c, d, count] in terms.as_chunks::<5>().0 {
            let list = self.lists.entry(u32::from_le_bytes([*a, *b, *c, *d])).or_default();
            list.rows.push(row);
            list.counts.push(*count);
            self.entries += 1;
        }
    }

    /// A row that was there is dead now.
    pub(super) fn remove(&mut self, row: u32) {
        self.rows -= 1;
        self.words -= u64::from(self.lengths[row as usize]);
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries * 5 + self.lengths.len() * 4 + self.lists.len() * 80
    }

    /// What the rows score that a question finds and that may be looked at, in the order of the rows.
    pub(super) fn scores(&self, question: &Question, live: &Bits, looked_at: &Bits) -> Vec<(u32, f32)> {
        if self.rows == 0 || question.terms.is_empty() {
            return Vec::new();
        }
        let mut scores = vec![0.0_f32; self.lengths.len()];
        let mut found = vec![0_u16; if question.all { self.lengths.len() } else { 0 }];
        let average = (self.words as f32 / self.rows as f32).max(1.0);
        let is_whole = self.rows == self.lengths.len() as u64;
        for term in &question.terms {
            let Some(List { rows, counts }) = self.lists.get(term) else { continue };
            let holding = if is_whole { rows.len() } else { rows.iter().filter(|row| live.has(**row)).count() };
            let weight = rarity(self.rows as f32, holding as f32) * (K1 + 1.0);
            for (row, count) in rows.iter().zip(counts) {
                let (row, count) = (*row as usize, f32::from(*count));
                let length = self.lengths[row] as f32 / average;
                scores[row] += weight * count / (count + K1 * (1.0 - B + B * length));
                if question.all {
                    found[row] += 1;
                }
            }
        }
        let all = question.terms.len().min(usize::from(u16::MAX)) as u16;
        let fits = |(row, score): &(u32, f32)| {
            *score > 0.0 && looked_at.has(*row) && (!question.all || found[*row as usize] == all)
        };
        (0..).zip(scores).filter(fits).collect()
    }
}

/// How much a word tells that stands in some of all rows: more than nothing, however common it is.
fn rarity(rows: f32, holding: f32) -> f32 {
    (1.0 + (rows - holding + 0.5) / (holding + 0.5)).ln()
}
