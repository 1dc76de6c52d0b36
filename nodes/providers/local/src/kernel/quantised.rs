//! Matrices whose elements are kept in four or eight bits, in blocks of 32 along a row, as GGUF has them.
//!
//! They are kept in tiles of 64 rows, in which the rows lie side by side: so a vector of the machine holds the same column of
//! many rows, and sums need no shuffling. They are widened to `f32` while they are used; what they are multiplied with
//! is never rounded.
//!
//! What comes out is in tiles as well: for each tile of rows, one token after the other. So each tile is written by one
//! thread.

use pulp::Simd;
use rayon::{
    iter::{IndexedParallelIterator as _, ParallelIterator as _},
    slice::ParallelSliceMut as _,
};

use super::{
    madd,
    product::{Matrix, MatrixMut, multiply},
    wide,
};

/// Rows of a tile.
pub(crate) const TILE: usize = 64;
/// Elements of a block.
const BLOCK: usize = 32;

/// Half of a precision: 1 bit for the sign, 5 for the power, 10 for the fraction.
type Half = u16;

/// Blocks of 64 rows with four bits an element: `scale * bits + least`.
struct Four {
    scale: [Half; TILE],
    least: [Half; TILE],
    /// The low four bits are of the first half of the block, the high ones of the second.
    bits: [[u8; TILE]; BLOCK / 2],
}

/// Blocks of 64 rows with eight bits an element: `scale * bits`.
struct Eight {
    scale: [Half; TILE],
    bits: [[i8; TILE]; BLOCK],
}

enum Tiles {
    Four(Vec<Four>),
    Eight(Vec<Eight>),
}

/// A matrix with a row for each output.
pub(crate) struct Quantised {
    inputs: usize,
    outputs: usize,
    tiles: Tiles,
}

/// How the elements of rows are kept that a matrix is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    /// A half for the scale, a half for the least value, 16 bytes with the bits.
    Four,
    /// A half for the scale, 32 bytes with the bits.
    Eight,
}

impl Bits {
    const fn block(self) -> usize {
        match self {
            Self::Four => 20,
            Self::Eight => 34,
        }
    }
}

