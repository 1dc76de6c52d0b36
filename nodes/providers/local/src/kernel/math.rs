//! Functions of each element, norms and softmax.

use pulp::Simd;

use super::{LANES, madd, sum, wide};

wide! {
    /// Turns a row into shares that add up to 1: `exp(scale * x)`, over their sum.
    pub(crate) fn softmax<'a>(row: &'a mut [f32], scale: f32) = softmax_body;
}
wide! {
    /// The activation of BERT, with the error function: `x * (1 + erf(x / √2)) / 2`.
    pub(crate) fn gelu<'a>(values: &'a mut [f32]) = gelu_body;
}
wide! {
    /// The gated activation of Llama: `gate = gate / (1 + exp(-gate)) * up`.
    pub(crate) fn silu_times<'a>(gate: &'a mut [f32], up: &'a [f32]) = silu_times_body;
}
wide! {
    /// Brings a row to mean 0 and variance 1, then scales and shifts each element.
    pub(crate) fn layer_norm<'a>(row: &'a mut [f32], scale: &'a [f32], shift: &'a [f32], epsilon: f32) = layer_norm_body;
}
wide! {
    /// Brings a row to a mean square of 1, then scales each element.
    pub(crate) fn rms_norm<'a>(row: &'a mut [f32], scale: &'a [f32], epsilon: f32) = rms_norm_body;
}
wide! {
    /// `to += by * of`.
    pub(crate) fn add_scaled<'a>(to: &'a mut [f32], by: f32, of: &'a [f32]) = add_scaled_body;
}
wide! {
    /// The sum of `a * b`.
    pub(crate) fn dot<'a>(a: &'a [f32], b: &'a [f32]) -> f32 = dot_body;
}

/// `e` to the power of `x`, within 2 units in the last place; what is out of range is held at its border.
#[inline(always)]
fn exp<S: Simd>(x: f32) -> f32 {
    // Adding this rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = madd::<S>(x, std::f32::consts::LOG2_E, ROUND);
    let power = rounded - ROUND;
    let rest = madd::<S>(power, 2.121_944_4e-4, madd::<S>(power, -0.693_359_4, x));
    let mut series = 1.987_569_1e-4;
    for factor in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5] {
        series = madd::<S>(series, rest, factor);
    }
    let fraction = madd::<S>(series, rest * rest, rest) + 1.0;
    fraction * f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

#[inline(always)]
fn softmax_body<S: Simd>(row: &mut [f32], scale: f32) {
    let (lanes, rest) = row.as_chunks_mut::<LANES>();
    // The rest is computed like the others, in a row that is filled up with what has no share.
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let mut most = last;
    for values in &*lanes {
        for (most, value) in most.iter_mut().zip(values) {
            *most = if *value > *most { *value } else { *most };
        }
    }
    let most = most.iter().copied().fold(f32::NEG_INFINITY, f32::max);

    let mut sums = [0.0; LANES];
    for values in &mut *lanes {
        for (value, sum) in values.iter_mut().zip(&mut sums) {
            *value = exp::<S>((*value - most) * scale);
            *sum += *value;
        }
    }
    for value in &mut last {
        *value = exp::<S>((*value - most) * scale);
    }
    let share = 1.0 / (sum(&sums) + last[..rest.len()].iter().sum::<f32>());
    for values in lanes {
        for value in values {
            *value *= share;
        }
    }
    for (value, last) in rest.iter_mut().zip(last) {
        *value = last * share;
    }
}

#[inline(always)]
fn gelu_body<S: Simd>(values: &mut [f32]) {
    for value in values {
        *value = gelu_of::<S>(*value);
    }
}

/// [`gelu`] of one number.
#[inline(always)]
pub(super) fn gelu_of<S: Simd>(value: f32) -> f32 {
    let x = value * std::f32::consts::FRAC_1_SQRT_2;
    // Abramowitz and Stegun 7.1.26: wrong by 1.5e-7 at most.
    let t = 1.0 / madd::<S>(0.327_591_1, x.abs(), 1.0);
    let mut series = 1.061_405_4;
    for factor in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = madd::<S>(series, t, factor);
    }
    let erf = (1.0 - series * t * exp::<S>(-x * x)).copysign(x);
    0.5 * value * (1.0 + erf)
}

#[inline(always)]
fn silu_times_body<S: Simd>(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp::<S>(-*gate)) * up;
    }
}

