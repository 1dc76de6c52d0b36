//! Chooses the next token from logits.

use std::collections::HashMap;

use liteagent_engine::capability::model::Sampling;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::kernel::math;

/// What the makers of the model recommend.
const TEMPERATURE: f64 = 0.2;
const TOP_P: f64 = 0.9;

/// Below this the likeliest token is all there is.
const COLD: f64 = 1e-3;

/// How tokens are chosen, and what was chosen.
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    frequency_penalty: f64,
    presence_penalty: f64,
    random: StdRng,
    chosen: HashMap<u32, u32>,
}

impl Sampler {
    /// What is missing is what the makers recommend.
    pub(super) fn new(sampling: &Sampling) -> Self {
        Self {
            temperature: sampling.temperature.unwrap_or(TEMPERATURE),
            top_p: sampling.top_p.unwrap_or(TOP_P),
            frequency_penalty: sampling.frequency_penalty.unwrap_or_default(),
            presence_penalty: sampling.presence_penalty.unwrap_or_default(),
            random: sampling.seed.map_or_else(StdRng::from_os_rng, |seed| StdRng::seed_from_u64(seed.cast_unsigned())),
            chosen: HashMap::new(),
        }
    }

    /// A token whose logit is not minus infinity; nothing when there is none.
    pub(super) fn choose(&mut self, logits: &mut [f32]) -> Option<u32> {
        if self.frequency_penalty != 0.0 || self.presence_penalty != 0.0 {
            for (token, times) in &self.chosen {
                let penalty = self.presence_penalty + self.frequency_penalty * f64::from(*times);
                logits[*token as usize] -= penalty as f32;
            }
        }
        let best = best(logits)?;
        let token = if self.temperature > COLD { self.any(logits) } else { best };
        *self.chosen.entry(token).or_default() += 1;
        Some(token)
    }

    /// One of the likeliest tokens that make up the share of `top_p`, by chance.
    fn any(&mut self, logits: &mut [f32]) -> u32 {
        let possible = |token: &u32| logits[*token as usize] > f32::NEG_INFINITY;
        let mut likely: Vec<u32> = (0..logits.len() as u32).filter(possible).collect();
        math::softmax(logits, (1.0 / self.temperature) as f32);
        let by_share = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        // Most of the share is with few tokens: so those are put in order, and more only when they are not enough.
        let mut sorted = 0;
        let mut share = 0.0;
        let mut end = 0;
        while end < likely.len() && (end == 0 || share < self.top_p) {
            if end == sorted {
                sorted = (sorted * 4).max(64).min(likely.len());
                let rest = &mut likely[end..];
                if sorted - end < rest.len() {
                    rest.select_nth_unstable_by(sorted - end, by_share);
                }
                likely[end..sorted].sort_unstable_by(by_share);
            }
            share += f64::from(logits[likely[end] as usize]);
            end += 1;
        }
        let mut point = self.random.random::<f64>() * share;
        for token in &likely[..end] {
            point -= f64::from(logits[*token as usize]);
            if point <= 0.0 {
                return *token;
            }
        }
        likely[end - 1]
    }
}

/// The likeliest token, the first of several.
fn best(logits: &[f32]) -> Option<u32> {
    let mut best = None;
    let mut most = f32::NEG_INFINITY;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > most {
            (best, most) = (Some(token as u32), *logit);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(&Sampling { seed: Some(7), ..sampling })
    }

    /// How often each of the tokens is chosen in 4,096 draws.
    fn draws(sampling: Sampling, logits: &[f32]) -> Vec<f64> {
        let mut sampler = sampler(sampling);
        let mut found = vec![0.0; logits.len()];
        for _ in 0..4096 {
            found[sampler.choose(&mut logits.to_vec()).unwrap() as usize] += 1.0 / 4096.0;
        }
        found
    }

    #[test]
    fn without_temperature_the_likeliest_is_chosen() {
        let greedy = Sampling { temperature: Some(0.0), ..Sampling::default() };
        assert_eq!(draws(greedy, &[1.0, 3.0, 3.0, 2.0]), [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn shares_follow_the_logits_and_the_unlikely_are_left_out() {
        let logits: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].map(f32::ln).to_vec();
        let all = Sampling { temperature: Some(1.0), top_p: Some(1.0), ..Sampling::default() };
        let found = draws(all.clone(), &logits);
        for (found, expected) in found.iter().zip([0.5, 0.3, 0.15, 0.05]) {
            assert!((found - expected).abs() < 0.03, "{found} {expected}");
        }
        let found = draws(Sampling { top_p: Some(0.7), ..all }, &logits);
        assert!((found[0] - 0.625).abs() < 0.03 && found[2] == 0.0 && found[3] == 0.0, "{found:?}");
    }

    #[test]
    fn a_flat_choice_reaches_every_token() {
        let flat = Sampling { temperature: Some(1.0), top_p: Some(1.0), ..Sampling::default() };
        let found = draws(flat, &[0.25; 200]);
        assert!(found.iter().all(|share| *share > 0.0));
    }

    #[test]
    fn what_came_often_comes_less() {
        let greedy = Sampling { temperature: Some(0.0), frequency_penalty: Some(1.0), ..Sampling::default() };
        let mut sampler = sampler(greedy);
        let mut choose = || sampler.choose(&mut [2.0, 1.5, f32::NEG_INFINITY]).unwrap();
        assert_eq!([choose(), choose(), choose(), choose()], [0, 1, 0, 1]);
    }

    #[test]
    fn the_same_seed_chooses_the_same_and_nothing_is_chosen_from_nothing() {
        let any = || sampler(Sampling { temperature: Some(1.0), ..Sampling::default() });
        let draw = |mut sampler: Sampler| (0..50).map(|_| sampler.choose(&mut [0.5; 90])).collect::<Vec<_>>();
        assert_eq!(draw(any()), draw(any()));
        assert_eq!(any().choose(&mut [f32::NEG_INFINITY; 3]), None);
    }
}
