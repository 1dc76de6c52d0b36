//! Products of matrices on AMX, the tiles of newer Intel processors, where there are any.
//!
//! Tiles multiply numbers of sixteen bits (bfloat16) and add in `f32`. So that nothing is lost, each number is split into two
//! of them, the second of which is what the first leaves over, and three products are added up: both first halves, and each
//! first one with the other's second. What is missing is the product of the second halves, a 65,000th of the result. That
//! takes three products of tiles, and is three times as fast as `f32` in vectors.

use std::sync::OnceLock;

use pulp::Simd;

use super::{math, wide};

/// Rows of a tile.
const ROWS: usize = 16;
/// Numbers of sixteen bits in a row of a tile.
const INNER: usize = 32;
/// Numbers of `f32` in a row of a tile.
const COLUMNS: usize = 16;
/// How many rows and columns are computed together: two tiles by two.
pub(crate) const BLOCK: usize = 32;

/// A tile as it is loaded.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Tile([u16; ROWS * INNER]);

const EMPTY: Tile = Tile([0; ROWS * INNER]);
/// The two halves of a tile lie one after the other.
const PAIR: usize = 2 * size_of::<Tile>();

/// Whether this machine has AMX, and lets this process use it.
pub(crate) fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(machine::allows)
}

/// Weights with a row for each input, packed for tiles.
pub(crate) struct Packed {
    tiles: Vec<Tile>,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// `None` where there is no AMX, or the sizes are no multiples of those of blocks.
    pub(crate) fn of(weights: &[f32], inputs: usize, outputs: usize) -> Option<Self> {
        if !is_there() || !inputs.is_multiple_of(INNER) || !outputs.is_multiple_of(BLOCK) {
            return None;
        }
        assert_eq!(weights.len(), inputs * outputs, "a weight for each input and output");
        let across = inputs / INNER;
        let mut tiles = vec![EMPTY; outputs / COLUMNS * across * 2];
        for (input, row) in weights.chunks_exact(outputs).enumerate() {
            for (output, weight) in row.iter().enumerate() {
                let (first, second) = halves(*weight);
                let tile = (output / COLUMNS * across + input / INNER) * 2;
                // Two inputs of an output lie side by side.
                let at = input % INNER / 2 * INNER + output % COLUMNS * 2 + input % 2;
                tiles[tile].0[at] = first;
                tiles[tile + 1].0[at] = second;
            }
        }
        Some(Self { tiles, inputs, outputs })
    }

    /// `y = x * weights + bias`.
    ///
    /// # Panics
    /// When sizes do not fit, or `y` has rows that fill no block: a bug of the caller.
    pub(crate) fn product(&self, x: &Split, bias: &[f32], y: &mut [f32]) {
        assert_eq!(bias.len(), self.outputs, "a bias for each output");
        self.multiply(x, Some(bias), y);
    }

    /// `y += x * weights`.
    ///
    /// # Panics
    /// As [`Self::product`].
    pub(crate) fn add_product(&self, x: &Split, y: &mut [f32]) {
        self.multiply(x, None, y);
    }

    fn multiply(&self, x: &Split, bias: Option<&[f32]>, y: &mut [f32]) {
        let rows = x.rows;
        assert_eq!((x.columns, y.len()), (self.inputs, rows * self.outputs), "the sizes of a product do not fit");
        assert!(rows.is_multiple_of(BLOCK), "rows fill blocks");
        if rows == 0 {
            return;
        }
        let across = self.inputs / INNER;
        let weights = self.tiles.chunks_exact(across * 2 * (BLOCK / COLUMNS));
        for (block, weights) in weights.enumerate() {
            let bias = bias.map(|bias| &bias[block * BLOCK..][..BLOCK]);
            let panel = machine::Panel { x: &x.tiles[..rows / ROWS * across * 2], weights, across, bias };
            panel.multiply(y, self.outputs, block * BLOCK);
        }
    }
}

