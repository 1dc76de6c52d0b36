//! What a layer is made of: products with weights, and norms.

use crate::kernel::{
    amx::{Packed, Split},
    math,
    product::{Matrix, MatrixMut, multiply},
};

/// `y = x * weights + bias`, over rows that fill blocks of [`amx`](crate::kernel::amx).
pub(super) struct Linear {
    weights: Weights,
    bias: Vec<f32>,
}

enum Weights {
    /// A row for each input, so that products read it in order.
    Rows(Vec<f32>),
    Packed(Packed),
}

impl Linear {
    /// From weights as they are stored, with a row for each output; several are put side by side.
    pub(super) fn of(parts: &[(&[f32], &[f32])]) -> Self {
        let bias: Vec<f32> = parts.iter().flat_map(|(_, bias)| *bias).copied().collect();
        let outputs = bias.len();
        let inputs = parts.iter().map(|(weights, _)| weights.len()).sum::<usize>() / outputs;
        let mut turned = vec![0.0; inputs * outputs];
        let rows = parts.iter().flat_map(|(weights, _)| weights.chunks_exact(inputs));
        for (output, row) in rows.enumerate() {
            for (input, weight) in row.iter().enumerate() {
                turned[input * outputs + output] = *weight;
            }
        }
        let weights = Packed::of(&turned, inputs, outputs).map_or(Weights::Rows(turned), Weights::Packed);
        Self { weights, bias }
    }

    /// Writes one row of outputs for each row of inputs.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32], split: &mut Split) {
        match &self.weights {
            Weights::Packed(packed) => {
                split.set(x, self.inputs(x, y));
                packed.product(split, &self.bias, y);
            }
            Weights::Rows(weights) => {
                for y in y.chunks_exact_mut(self.bias.len()) {
                    y.copy_from_slice(&self.bias);
                }
                self.add_product(weights, x, y);
            }
        }
    }

    /// Adds the outputs to what is there.
    pub(super) fn add(&self, x: &[f32], y: &mut [f32], split: &mut Split) {
        self.add_bias(y);
        match &self.weights {
            Weights::Packed(packed) => {
                split.set(x, self.inputs(x, y));
                packed.add_product(split, y);
            }
            Weights::Rows(weights) => self.add_product(weights, x, y),
        }
    }

    /// Adds the outputs of what the activation makes of the inputs, which are lost.
    pub(super) fn add_of_gelu(&self, x: &mut [f32], y: &mut [f32], split: &mut Split) {
        self.add_bias(y);
        match &self.weights {
            Weights::Packed(packed) => {
                split.set_gelu(x, self.inputs(x, y));
                packed.add_product(split, y);
            }
            Weights::Rows(weights) => {
                math::gelu(x);
                self.add_product(weights, x, y);
            }
        }
    }

    fn inputs(&self, x: &[f32], y: &[f32]) -> usize {
        x.len() * self.bias.len() / y.len()
    }

    fn add_bias(&self, y: &mut [f32]) {
        for y in y.chunks_exact_mut(self.bias.len()) {
            math::add_scaled(y, 1.0, &self.bias);
        }
    }

    fn add_product(&self, weights: &[f32], x: &[f32], y: &mut [f32]) {
        let outputs = self.bias.len();
        let inputs = weights.len() / outputs;
        let rows = y.len() / outputs;
        multiply(
            MatrixMut::of(y, rows, outputs),
            true,
            Matrix::of(x, rows, inputs),
            Matrix::of(weights, inputs, outputs),
        );
    }
}

/// A norm of each row.
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Norm {
    pub(super) fn apply(&self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.scale.len()) {
            math::layer_norm(row, &self.scale, &self.shift, EPSILON);
        }
    }
}

/// What keeps a norm from dividing by 0.
const EPSILON: f32 = 1e-12;
