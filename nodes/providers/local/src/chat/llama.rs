//! The forward pass of Llama. What is multiplied has one token after the other; what comes out has tiles of elements, and in
//! each tile one token after the other, as [`crate::kernel::quantised`] writes it. A head is a tile.

use std::ops::Range;

use rayon::{
    iter::{IndexedParallelIterator as _, ParallelIterator as _},
    slice::ParallelSliceMut as _,
};

use super::{
    attention,
    cache::Cache,
    gguf::{Gguf, Kind},
};
use crate::{
    kernel::{
        math,
        quantised::{Bits, Quantised, TILE},
    },
    stop::Stop,
};

/// How many tokens of a question are read at once.
const CHUNK: usize = 256;

/// The sizes of a model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    pub(super) layers: usize,
    /// Elements of a token's vector.
    pub(super) width: usize,
    /// Elements between the two products of a layer's second half.
    pub(super) inner: usize,
    /// Heads of queries; several share a head of keys and values.
    pub(super) heads: usize,
    /// Heads of keys and values.
    pub(super) key_heads: usize,
    /// Elements of a head.
    pub(super) head: usize,
    /// The most tokens that it can read.
    pub(super) context: usize,
}

/// The model.
pub(super) struct Llama {
    pub(super) shape: Shape,
    epsilon: f32,
    /// How fast each pair of a head's elements turns from token to token.
    turns: Vec<f64>,
    /// The vectors of tokens; also what the last one is compared with.
    tokens: Quantised,
    layers: Vec<Layer>,
    norm: Vec<f32>,
}

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values below each other.
    attention: Quantised,
    output: Quantised,
    norm: Vec<f32>,
    /// The gate, and what passes it, below each other.
    up: Quantised,
    down: Quantised,
}

impl Llama {
    /// Takes the weights out of a file; the error says what is wrong with it.
    pub(super) fn read(gguf: &Gguf) -> Result<Self, String> {
        let architecture = gguf.text("general.architecture")?;
        if architecture != "llama" {
            return Err(format!("expected the architecture `llama`, found `{architecture}`"));
        }
        let heads = gguf.count("llama.attention.head_count")?;
        let width = gguf.count("llama.embedding_length")?;
        let shape = Shape {
            layers: gguf.count("llama.block_count")?,
            width,
            inner: gguf.count("llama.feed_forward_length")?,
            heads,
            key_heads: gguf.count("llama.attention.head_count_kv")?,
            head: width / heads,
            context: gguf.count("llama.context_length")?,
        };
        if shape.head != TILE
            || shape.head * heads != width
            || !heads.is_multiple_of(shape.key_heads)
            || !shape.inner.is_multiple_of(TILE)
        {
            return Err(format!("the sizes do not fit each other: {shape:?}"));
        }
        let base = gguf.number("llama.rope.freq_base")?;
        let turns = (0..shape.head / 2).map(|pair| base.powf(-2.0 * pair as f64 / shape.head as f64)).collect();
        let layers = (0..shape.layers).map(|layer| Layer::read(gguf, layer, &shape)).collect::<Result<_, _>>()?;
        Ok(Self {
            epsilon: gguf.number("llama.attention.layer_norm_rms_epsilon")? as f32,
            turns,
            tokens: matrix(gguf, &["token_embd.weight".to_owned()], width)?,
            layers,
            norm: vector(gguf, "output_norm.weight", width)?,
            shape,
        })
    }

    /// How many tokens it knows.
    pub(super) fn vocabulary(&self) -> usize {
        self.tokens.outputs()
    }

    /// Its tokens and its context, for a message.
    pub(super) fn sizes(&self) -> String {
        format!("{} and {}", self.vocabulary(), self.shape.context)
    }

