//! A search over a collection in memory.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use liteagent_backends::database::{self, Database};
use liteagent_engine::capability::knowledge::{Scores, Search, SearchMode};

use super::{
    best::Best,
    damaged,
    kernel::{Rows, products},
    memory::{Loaded, Selection},
};
use crate::{
    fuse::Fusion,
    store::{Found, Query},
};

/// A row that was found.
struct Hit {
    row: u32,
    score: f32,
    scores: Scores,
}

impl Loaded {
    /// The best chunks, best first. Must be called in the snapshot that it was refreshed in: the texts are read.
    pub(super) fn search(&self, db: &Database, query: &Query) -> Result<Vec<Found>, database::Error> {
        let looked_at = self.select(query.filter.as_ref());
        let mut hits = match (query.mode, &query.vector) {
            (SearchMode::Keyword, _) | (_, None) => self.by_words(query, &looked_at),
            (SearchMode::Vector, Some(vector)) => self.by_meaning(vector, query, &looked_at),
            (SearchMode::Hybrid, Some(vector)) => self.by_both(vector, query, &looked_at),
        };
        if let Some(least) = query.score_threshold {
            hits.retain(|hit| hit.scores.vector.is_none_or(|cosine| cosine >= least));
        }
        hits.truncate(query.top_k);
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

    fn by_meaning(&self, vector: &[f32], query: &Query, looked_at: &Selection) -> Vec<Hit> {
        let found = self.nearest(vector, looked_at, query.top_k);
        let hit = |(row, cosine): (u32, f32)| Hit {
            row,
            score: cosine.clamp(0.0, 1.0),
            scores: Scores { vector: Some(cosine), ..Scores::default() },
        };
        found.into_iter().map(hit).collect()
    }

    fn by_words(&self, query: &Query, looked_at: &Selection) -> Vec<Hit> {
        let found = self.worded(query, looked_at, query.top_k);
        let best = found.first().map_or(1.0, |(_, score)| *score);
        let hit = |(row, score): (u32, f32)| Hit {
            row,
            score: score / best,
            scores: Scores { keyword: Some(score), ..Scores::default() },
        };
        found.into_iter().map(hit).collect()
    }

    fn by_both(&self, vector: &[f32], query: &Query, looked_at: &Selection) -> Vec<Hit> {
        let most = query.top_k.max(Search::CANDIDATES);
        let fusion = Fusion::new(query.weights);
        let (near_counts, worded_counts) = fusion.counts();
        let near = if near_counts { self.nearest(vector, looked_at, most) } else { Vec::new() };
        let worded = if worded_counts { self.worded(query, looked_at, most) } else { Vec::new() };
        let group = |(row, _): &(u32, f32)| self.chunks[*row as usize].group;
        let places = |ranking: &[(u32, f32)]| ranking.iter().map(group).collect::<Vec<u32>>();
        let shares = fusion.join(&places(&near), &places(&worded));

        let mut hits: HashMap<u32, Hit> = HashMap::new();
        for (row, cosine) in near {
            let scores = Scores { vector: Some(cosine), ..Scores::default() };
            hits.insert(self.chunks[row as usize].group, Hit { row, score: 0.0, scores });
        }
        for (row, score) in worded {
            let hit = hits.entry(self.chunks[row as usize].group).or_insert_with(|| {
                let cosine = cosine(products(vector, self.vector(row), Rows::All(1))[0]);
                Hit { row, score: 0.0, scores: Scores { vector: Some(cosine), ..Scores::default() } }
            });
            hit.scores.keyword = Some(score);
        }
        let shared = |(group, share)| {
            let mut hit = hits.remove(&group)?;
            (hit.score, hit.scores.fused) = (share, Some(share));
            Some(hit)
        };
        let mut found: Vec<Hit> = shares.into_iter().filter_map(shared).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| self.order(a.row, b.row)));
        found
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

/// Vectors of length 1 are not so to the last bit.
fn cosine(product: f32) -> f32 {
    product.clamp(-1.0, 1.0)
}
