//! Two rankings become one by reciprocal rank (Cormack et al. 2009).

use std::collections::BTreeMap;

use liteagent_engine::capability::knowledge::Search;

/// What two rankings give together, from 0 to 1: the share of what a result would have that is the first of both.
pub(crate) struct Fusion {
    weights: [f32; 2],
}

impl Fusion {
    /// Only the proportion of the weights matters; both count alike when neither counts.
    pub(crate) fn new((vector, keyword): (f32, f32)) -> Self {
        let clean = |weight: f32| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        let (vector, keyword) = (clean(vector), clean(keyword));
        let sum = vector + keyword;
        let weights = if sum > 0.0 { [vector / sum, keyword / sum] } else { [0.5, 0.5] };
        Self { weights }
    }

    /// Whether the ranking by meaning counts at all, and that by words.
    pub(crate) fn counts(&self) -> (bool, bool) {
        (self.weights[0] > 0.0, self.weights[1] > 0.0)
    }

    /// Joins a ranking by meaning and one by words, each best first and without doubles.
    pub(crate) fn join<K: Ord + Copy>(&self, vector: &[K], keyword: &[K]) -> BTreeMap<K, f32> {
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