    /// Reads tokens after those of the cache, and says how likely each token follows, as logits. Nothing when it was stopped:
    /// what was read until then is in the cache. On the threads of the pool that this is called in.
    ///
    /// # Panics
    /// When there is no token, or more than the context holds: a bug of the caller.
    pub(super) fn read_tokens(&self, tokens: &[u32], cache: &mut Cache, stop: &Stop) -> Option<Vec<f32>> {
        assert!(!tokens.is_empty() && cache.len() + tokens.len() <= self.shape.context, "the context holds no more");
        let width = self.shape.width;
        let mut last = vec![0.0; width];
        for tokens in tokens.chunks(CHUNK) {
            let states = self.read_chunk(tokens, cache, stop)?;
            for (last, tile) in last.chunks_exact_mut(TILE).zip(states.chunks_exact(TILE * tokens.len())) {
                last.copy_from_slice(&tile[TILE * (tokens.len() - 1)..]);
            }
        }
        let mut normed = vec![0.0; width];
        in_order(&last, width, &mut normed, |_, row| math::rms_norm(row, &self.norm, self.epsilon));
        let mut logits = vec![0.0; self.vocabulary()];
        self.tokens.apply(&normed, &mut logits, false);
        Some(logits)
    }

    /// The states of tokens after the last layer, in tiles.
    fn read_chunk(&self, tokens: &[u32], cache: &mut Cache, stop: &Stop) -> Option<Vec<f32>> {
        let Shape { width, inner, heads, key_heads, head, .. } = self.shape;
        let count = tokens.len();
        cache.reserve(count, &self.shape);
        let angles = self.angles(cache.len(), count);
        let mut states = self.vectors(tokens);
        let mut x = vec![0.0; width * count];
        let mut attention = vec![0.0; (heads + 2 * key_heads) * head * count];
        let mut mixed = vec![0.0; width * count];
        let mut inside = vec![0.0; 2 * inner * count];
        let mut gated = vec![0.0; inner * count];
        for (index, layer) in self.layers.iter().enumerate() {
            if stop.is_set() {
                return None;
            }
            in_order(&states, width, &mut x, |_, row| math::rms_norm(row, &layer.attention_norm, self.epsilon));
            layer.attention.apply(&x, &mut attention, false);
            let (turned, values) = attention.split_at_mut((heads + key_heads) * head * count);
            turned.par_chunks_mut(head * count).for_each(|head| turn(head, &angles));
            let (queries, keys) = turned.split_at(heads * head * count);
            cache.put(index, &self.shape, keys, values);
            attention::attend(queries, &mut mixed, cache, index, &self.shape);
            in_order(&mixed, width, &mut x, |_, _| {});
            layer.output.apply(&x, &mut states, true);

            in_order(&states, width, &mut x, |_, row| math::rms_norm(row, &layer.norm, self.epsilon));
            layer.up.apply(&x, &mut inside, false);
            let (gate, up) = inside.split_at(inner * count);
            in_order(gate, inner, &mut gated, |token, row| {
                for (tile, part) in row.chunks_exact_mut(TILE).enumerate() {
                    math::silu_times(part, &up[place(tile, token, count)]);
                }
            });
            layer.down.apply(&gated, &mut states, true);
        }
        cache.extend(tokens);
        Some(states)
    }

    /// The vectors of tokens, in tiles.
    fn vectors(&self, tokens: &[u32]) -> Vec<f32> {
        let mut vectors = vec![0.0; self.shape.width * tokens.len()];
        let mut vector = vec![0.0; self.shape.width];
        for (index, token) in tokens.iter().enumerate() {
            self.tokens.row(*token as usize, &mut vector);
            for (tile, part) in vectors.chunks_exact_mut(TILE * tokens.len()).zip(vector.chunks_exact(TILE)) {
                tile[place(0, index, tokens.len())].copy_from_slice(part);
            }
        }
        vectors
    }

    /// Cosine and sine for each token from a position on and each pair of elements.
    fn angles(&self, position: usize, count: usize) -> Vec<(f32, f32)> {
        let angles = (position..position + count).flat_map(|at| self.turns.iter().map(move |turn| at as f64 * turn));
        angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).collect()
    }
}