impl Quantised {
    /// From rows as GGUF has them; several matrices are put below each other.
    ///
    /// # Errors
    /// When the rows do not fill blocks and tiles.
    pub(crate) fn of(bits: Bits, inputs: usize, parts: &[&[u8]]) -> Result<Self, String> {
        let row = inputs / BLOCK * bits.block();
        let outputs = parts.iter().map(|part| part.len()).sum::<usize>() / row.max(1);
        if row == 0
            || !inputs.is_multiple_of(BLOCK)
            || !outputs.is_multiple_of(TILE)
            || parts.iter().any(|part| !part.len().is_multiple_of(row))
        {
            return Err(format!("{outputs} rows of {inputs} elements do not fill tiles of {TILE} rows"));
        }
        let rows: Vec<&[u8]> = parts.iter().flat_map(|part| part.chunks_exact(row)).collect();
        let blocks = rows.chunks_exact(TILE).flat_map(|tile| (0..inputs / BLOCK).map(move |block| (tile, block)));
        let part = |row: &'_ [u8], block: usize| row[block * bits.block()..][..bits.block()].to_vec();
        let half = |part: &[u8], at: usize| Half::from_le_bytes([part[at], part[at + 1]]);
        let tiles = match bits {
            Bits::Four => Tiles::Four(
                blocks
                    .map(|(tile, block)| {
                        let mut four = Four { scale: [0; _], least: [0; _], bits: [[0; _]; _] };
                        for (index, row) in tile.iter().enumerate() {
                            let part = part(row, block);
                            four.scale[index] = half(&part, 0);
                            four.least[index] = half(&part, 2);
                            for (to, from) in four.bits.iter_mut().zip(&part[4..]) {
                                to[index] = *from;
                            }
                        }
                        four
                    })
                    .collect(),
            ),
            Bits::Eight => Tiles::Eight(
                blocks
                    .map(|(tile, block)| {
                        let mut eight = Eight { scale: [0; _], bits: [[0; _]; _] };
                        for (index, row) in tile.iter().enumerate() {
                            let part = part(row, block);
                            eight.scale[index] = half(&part, 0);
                            for (to, from) in eight.bits.iter_mut().zip(&part[2..]) {
                                to[index] = from.cast_signed();
                            }
                        }
                        eight
                    })
                    .collect(),
            ),
        };
        Ok(Self { inputs, outputs, tiles })
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `y = matrix * x`, or `y += matrix * x`, for each token. `x` has one token after the other, `y` too within each tile of
    /// outputs. On the threads of the pool that this is called in.
    pub(crate) fn apply(&self, x: &[f32], y: &mut [f32], add: bool) {
        let tokens = y.len() / self.outputs;
        let tiles = y.par_chunks_mut(TILE * tokens).enumerate();
        if tokens == 1 {
            let all: Vec<f32> = x.chunks_exact(BLOCK).map(|x| x.iter().sum()).collect();
            tiles.for_each(|(tile, y)| self.tile_by_vector(tile, x, &all, y, add));
            return;
        }
        let scratch = || vec![0.0; TILE * self.inputs];
        tiles.for_each_init(scratch, |widened, (tile, y)| {
            self.widen(tile, widened);
            let matrix = Matrix::of(widened, self.inputs, TILE).turned();
            let to = MatrixMut { data: y, rows: TILE, columns: tokens, row_step: 1, column_step: TILE };
            multiply(to, add, matrix, Matrix::of(x, tokens, self.inputs).turned());
        });
    }

    /// A row of the matrix.
    pub(crate) fn row(&self, row: usize, to: &mut [f32]) {
        let at = row % TILE;
        let start = row / TILE * self.blocks();
        match &self.tiles {
            Tiles::Four(tiles) => {
                for (to, four) in to.chunks_exact_mut(BLOCK).zip(&tiles[start..]) {
                    let (scale, least) = (widened(four.scale[at]), widened(four.least[at]));
                    for (index, bits) in four.bits.iter().enumerate() {
                        to[index] = f32::from(bits[at] & 15) * scale + least;
                        to[index + BLOCK / 2] = f32::from(bits[at] >> 4) * scale + least;
                    }
                }
            }
            Tiles::Eight(tiles) => {
                for (to, eight) in to.chunks_exact_mut(BLOCK).zip(&tiles[start..]) {
                    let scale = widened(eight.scale[at]);
                    for (to, bits) in to.iter_mut().zip(&eight.bits) {
                        *to = f32::from(bits[at]) * scale;
                    }
                }
            }
        }
    }

    /// Blocks of a row.
    fn blocks(&self) -> usize {
        self.inputs / BLOCK
    }

    /// `all` holds the sum of each block of `x`.
    fn tile_by_vector(&self, tile: usize, x: &[f32], all: &[f32], y: &mut [f32], add: bool) {
        let blocks = tile * self.blocks()..(tile + 1) * self.blocks();
        match &self.tiles {
            Tiles::Four(tiles) => four_by_vector(&tiles[blocks], x, all, y, add),
            Tiles::Eight(tiles) => eight_by_vector(&tiles[blocks], x, y, add),
        }
    }

    /// Writes a tile as it is multiplied: a row for each input.
    fn widen(&self, tile: usize, to: &mut [f32]) {
        let blocks = tile * self.blocks()..(tile + 1) * self.blocks();
        match &self.tiles {
            Tiles::Four(tiles) => widen_four(&tiles[blocks], to),
            Tiles::Eight(tiles) => widen_eight(&tiles[blocks], to),
        }
    }
}

wide! {
    fn four_by_vector<'a>(tile: &'a [Four], x: &'a [f32], all: &'a [f32], y: &'a mut [f32], add: bool) =
        four_by_vector_body;
}
wide! {
    fn eight_by_vector<'a>(tile: &'a [Eight], x: &'a [f32], y: &'a mut [f32], add: bool) = eight_by_vector_body;
}
wide! {
    fn widen_four<'a>(tile: &'a [Four], to: &'a mut [f32]) = widen_four_body;
}
wide! {
    fn widen_eight<'a>(tile: &'a [Eight], to: &'a mut [f32]) = widen_eight_body;
}

