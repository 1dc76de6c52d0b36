//! A search over a collection in memory.

use std::{cmp::Ordering, collections::HashSet};

use super::{
    best::Best,
    damaged,
    kernel::{Rows, products},
    memory::{Loaded, Selection},
};
use crate::{
    fuse::{self, Hit, cosine, results, wanted},
    store::{Found, Query},
};
use liteagent_backends::database::{self, Database};

impl Loaded {
    /// The best chunks, best first. Must be called in the snapshot that it was refreshed in: the texts are read.
    pub(super) fn search(&self, db: &Database, query: &Query) -> Result<Vec<Found>, database::Error> {
        let looked_at = self.select(query.filter.as_ref());
        let vector = query.vector.as_deref().unwrap_or_default();
        let (near, worded) = wanted(query);
        let near = if near > 0 { self.nearest(vector, &looked_at, near) } else { Vec::new() };
        let worded = if worded > 0 { self.worded(query, &looked_at, worded) } else { Vec::new() };
        let hits = results(query, near, worded, &Asked { loaded: self, vector });
        hits.into_iter().map(|hit| self.found(db, hit)).collect()
    }

    fn found(&self, db: &Database, hit: Hit) -> Result<Found, database::Error> {
        let chunk = &self.chunks[hit.row as usize];
        let document = self.sources[chunk.document as usize].id.to_string();
        let body = db.first("SELECT body FROM chunks WHERE row = ?1", [chunk.row], |row| row.get::<_, String>(0))?;
        let body = body.ok_or_else(|| damaged(&document, "a chunk has a vector and no text"))?;
        let read = serde_json::from_str(&body).map_err(|error| damaged(&document, error))?;
        Ok(Found { document, position: chunk.position, chunk: read, score: hit.score, scores: hit.scores })
    }

    fn nearest(&self, vector: &[f32], looked_at: &Selection, most: usize) -> Vec<(u32, f32)> {
        let rows = &looked_at.rows;
        if rows.len() == self.chunks.len() {
            let scores = products(vector, self.vectors.numbers(), Rows::All(rows.len()));
            return self.ranked((0..).zip(scores.iter().copied().map(cosine)), most);
        }
        let scores = products(vector, self.vectors.numbers(), Rows::Some(rows));
        self.ranked(rows.iter().copied().zip(scores.iter().copied().map(cosine)), most)
    }

    fn worded(&self, query: &Query, looked_at: &Selection, most: usize) -> Vec<(u32, f32)> {
        let scores = self.postings.scores(&query.question, &self.live, &looked_at.bits);
        self.ranked(scores.iter().copied(), most)
    }

    /// The best results, each by its best row. Rows that are one result with a better one count for nothing, so more are
    /// taken until there are enough.
    fn ranked(&self, scored: impl Iterator<Item = (u32, f32)> + Clone, most: usize) -> Vec<(u32, f32)> {
        let mut take = if self.has_groups { most.saturating_mul(4) } else { most };
        loop {
            let mut best = Best::new(take, |a, b| self.order(a, b));
            scored.clone().for_each(|(row, score)| best.offer(row, score));
            let mut rows = best.into_rows();
            let is_all = rows.len() < take;
            if self.has_groups {
                let mut seen = HashSet::new();
                rows.retain(|(row, _)| seen.insert(self.chunks[*row as usize].group));
            }
            if is_all || rows.len() >= most {
                rows.truncate(most);
                return rows;
            }
            take = take.saturating_mul(4);
        }
    }

    /// Results of equal score, in an order that does not depend on how they came into memory.
    fn order(&self, a: u32, b: u32) -> Ordering {
        let key = |row: u32| {
            let chunk = &self.chunks[row as usize];
            (&self.sources[chunk.document as usize].id, chunk.position)
        };
        key(a).cmp(&key(b))
    }
}

/// What is in memory, and the question's vector.
struct Asked<'a> {
    loaded: &'a Loaded,
    vector: &'a [f32],
}

impl fuse::Rows for Asked<'_> {
    fn group(&self, row: u32) -> u32 {
        self.loaded.chunks[row as usize].group
    }

    fn cosine(&self, row: u32) -> f32 {
        cosine(products(self.vector, self.loaded.vector(row), Rows::All(1))[0])
    }

    fn order(&self, a: u32, b: u32) -> Ordering {
        self.loaded.order(a, b)
    }
}
