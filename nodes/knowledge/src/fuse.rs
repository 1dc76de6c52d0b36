//! Rankings become results: one ranking with its scores, or two that are joined by reciprocal rank (Cormack et al. 2009).

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
};

use liteagent_engine::capability::knowledge::{Scores, Search, SearchMode};

use crate::store::Query;

/// A row that was found.
pub(crate) struct Hit {
    pub(crate) row: u32,
    pub(crate) score: f32,
    pub(crate) scores: Scores,
}

/// What a store knows of the rows that it ranked.
pub(crate) trait Rows {
    /// Rows of the same number are one result.
    fn group(&self, row: u32) -> u32;

    /// The cosine of a row's vector and the question's.
    fn cosine(&self, row: u32) -> f32;

    /// Orders rows of equal score: by document and position.
    fn order(&self, a: u32, b: u32) -> Ordering;
}

/// How many rows a query wants of the ranking by meaning, and of that by words.
pub(crate) fn wanted(query: &Query) -> (usize, usize) {
    match (query.mode, &query.vector) {
        (SearchMode::Keyword, _) | (_, None) => (0, query.top_k),
        (SearchMode::Vector, Some(_)) => (query.top_k, 0),
        (SearchMode::Hybrid, Some(_)) => {
            let most = query.top_k.max(Search::CANDIDATES);
            let (near, worded) = Fusion::new(query.weights).counts();
            (if near { most } else { 0 }, if worded { most } else { 0 })
        }
    }
}

/// The results of a query from its rankings, each best first with one row of a group. Cosines and BM25 are their scores.
pub(crate) fn results(query: &Query, near: Vec<(u32, f32)>, worded: Vec<(u32, f32)>, rows: &impl Rows) -> Vec<Hit> {
    let mut hits = match (query.mode, &query.vector) {
        (SearchMode::Keyword, _) | (_, None) => by_words(worded),
        (SearchMode::Vector, Some(_)) => by_meaning(near),
        (SearchMode::Hybrid, Some(_)) => by_both(&Fusion::new(query.weights), near, worded, rows),
    };
    if let Some(least) = query.score_threshold {
        hits.retain(|hit| hit.scores.vector.is_none_or(|cosine| cosine >= least));
    }
    hits.truncate(query.top_k);
    hits
}

fn by_meaning(near: Vec<(u32, f32)>) -> Vec<Hit> {
    let hit = |(row, cosine): (u32, f32)| Hit {
        row,
        score: cosine.clamp(0.0, 1.0),
        scores: Scores { vector: Some(cosine), ..Scores::default() },
    };
    near.into_iter().map(hit).collect()
}

fn by_words(worded: Vec<(u32, f32)>) -> Vec<Hit> {
    let best = worded.first().map_or(1.0, |(_, score)| *score);
    let hit = |(row, score): (u32, f32)| Hit {
        row,
        score: score / best,
        scores: Scores { keyword: Some(score), ..Scores::default() },
    };
    worded.into_iter().map(hit).collect()
}

fn by_both(fusion: &Fusion, near: Vec<(u32, f32)>, worded: Vec<(u32, f32)>, rows: &impl Rows) -> Vec<Hit> {
    let places = |ranking: &[(u32, f32)]| ranking.iter().map(|(row, _)| rows.group(*row)).collect::<Vec<u32>>();
    let shares = fusion.join(&places(&near), &places(&worded));
    let mut hits: HashMap<u32, Hit> = HashMap::new();
    for (row, cosine) in near {
        let scores = Scores { vector: Some(cosine), ..Scores::default() };
        hits.insert(rows.group(row), Hit { row, score: 0.0, scores });
    }
    for (row, score) in worded {
        let hit = hits.entry(rows.group(row)).or_insert_with(|| Hit {
            row,
            score: 0.0,
            scores: Scores { vector: Some(rows.cosine(row)), ..Scores::default() },
        });
        hit.scores.keyword = Some(score);
    }
    let shared = |(group, share)| {
        let mut hit = hits.remove(&group)?;
        (hit.score, hit.scores.fused) = (share, Some(share));
        Some(hit)
    };
    let mut found: Vec<Hit> = shares.into_iter().filter_map(shared).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| rows.order(a.row, b.row)));
    found
}

/// Vectors of length 1 are not so to the last bit.
pub(crate) fn cosine(product: f32) -> f32 {
    product.clamp(-1.0, 1.0)
}

/// What two rankings give together, from 0 to 1: the share of what a result would have that is the first of both.
struct Fusion {
    weights: [f32; 2],
}

impl Fusion {
    /// Only the proportion of the weights matters; both count alike when neither counts.
    fn new((vector, keyword): (f32, f32)) -> Self {
        let clean = |weight: f32| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let (vector, keyword) = (clean(vector), clean(keyword));
        let sum = vector + keyword;
        let weights = if sum > 0.0 { [vector / sum, keyword / sum] } else { [0.5, 0.5] };
        Self { weights }
    }

    /// Whether the ranking by meaning counts at all, and that by words.
    fn counts(&self) -> (bool, bool) {
        (self.weights[0] > 0.0, self.weights[1] > 0.0)
    }

    /// Joins a ranking by meaning and one by words, each best first and without doubles.
    fn join<K: Ord + Copy>(&self, vector: &[K], keyword: &[K]) -> BTreeMap<K, f32> {
        let mut shares = BTreeMap::new();
        for (ranking, weight) in [vector, keyword].into_iter().zip(self.weights) {
            for (place, key) in ranking.iter().enumerate() {
                let rank = place as f32 + 1.0;
                *shares.entry(*key).or_insert(0.0) += weight * (Search::RRF + 1.0) / (Search::RRF + rank);
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_by_their_weight() {
        let shares = Fusion::new((1.0, 1.0)).join(&[1, 2, 3], &[1, 3]);
        assert_eq!(shares.get(&1), Some(&1.0));
        assert!(shares[&3] > shares[&2], "found by both");
        let shares = Fusion::new((2.0, 0.0)).join(&[1, 2], &[3]);
        assert_eq!((shares[&1], shares[&3]), (1.0, 0.0));
        assert_eq!(Fusion::new((2.0, 0.0)).counts(), (true, false));
        assert_eq!(Fusion::new((0.0, 0.0)).join(&[1], &[2]), Fusion::new((7.0, 7.0)).join(&[1], &[2]));
    }
}