/// The left side of a product: rows of numbers in halves. Its memory is used again.
#[derive(Default)]
pub(crate) struct Split {
    tiles: Vec<Tile>,
    rows: usize,
    columns: usize,
}

impl Split {
    /// Splits rows of so many numbers, as many as fill blocks.
    pub(crate) fn set(&mut self, x: &[f32], columns: usize) {
        self.resize(x, columns);
        split(x, columns, &mut self.tiles);
    }

    /// Splits what the activation of BERT makes of them.
    pub(crate) fn set_gelu(&mut self, x: &[f32], columns: usize) {
        self.resize(x, columns);
        split_gelu(x, columns, &mut self.tiles);
    }

    fn resize(&mut self, x: &[f32], columns: usize) {
        (self.rows, self.columns) = (x.len() / columns, columns);
        let tiles = self.rows / ROWS * (columns / INNER) * 2;
        if self.tiles.len() < tiles {
            self.tiles.resize(tiles, EMPTY);
        }
    }
}

wide! {
    fn split<'a>(x: &'a [f32], columns: usize, tiles: &'a mut [Tile]) = split_body;
}
wide! {
    fn split_gelu<'a>(x: &'a [f32], columns: usize, tiles: &'a mut [Tile]) = split_gelu_body;
}

#[inline(always)]
fn split_body<S: Simd>(x: &[f32], columns: usize, tiles: &mut [Tile]) {
    split_each(x, columns, tiles, |value| value);
}

#[inline(always)]
fn split_gelu_body<S: Simd>(x: &[f32], columns: usize, tiles: &mut [Tile]) {
    split_each(x, columns, tiles, math::gelu_of::<S>);
}

#[inline(always)]
fn split_each(x: &[f32], columns: usize, tiles: &mut [Tile], of: impl Fn(f32) -> f32) {
    let across = columns / INNER;
    for (index, row) in x.chunks_exact(columns).enumerate() {
        let pairs = &mut tiles[index / ROWS * across * 2..][..across * 2];
        for (values, pair) in row.as_chunks::<INNER>().0.iter().zip(pairs.as_chunks_mut::<2>().0) {
            let [Tile(first), Tile(second)] = pair;
            let first = &mut first.as_chunks_mut::<INNER>().0[index % ROWS];
            let second = &mut second.as_chunks_mut::<INNER>().0[index % ROWS];
            for ((value, first), second) in values.iter().zip(first).zip(second) {
                (*first, *second) = halves(of(*value));
            }
        }
    }
}

/// A number as the sum of two of sixteen bits.
#[inline(always)]
fn halves(value: f32) -> (u16, u16) {
    let first = rounded(value);
    (first, rounded(value - f32::from_bits(u32::from(first) << 16)))
}