#[inline(always)]
fn layer_norm_body<S: Simd>(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    let count = row.len() as f32;
    let mean = total(row, |value| value) / count;
    for value in &mut *row {
        *value -= mean;
    }
    let variance = total(row, |value| value * value) / count;
    let by = 1.0 / (variance + epsilon).sqrt();
    for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *value = madd::<S>(*value * by, *scale, *shift);
    }
}

#[inline(always)]
fn rms_norm_body<S: Simd>(row: &mut [f32], scale: &[f32], epsilon: f32) {
    let square = total(row, |value| value * value) / row.len() as f32;
    let by = 1.0 / (square + epsilon).sqrt();
    for (value, scale) in row.iter_mut().zip(scale) {
        *value *= by * scale;
    }
}

#[inline(always)]
fn total(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (lanes, rest) = row.as_chunks::<LANES>();
    for values in lanes {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += of(*value);
        }
    }
    sum(&sums) + rest.iter().map(|value| of(*value)).sum::<f32>()
}

#[inline(always)]
fn add_scaled_body<S: Simd>(to: &mut [f32], by: f32, of: &[f32]) {
    for (to, of) in to.iter_mut().zip(of) {
        *to = madd::<S>(by, *of, *to);
    }
}

#[inline(always)]
fn dot_body<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, rest_a) = a.as_chunks::<LANES>();
    let (b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = madd::<S>(*a, *b, *sum);
        }
    }
    sum(&sums) + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::widths;

    fn close(found: &[f32], expected: impl IntoIterator<Item = f64>, within: f64) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let off = (f64::from(*found) - expected).abs();
            assert!(off <= within * (1.0 + expected.abs()), "{index}: expected {expected}, found {found}");
        }
    }

    /// From -12 to 12, a length that is no multiple of any width.
    fn values() -> Vec<f32> {
        (0..1001).map(|index| (index as f32 - 500.0) * 0.024).collect()
    }

    fn exact_squares(row: &[f32]) -> f64 {
        row.iter().map(|x| f64::from(*x).powi(2)).sum()
    }

    #[test]
    fn a_softmax_is_that_of_double_precision() {
        widths::each(|| {
            for length in [1, 7, 32, 33, 1001] {
                let mut row = values()[..length].to_vec();
                let exact: Vec<f64> = row.iter().map(|x| (f64::from(*x) * 0.5).exp()).collect();
                let all: f64 = exact.iter().sum();
                softmax(&mut row, 0.5);
                close(&row, exact.iter().map(|x| x / all), 1e-6);
            }
        });
    }

    #[test]
    fn activations_are_those_of_double_precision() {
        widths::each(|| {
            let mut gate = values();
            let up: Vec<f32> = values().iter().map(|x| 1.0 - x).collect();
            let exact = values().into_iter().zip(up.clone()).map(|(gate, up)| {
                let gate = f64::from(gate);
                gate / (1.0 + (-gate).exp()) * f64::from(up)
            });
            silu_times(&mut gate, &up);
            close(&gate, exact, 1e-6);

            // Known values of the normal distribution: x * Φ(x).
            let mut few = [-3.0, -1.0, -0.1, 0.0, 0.5, 1.0, 2.5];
            gelu(&mut few);
            let exact =
                [-0.004_049_695, -0.158_655_254, -0.046_017_216, 0.0, 0.345_731_231, 0.841_344_746, 2.484_475_836];
            close(&few, exact, 1e-6);
        });
    }

    #[test]
    fn norms_and_products_are_those_of_double_precision() {
        widths::each(|| {
            let mut row = values();
            for x in &mut row {
                *x += 3.0;
            }
            let scale = vec![2.0; row.len()];
            let shift = vec![0.5; row.len()];
            let exact: Vec<f64> = row.iter().copied().map(f64::from).collect();
            let mean = exact.iter().sum::<f64>() / exact.len() as f64;
            let variance = exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / exact.len() as f64;
            layer_norm(&mut row, &scale, &shift, 1e-12);
            close(&row, exact.iter().map(|x| (x - mean) / variance.sqrt() * 2.0 + 0.5), 1e-5);

            let mut row = values();
            let square = exact_squares(&row) / row.len() as f64;
            rms_norm(&mut row, &scale, 1e-5);
            close(&row, values().iter().map(|x| f64::from(*x) / (square + 1e-5).sqrt() * 2.0), 1e-5);
            close(&[dot(&row, &row)], [exact_squares(&row)], 1e-5);
            let mut to = values();
            add_scaled(&mut to, -0.5, &scale);
            close(&to, values().into_iter().map(|x| f64::from(x) - 1.0), 1e-6);
        });
    }
}
