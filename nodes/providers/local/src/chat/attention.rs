//! Tokens look at themselves and at those before them. No mask is made: each row is only as long as it may look.

use pulp::Simd;
use rayon::{
    iter::{IndexedParallelIterator as _, ParallelIterator as _},
    slice::ParallelSliceMut as _,
};

use super::{
    cache::{Cache, PAGE, Part},
    llama::Shape,
};
use crate::kernel::{
    LANES, madd, math,
    product::{Matrix, MatrixMut, multiply},
    wide,
};

/// How many tokens of a chunk look at once: their scores stay in the cache of a core.
const LOOKING: usize = 64;

/// Mixes the values of a layer for the tokens after those that the cache counts as read; their keys and values are in it
/// already. `queries` and `mixed` have head by head, one token after the other.
pub(super) fn attend(queries: &[f32], mixed: &mut [f32], cache: &Cache, layer: usize, shape: &Shape) {
    let tokens = queries.len() / (shape.heads * shape.head);
    let length = shape.head * tokens;
    mixed.par_chunks_mut(length).enumerate().for_each_init(Vec::new, |scores, (head, mixed)| {
        let parts: Vec<Part> = cache.parts(layer, head * shape.key_heads / shape.heads, shape).collect();
        let queries = &queries[head * length..][..length];
        if tokens == 1 {
            scores.resize(parts.len() * PAGE, 0.0);
            look(queries, &parts, cache.len() + 1, scores, mixed);
            return;
        }
        let some = queries.chunks(LOOKING * shape.head).zip(mixed.chunks_mut(LOOKING * shape.head));
        for (index, (queries, mixed)) in some.enumerate() {
            look_together(queries, &parts, cache.len() + index * LOOKING, shape.head, scores, mixed);
        }
    });
}

/// Some tokens look, after `before` others.
fn look_together(
    queries: &[f32],
    parts: &[Part],
    before: usize,
    head: usize,
    scores: &mut Vec<f32>,
    mixed: &mut [f32],
) {
    let some = queries.len() / head;
    let seen = before + some;
    let pages = seen.div_ceil(PAGE);
    let width = pages * PAGE;
    scores.resize(some * width, 0.0);
    for (page, part) in parts[..pages].iter().enumerate() {
        let to =
            MatrixMut { data: &mut scores[page * PAGE..], rows: some, columns: PAGE, row_step: width, column_step: 1 };
        multiply(to, false, Matrix::of(queries, some, head), Matrix::of(part.keys, head, PAGE));
    }
    for (token, row) in scores.chunks_exact_mut(width).enumerate() {
        let (own, beyond) = row.split_at_mut(before + token + 1);
        math::softmax(own, 1.0 / (head as f32).sqrt());
        beyond.fill(0.0);
    }
    for (page, part) in parts[..pages].iter().enumerate() {
        let filled = PAGE.min(seen - page * PAGE);
        let weights =
            Matrix { data: &scores[page * PAGE..], rows: some, columns: filled, row_step: width, column_step: 1 };
        let values = Matrix::of(&part.values[..filled * head], filled, head);
        multiply(MatrixMut::of(mixed, some, head), page > 0, weights, values);
    }
}

wide! {
    /// One token looks at the first `seen` tokens.
    fn look<'a>(query: &'a [f32], parts: &'a [Part<'a>], seen: usize, scores: &'a mut [f32], mixed: &'a mut [f32]) =
        look_body;
}

#[inline(always)]
fn look_body<S: Simd>(query: &[f32], parts: &[Part], seen: usize, scores: &mut [f32], mixed: &mut [f32]) {
    for (part, scores) in parts.iter().zip(scores.as_chunks_mut::<PAGE>().0) {
        *scores = [0.0; PAGE];
        for (query, keys) in query.iter().zip(part.keys.as_chunks::<PAGE>().0) {
            for (score, key) in scores.iter_mut().zip(keys) {
                *score = madd::<S>(*query, *key, *score);
            }
        }
    }
    math::softmax(&mut scores[..seen], 1.0 / (query.len() as f32).sqrt());
    for (at, mixed) in mixed.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for (part, scores) in parts.iter().zip(scores[..seen].chunks(PAGE)) {
            for (score, values) in scores.iter().zip(part.values.chunks_exact(query.len())) {
                let values = &values.as_chunks::<LANES>().0[at];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = madd::<S>(*score, *value, *sum);
                }
            }
        }
        *mixed = sums;
    }
}
