//! The forward pass of BERT over texts of any lengths, one after the other in one matrix: nothing is filled up.

use std::ops::Range;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use super::{
    LONGEST,
    linear::{Linear, Norm},
};
use crate::kernel::{
    amx, math,
    product::{Matrix, MatrixMut, multiply},
};

const WIDTH: usize = 384;
const INNER: usize = 1536;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
const LAYERS: usize = 6;
/// How many words there are vectors of.
pub(super) const WORDS: usize = 30_522;
const POSITIONS: usize = 512;
const _: () = assert!(LONGEST <= POSITIONS);

/// The model. The vectors of words stay in the file; the rest is copied, turned as products want it.
pub(super) struct Bert {
    words: Range<usize>,
    positions: Vec<f32>,
    /// The vector that says that a token belongs to the first sentence: there is no other.
    sentence: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    map: Mmap,
}

struct Layer {
    /// Queries, keys and values side by side.
    attention: Linear,
    output: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

/// Memory that the next batch uses again.
#[derive(Default)]
pub(super) struct Scratch {
    rows: Vec<f32>,
    attention: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
    scores: Vec<f32>,
    split: amx::Split,
}

impl Bert {
    /// Reads the weights; the error says what is wrong with them.
    pub(super) fn read(map: Mmap) -> Result<Self, String> {
        let file = SafeTensors::deserialize(&map).map_err(|error| error.to_string())?;
        let tensors = Tensors(&file);
        let layers = (0..LAYERS).map(|layer| tensors.layer(layer)).collect::<Result<_, _>>()?;
        let words = tensors.floats("embeddings.word_embeddings.weight", WORDS * WIDTH)?;
        let start = words.as_ptr().addr() - map.as_ptr().addr();
        let words = start..start + size_of_val(words);
        let positions = tensors.floats("embeddings.position_embeddings.weight", POSITIONS * WIDTH)?.to_vec();
        let sentence = tensors.floats("embeddings.token_type_embeddings.weight", 2 * WIDTH)?[..WIDTH].to_vec();
        let norm = tensors.norm("embeddings.LayerNorm")?;
        Ok(Self { words, positions, sentence, norm, layers, map })
    }

    fn word(&self, token: u32) -> &[f32] {
        let words: &[f32] = bytemuck::cast_slice(&self.map[self.words.clone()]);
        &words[token as usize * WIDTH..][..WIDTH]
    }

    /// One vector of length 1 for each text.
    pub(super) fn embed(&self, texts: &[Vec<u32>], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let tokens = texts.iter().map(Vec::len).sum::<usize>();
        // Rows that fill the last block are computed for nothing.
        let all_rows = tokens.next_multiple_of(amx::BLOCK);
        let Scratch { rows, attention, mixed, inner, scores, split } = scratch;
        let rows = resized(rows, all_rows * WIDTH);
        let attention = resized(attention, all_rows * 3 * WIDTH);
        let mixed = resized(mixed, all_rows * WIDTH);
        let inner = resized(inner, all_rows * INNER);

        let ids = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, token)) in rows.chunks_exact_mut(WIDTH).zip(ids) {
            row.copy_from_slice(self.word(*token));
            math::add_scaled(row, 1.0, &self.positions[position * WIDTH..][..WIDTH]);
            math::add_scaled(row, 1.0, &self.sentence);
        }
        rows[tokens * WIDTH..].fill(0.0);
        mixed[tokens * WIDTH..].fill(0.0);
        self.norm.apply(rows);
        for layer in &self.layers {
            layer.attention.apply(rows, attention, split);
            let mut start = 0;
            for text in texts {
                let all = start..start + text.len();
                let scores = resized(scores, text.len() * text.len());
                attend(&attention[3 * WIDTH * all.start..3 * WIDTH * all.end], &mut mixed[WIDTH * all.start..], scores);
                start = all.end;
            }
            layer.output.add(mixed, rows, split);
            layer.attention_norm.apply(rows);
            layer.up.apply(rows, inner, split);
            layer.down.add_of_gelu(inner, rows, split);
            layer.norm.apply(rows);
        }
        let mut rows = &*rows;
        texts.iter().map(|text| mean(rows.split_off(..text.len() * WIDTH).expect("a row for each token"))).collect()
    }
}

/// Each token of a text looks at all of them, with every head.
fn attend(attention: &[f32], mixed: &mut [f32], scores: &mut [f32]) {
    let tokens = attention.len() / (3 * WIDTH);
    for head in 0..HEADS {
        let part = |which: usize| Matrix {
            data: &attention[which * WIDTH + head * HEAD..],
            rows: tokens,
            columns: HEAD,
            row_step: 3 * WIDTH,
            column_step: 1,
        };
        let (queries, keys, values) = (part(0), part(1), part(2));
        multiply(MatrixMut::of(scores, tokens, tokens), false, queries, keys.turned());
        for row in scores.chunks_exact_mut(tokens) {
            math::softmax(row, 1.0 / (HEAD as f32).sqrt());
        }
        let to =
            MatrixMut { data: &mut mixed[head * HEAD..], rows: tokens, columns: HEAD, row_step: WIDTH, column_step: 1 };
        multiply(to, false, Matrix::of(scores, tokens, tokens), values);
    }
}

/// The mean of the rows, of length 1.
fn mean(rows: &[f32]) -> Vec<f32> {
    let mut mean = vec![0.0; WIDTH];
    for row in rows.chunks_exact(WIDTH) {
        math::add_scaled(&mut mean, 1.0, row);
    }
    // Dividing by the count would not change the direction.
    let length = math::dot(&mean, &mean).sqrt();
    for value in &mut mean {
        *value /= length;
    }
    mean
}

/// So many elements of a buffer, whatever they hold.
fn resized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}

/// The tensors of a file, by name.
struct Tensors<'a>(&'a SafeTensors<'a>);

impl<'a> Tensors<'a> {
    fn floats(&self, name: &str, count: usize) -> Result<&'a [f32], String> {
        let tensor = self.0.tensor(name).map_err(|error| format!("`{name}`: {error}"))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("`{name}`: expected F32, found {}", tensor.dtype()));
        }
        let floats: &[f32] = bytemuck::try_cast_slice(tensor.data()).map_err(|error| format!("`{name}`: {error}"))?;
        if floats.len() == count {
            Ok(floats)
        } else {
            Err(format!("`{name}`: expected {count} elements, found {}", floats.len()))
        }
    }

    fn linear(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Linear, String> {
        let part = |name: &String| {
            let weights = self.floats(&format!("{name}.weight"), inputs * outputs)?;
            Ok((weights, self.floats(&format!("{name}.bias"), outputs)?))
        };
        Ok(Linear::of(&names.iter().map(part).collect::<Result<Vec<_>, String>>()?))
    }

    fn norm(&self, name: &str) -> Result<Norm, String> {
        let part = |end: &str| Ok::<_, String>(self.floats(&format!("{name}.{end}"), WIDTH)?.to_vec());
        Ok(Norm { scale: part("weight")?, shift: part("bias")? })
    }

    fn layer(&self, layer: usize) -> Result<Layer, String> {
        let name = |end: &str| format!("encoder.layer.{layer}.{end}");
        let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Layer {
            attention: self.linear(&attention, WIDTH, WIDTH)?,
            output: self.linear(&[name("attention.output.dense")], WIDTH, WIDTH)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            up: self.linear(&[name("intermediate.dense")], WIDTH, INNER)?,
            down: self.linear(&[name("output.dense")], INNER, WIDTH)?,
            norm: self.norm(&name("output.LayerNorm"))?,
        })
    }
}
