//! Products of a vector with many others, compiled for each width of the machine's vectors; which one runs is chosen at run
//! time. Large scans are spread over threads.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
};

use pulp::{Arch, Simd, WithSimd};

/// From how many numbers on another thread pays: 8 MiB of them.
const PER_THREAD: usize = 2 << 20;
/// How many rows a thread takes at a time: one that the machine holds up is waited for no longer than these take.
const PART: usize = 2_048;
/// Memory is the limit: more threads gain nothing.
const MOST_THREADS: usize = 4;

/// The rows of a matrix that are looked at.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// All of them.
    All(usize),
    /// These.
    Some(&'a [u32]),
}

impl Rows<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::All(count) => count,
            Self::Some(rows) => rows.len(),
        }
    }

    fn row(self, index: usize) -> usize {
        match self {
            Self::All(_) => index,
            Self::Some(rows) => rows[index] as usize,
        }
    }
}

/// The product of a vector with each of these rows of a matrix, whose rows are as long.
pub(super) fn products(vector: &[f32], matrix: &[f32], rows: Rows<'_>) -> Vec<f32> {
    let mut out = vec![0.0; rows.len()];
    if vector.is_empty() || out.is_empty() {
        return out;
    }
    let available = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
    let threads = (rows.len() * vector.len() / PER_THREAD).clamp(1, available);
    let parts = Mutex::new(out.chunks_mut(PART).enumerate());
    let work = || {
        while let Some((index, out)) = next(&parts) {
            widest().dispatch(Part { vector, matrix, rows, begin: index * PART, out });
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    out
}

fn next<T>(parts: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    parts.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// What a thread does before it takes more.
struct Part<'a, 'b> {
    vector: &'a [f32],
    matrix: &'a [f32],
    rows: Rows<'a>,
    begin: usize,
    out: &'b mut [f32],
}

impl WithSimd for Part<'_, '_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "it must be part of the function that is compiled for a width")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { vector, matrix, rows, begin, out } = self;
        for (index, out) in out.iter_mut().enumerate() {
            let at = rows.row(begin + index) * vector.len();
            *out = dot(simd, vector, &matrix[at..at + vector.len()]);
        }
    }
}

/// Four sums at once: each addition waits for the one before.
#[expect(clippy::inline_always, reason = "it must be part of the function that is compiled for a width")]
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, rest_a) = S::as_simd_f32s(a);
    let (b, rest_b) = S::as_simd_f32s(b);
    let (fours_a, few_a) = a.as_chunks::<4>();
    let (fours_b, few_b) = b.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in fours_a.iter().zip(fours_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add_e_f32s(*a, *b, *sum);
        }
    }
    for (a, b) in few_a.iter().zip(few_b) {
        sums[0] = simd.mul_add_e_f32s(*a, *b, sums[0]);
    }
    let [first, second, third, fourth] = sums;
    let sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    simd.reduce_sum_f32s(sum) + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

fn widest() -> Arch {
    Arch::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn products_are_those_of_double_precision_at_every_width() {
        for length in [1, 31, 32, 33, 384] {
            let vector: Vec<f32> = (0..length).map(|x| (x as f32 * 0.37).sin()).collect();
            let matrix: Vec<f32> = (0..length * 9).map(|x| (x as f32 * 0.11).cos()).collect();
            let rows = [7_u32, 0, 8, 7];
            let mut archs = vec![Arch::Scalar, Arch::new()];
            #[cfg(target_arch = "x86_64")]
            archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
            for arch in archs {
                let mut out = [0.0; 4];
                arch.dispatch(Part {
                    vector: &vector,
                    matrix: &matrix,
                    rows: Rows::Some(&rows),
                    begin: 0,
                    out: &mut out,
                });
                for (row, found) in rows.iter().zip(out) {
                    let row = *row as usize * length;
                    let expected = exact(&vector, &matrix[row..row + length]);
                    assert!((f64::from(found) - expected).abs() < 1e-4, "{length}: expected {expected}, found {found}");
                }
            }
        }
    }

    #[test]
    fn every_thread_does_its_part() {
        let (length, count) = (64, PER_THREAD / 64 * 3 + 5);
        let vector = vec![1.0; length];
        let matrix: Vec<f32> = (0..count).flat_map(|row| std::iter::repeat_n((row % 97) as f32, length)).collect();
        let out = products(&vector, &matrix, Rows::All(count));
        let expected: Vec<f32> = (0..count).map(|row| (row % 97) as f32 * 64.0).collect();
        assert!(out == expected);
        assert!(products(&vector, &[], Rows::All(0)).is_empty());
    }
}