/// Turns neighbouring elements of a head by the angles of their tokens.
fn turn(head: &mut [f32], angles: &[(f32, f32)]) {
    for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
        let [first, second] = *pair;
        *pair = [first * cos - second * sin, first * sin + second * cos];
    }
}

/// Where a tile of a token lies among all of them.
fn place(tile: usize, token: usize, tokens: usize) -> Range<usize> {
    let start = (tile * tokens + token) * TILE;
    start..start + TILE
}

/// Brings the tiles of each token into a row, and then does something with the row.
fn in_order(tiles: &[f32], width: usize, to: &mut [f32], with: impl Fn(usize, &mut [f32]) + Sync) {
    let tokens = to.len() / width;
    // Some for each thread, and a few more, so that none waits for long.
    let some = tokens.div_ceil(4 * rayon::current_num_threads());
    to.par_chunks_mut(some * width).enumerate().for_each(|(index, rows)| {
        for (token, row) in rows.chunks_exact_mut(width).enumerate() {
            let token = index * some + token;
            for (tile, part) in row.chunks_exact_mut(TILE).enumerate() {
                part.copy_from_slice(&tiles[place(tile, token, tokens)]);
            }
            with(token, row);
        }
    });
}

impl Layer {
    fn read(gguf: &Gguf, layer: usize, shape: &Shape) -> Result<Self, String> {
        let name = |end: &str| format!("blk.{layer}.{end}.weight");
        let attention = ["attn_q", "attn_k", "attn_v"].map(name);
        let read = Self {
            attention_norm: vector(gguf, &name("attn_norm"), shape.width)?,
            attention: matrix(gguf, &attention, shape.width)?,
            output: matrix(gguf, &[name("attn_output")], shape.width)?,
            norm: vector(gguf, &name("ffn_norm"), shape.width)?,
            up: matrix(gguf, &["ffn_gate", "ffn_up"].map(name), shape.width)?,
            down: matrix(gguf, &[name("ffn_down")], shape.inner)?,
        };
        let outputs = [&read.attention, &read.output, &read.up, &read.down].map(Quantised::outputs);
        let keys = 2 * shape.key_heads * shape.head;
        if outputs == [shape.width + keys, shape.width, 2 * shape.inner, shape.width] {
            Ok(read)
        } else {
            Err(format!("layer {layer} has matrices of {outputs:?} rows"))
        }
    }
}

fn vector(gguf: &Gguf, name: &str, length: usize) -> Result<Vec<f32>, String> {
    let tensor = gguf.tensor(name)?;
    if tensor.kind != Kind::F32 || (tensor.inputs, tensor.outputs) != (length, 1) {
        return Err(format!("`{name}`: expected {length} elements of F32"));
    }
    let of = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    Ok(tensor.bytes.as_chunks::<4>().0.iter().map(of).collect())
}

/// Matrices of one kind, below each other.
fn matrix(gguf: &Gguf, names: &[String], inputs: usize) -> Result<Quantised, String> {
    let tensors = names.iter().map(|name| gguf.tensor(name)).collect::<Result<Vec<_>, _>>()?;
    let kind = tensors[0].kind;
    if tensors.iter().any(|tensor| tensor.kind != kind || tensor.inputs != inputs) {
        return Err(format!("{names:?}: expected rows of {inputs} elements, all of one type"));
    }
    let bits = match kind {
        Kind::Q4_1 => Bits::Four,
        Kind::Q8_0 => Bits::Eight,
        Kind::F32 => return Err(format!("{names:?}: expected Q4_1 or Q8_0, found F32")),
    };
    let parts: Vec<&[u8]> = tensors.iter().map(|tensor| tensor.bytes).collect();
    Quantised::of(bits, inputs, &parts).map_err(|what| format!("{names:?}: {what}"))
}