#[inline(always)]
fn four_by_vector_body<S: Simd>(tile: &[Four], x: &[f32], all: &[f32], y: &mut [f32], add: bool) {
    let y: &mut [f32; TILE] = y.try_into().expect("a tile of outputs");
    let mut sums = if add { *y } else { [0.0; TILE] };
    for ((four, x), all) in tile.iter().zip(x.as_chunks::<BLOCK>().0).zip(all) {
        let (low, high) = x.split_at(BLOCK / 2);
        let mut part = [0.0; TILE];
        for ((bits, low), high) in four.bits.iter().zip(low).zip(high) {
            for row in 0..TILE {
                part[row] = madd::<S>(f32::from(bits[row] & 15), *low, part[row]);
            }
            for row in 0..TILE {
                part[row] = madd::<S>(f32::from(bits[row] >> 4), *high, part[row]);
            }
        }
        for row in 0..TILE {
            let least = madd::<S>(widened(four.least[row]), *all, sums[row]);
            sums[row] = madd::<S>(widened(four.scale[row]), part[row], least);
        }
    }
    *y = sums;
}

#[inline(always)]
fn eight_by_vector_body<S: Simd>(tile: &[Eight], x: &[f32], y: &mut [f32], add: bool) {
    let y: &mut [f32; TILE] = y.try_into().expect("a tile of outputs");
    let mut sums = if add { *y } else { [0.0; TILE] };
    for (eight, x) in tile.iter().zip(x.as_chunks::<BLOCK>().0) {
        let mut part = [0.0; TILE];
        for (bits, x) in eight.bits.iter().zip(x) {
            for row in 0..TILE {
                part[row] = madd::<S>(f32::from(bits[row]), *x, part[row]);
            }
        }
        for row in 0..TILE {
            sums[row] = madd::<S>(widened(eight.scale[row]), part[row], sums[row]);
        }
    }
    *y = sums;
}

#[inline(always)]
fn widen_four_body<S: Simd>(tile: &[Four], to: &mut [f32]) {
    for (four, to) in tile.iter().zip(to.as_chunks_mut::<TILE>().0.as_chunks_mut::<BLOCK>().0) {
        let (scale, least) = (four.scale.map(widened), four.least.map(widened));
        let (low, high) = to.split_at_mut(BLOCK / 2);
        for ((bits, low), high) in four.bits.iter().zip(low).zip(high) {
            for row in 0..TILE {
                low[row] = madd::<S>(f32::from(bits[row] & 15), scale[row], least[row]);
                high[row] = madd::<S>(f32::from(bits[row] >> 4), scale[row], least[row]);
            }
        }
    }
}

#[inline(always)]
fn widen_eight_body<S: Simd>(tile: &[Eight], to: &mut [f32]) {
    for (eight, to) in tile.iter().zip(to.as_chunks_mut::<TILE>().0.as_chunks_mut::<BLOCK>().0) {
        let scale = eight.scale.map(widened);
        for (bits, to) in eight.bits.iter().zip(to) {
            for row in 0..TILE {
                to[row] = f32::from(bits[row]) * scale[row];
            }
        }
    }
}