/// The nearest bfloat16, the even one of two. Numbers are finite.
#[inline(always)]
fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod machine {
    use std::arch::asm;

    use super::{BLOCK, COLUMNS, INNER, PAIR, ROWS, Tile};

    /// Of the leaf 7 of `cpuid`, register `edx`: tiles of bfloat16, and tiles.
    const CPU_BITS: u32 = 1 << 22 | 1 << 24;
    /// `ARCH_REQ_XCOMP_PERM`, and the number of the state of tiles.
    const REQUEST: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;

    /// Asks the processor, and Linux for the state of tiles, which a process does not have by itself.
    #[expect(unsafe_code, reason = "asking Linux is a system call")]
    pub(super) fn allows() -> bool {
        if std::arch::x86_64::__cpuid_count(7, 0).edx & CPU_BITS != CPU_BITS {
            return false;
        }
        // SAFETY: the call reads no memory; what it changes is that more registers are saved.
        unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
    }

    /// Every tile has 16 rows of 64 bytes.
    #[repr(C, align(64))]
    struct Shapes([u8; 64]);

    static SHAPES: Shapes = {
        let mut shapes = [0; 64];
        shapes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            shapes[16 + 2 * tile] = (2 * INNER) as u8;
            shapes[48 + tile] = ROWS as u8;
            tile += 1;
        }
        Shapes(shapes)
    };

    /// A block of columns of a product.
    pub(super) struct Panel<'a> {
        /// Pairs of tiles, those of the same rows one after the other.
        pub(super) x: &'a [Tile],
        /// Pairs of tiles, those of the same columns one after the other.
        pub(super) weights: &'a [Tile],
        /// How many pairs there are of the same rows, or of the same columns.
        pub(super) across: usize,
        /// What is added; what is there already when missing.
        pub(super) bias: Option<&'a [f32]>,
    }

    impl Panel<'_> {
        /// Writes to the block of columns of `y` that begins at `column`; `y` has rows of so many `columns`.
        #[expect(unsafe_code, reason = "tiles are reached by instructions alone")]
        pub(super) fn multiply(&self, y: &mut [f32], columns: usize, column: usize) {
            let Self { x, weights, across, bias } = *self;
            let rows = x.len() / (2 * across) * ROWS;
            assert!(super::is_there(), "only what is_there makes panels");
            assert!(across > 0 && rows > 0 && rows.is_multiple_of(BLOCK) && x.len() == rows / ROWS * across * 2);
            assert_eq!(weights.len(), BLOCK / COLUMNS * across * 2);
            assert!(column + BLOCK <= columns && y.len() == rows * columns);
            assert!(bias.is_none_or(|bias| bias.len() == BLOCK));
            let length = across * PAIR;
            let y = y[column..].as_mut_ptr();
            // The row of the bias is loaded for each row: its step is 0.
            let (from, from_step) = bias.map_or((y.cast_const(), columns * 4), |bias| (bias.as_ptr(), 0));
            // SAFETY: as asserted, for each of the `rows / BLOCK` rounds there are two times `across` pairs of tiles behind
            // `x`, two times as many behind `weights` for all of them, and BLOCK rows of BLOCK numbers behind `y`, of which
            // only those are written; so with `from`, unless its step is 0. The processor has the instructions, and Linux
            // saves the tiles. They are configured and released in here, so that they are as before.
            unsafe {
                asm!(
                    "ldtilecfg [{k}]",
                    // A round: a block of rows. First what is added, then each pair of tiles across.
                    "3:",
                    "mov {k}, {from_step}",
                    "shl {k}, 4",
                    "add {k}, {from}",
                    "tileloadd tmm0, [{from} + {from_step}]",
                    "tileloadd tmm1, [{from} + {from_step} + 64]",
                    "tileloadd tmm2, [{k} + {from_step}]",
                    "tileloadd tmm3, [{k} + {from_step} + 64]",
                    "mov {k}, {length}",
                    "2:",
                    // Second halves of x, first halves of weights.
                    "tileloadd tmm4, [{x0} + {step} + 1024]",
                    "tileloadd tmm5, [{x1} + {step} + 1024]",
                    "tileloadd tmm6, [{w0} + {step}]",
                    "tileloadd tmm7, [{w1} + {step}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    // First halves of both.
                    "tileloadd tmm4, [{x0} + {step}]",
                    "tileloadd tmm5, [{x1} + {step}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    // First halves of x, second halves of weights.
                    "tileloadd tmm6, [{w0} + {step} + 1024]",
                    "tileloadd tmm7, [{w1} + {step} + 1024]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {x0}, 2048",
                    "add {x1}, 2048",
                    "add {w0}, 2048",
                    "add {w1}, 2048",
                    "sub {k}, 2048",
                    "jnz 2b",
                    "mov {k}, {y_step}",
                    "shl {k}, 4",
                    "add {k}, {y}",
                    "tilestored [{y} + {y_step}], tmm0",
                    "tilestored [{y} + {y_step} + 64], tmm1",
                    "tilestored [{k} + {y_step}], tmm2",
                    "tilestored [{k} + {y_step} + 64], tmm3",
                    // On to the next block of rows, with the same weights.
                    "mov {x0}, {x1}",
                    "add {x1}, {length}",
                    "sub {w0}, {length}",
                    "sub {w1}, {length}",
                    "mov {k}, {y_step}",
                    "shl {k}, 5",
                    "add {y}, {k}",
                    "mov {k}, {from_step}",
                    "shl {k}, 5",
                    "add {from}, {k}",
                    "sub {rounds}, 1",
                    "jnz 3b",
                    "tilerelease",
                    k = inout(reg) &raw const SHAPES => _,
                    x0 = inout(reg) x.as_ptr() => _,
                    x1 = inout(reg) x[across * 2..].as_ptr() => _,
                    w0 = inout(reg) weights.as_ptr() => _,
                    w1 = inout(reg) weights[across * 2..].as_ptr() => _,
                    y = inout(reg) y => _,
                    from = inout(reg) from => _,
                    rounds = inout(reg) rows / BLOCK => _,
                    y_step = in(reg) columns * 4,
                    from_step = in(reg) from_step,
                    step = in(reg) 64_usize,
                    length = in(reg) length,
                    options(nostack),
                );
            }
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod machine {
    use super::Tile;

    pub(super) fn allows() -> bool {
        false
    }

    /// Is never made: nothing is packed where there are no tiles.
    pub(super) struct Panel<'a> {
        pub(super) x: &'a [Tile],
        pub(super) weights: &'a [Tile],
        pub(super) across: usize,
        pub(super) bias: Option<&'a [f32]>,
    }

    impl Panel<'_> {
        pub(super) fn multiply(&self, _: &mut [f32], _: usize, _: usize) {
            let Self { x, weights, across, bias } = self;
            unreachable!("{} {} {across} {}: there are no tiles", x.len(), weights.len(), bias.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::widths;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn two_halves_are_the_number() {
        for value in numbers(1000, 3).into_iter().chain([0.0, 1.0, -1e-20, 3e30, 1.0 / 3.0]) {
            let (first, second) = halves(value);
            let sum = f32::from_bits(u32::from(first) << 16) + f32::from_bits(u32::from(second) << 16);
            assert!((sum - value).abs() <= value.abs() / 65_536.0, "{value} became {sum}");
        }
    }

    #[test]
    fn a_product_is_that_of_double_precision() {
        let (rows, inputs, outputs) = (64, 96, 64);
        let (x, weights, bias) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2), numbers(outputs, 3));
        let Some(packed) = Packed::of(&weights, inputs, outputs) else {
            eprintln!("skipped: this machine has no AMX");
            return;
        };
        assert!(Packed::of(&weights[..96 * 48], 96, 48).is_none(), "columns that fill no block");
        let exact = |row: usize, column: usize, of: &dyn Fn(f32) -> f32| {
            let sum =
                (0..inputs).map(|k| f64::from(of(x[row * inputs + k])) * f64::from(weights[k * outputs + column]));
            sum.sum::<f64>()
        };
        let gelu = |value: f32| {
            let mut one = [value];
            math::gelu(&mut one);
            one[0]
        };
        widths::each(|| {
            let mut split = Split::default();
            let (mut product, mut added) = (vec![f32::NAN; rows * outputs], vec![0.5; rows * outputs]);
            split.set(&x, inputs);
            packed.product(&split, &bias, &mut product);
            split.set_gelu(&x, inputs);
            packed.add_product(&split, &mut added);
            for row in 0..rows {
                for column in 0..outputs {
                    let at = row * outputs + column;
                    let expected = exact(row, column, &|value| value) + f64::from(bias[column]);
                    assert!((f64::from(product[at]) - expected).abs() < 1e-4, "{row} {column}");
                    let expected = exact(row, column, &gelu) + 0.5;
                    assert!((f64::from(added[at]) - expected).abs() < 1e-4, "{row} {column}");
                }
            }
        });
    }
}