/// A half as `f32`; scales are finite.
#[inline(always)]
fn widened(half: Half) -> f32 {
    /// 2 to the power of 112: what the powers of the two forms differ by.
    const POWER: f32 = f32::from_bits((127 + 112) << 23);
    let size = f32::from_bits(u32::from(half & 0x7fff) << 13) * POWER;
    f32::from_bits(size.to_bits() | u32::from(half & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::kernel::widths;

    /// Rows with every kind of scale, and their values in double precision.
    fn rows(bits: Bits, inputs: usize, outputs: usize) -> (Vec<u8>, Vec<Vec<f64>>) {
        let mut bytes = Vec::new();
        let mut values = Vec::new();
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for _ in 0..outputs {
            let mut row = Vec::new();
            for _ in 0..inputs / BLOCK {
                // 2^-6 to 2^1 with a fraction, of either sign.
                let mut half = || {
                    let power = u16::from(9 + random() % 8);
                    let half = power << 10 | u16::from(random()) << 2 | u16::from(random() & 1) << 15;
                    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
                    let value = sign * f64::from((half & 0x3ff) + 1024) / 1024.0 * 2f64.powi(i32::from(power) - 15);
                    bytes.extend(half.to_le_bytes());
                    value
                };
                let scale = half();
                match bits {
                    Bits::Four => {
                        let least = half();
                        let block: Vec<u8> = (0..BLOCK / 2).map(|_| random()).collect();
                        row.extend(block.iter().map(|bits| f64::from(bits & 15) * scale + least));
                        row.extend(block.iter().map(|bits| f64::from(bits >> 4) * scale + least));
                        bytes.extend(block);
                    }
                    Bits::Eight => {
                        let block: Vec<u8> = (0..BLOCK).map(|_| random()).collect();
                        row.extend(block.iter().map(|bits| f64::from(bits.cast_signed()) * scale));
                        bytes.extend(block);
                    }
                }
            }
            values.push(row);
        }
        (bytes, values)
    }

    #[rstest]
    fn products_are_those_of_the_values(
        #[values(Bits::Four, Bits::Eight)] bits: Bits,
        #[values(1, 2, 50)] tokens: usize,
        #[values(false, true)] add: bool,
    ) {
        let (inputs, outputs) = (96, 192);
        let (bytes, values) = rows(bits, inputs, outputs);
        // Two matrices below each other.
        let (above, below) = bytes.split_at(bytes.len() / outputs * 64);
        let matrix = Quantised::of(bits, inputs, &[above, below]).unwrap();
        assert_eq!(matrix.outputs(), outputs);
        let x: Vec<f32> = (0..inputs * tokens).map(|index| ((index * 37 % 101) as f32 - 50.0) / 25.0).collect();
        // The width of vectors is chosen for this thread alone.
        let here = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
        widths::each(|| {
            let mut y = vec![1.0; outputs * tokens];
            here.install(|| matrix.apply(&x, &mut y, add));
            compare(&matrix, &values, &x, &y, add);
        });
    }

    /// Compares a matrix with its values, and a product with that of the values.
    fn compare(matrix: &Quantised, values: &[Vec<f64>], x: &[f32], y: &[f32], add: bool) {
        let inputs = values[0].len();
        let tokens = x.len() / inputs;
        for (output, row) in values.iter().enumerate() {
            let mut kept = vec![0.0; inputs];
            matrix.row(output, &mut kept);
            assert!(kept.iter().zip(row).all(|(kept, value)| (f64::from(*kept) - value).abs() < 1e-4));
            for token in 0..tokens {
                let exact: f64 = row.iter().zip(&x[token * inputs..]).map(|(w, x)| w * f64::from(*x)).sum();
                let exact = if add { exact + 1.0 } else { exact };
                let found = f64::from(y[(output / TILE * tokens + token) * TILE + output % TILE]);
                assert!((found - exact).abs() < 1e-3 * (1.0 + exact.abs()), "{output} {token}: {found} {exact}");
            }
        }
    }

    #[test]
    fn halves_are_widened_exactly() {
        for (half, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
        {
            assert_eq!(widened(half), value);
        }
    }

    #[test]
    fn rows_that_fill_no_tile_are_refused() {
        let (bytes, _) = rows(Bits::Eight, 64, 65);
        assert!(Quantised::of(Bits::Eight, 64, &[&bytes]).is_err());
        assert!(Quantised::of(Bits::Eight, 65, &[&bytes]).is_err());
        assert!(Quantised::of(Bits::Eight, 0, &[]).is_err());
    }
}
