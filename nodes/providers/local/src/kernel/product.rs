//! Products of matrices, by the crate `gemm`, on the thread that asks.

use gemm::Parallelism;

/// A matrix in a slice: the element of a row and a column lies at `row * row_step + column * column_step`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_step: usize,
    pub(crate) column_step: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows follow each other without gaps.
    pub(crate) fn of(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, row_step: columns, column_step: 1 }
    }

    /// The same matrix with rows and columns swapped.
    pub(crate) fn turned(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }
}

/// A matrix to write to.
pub(crate) struct MatrixMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_step: usize,
    pub(crate) column_step: usize,
}

impl<'a> MatrixMut<'a> {
    /// A matrix whose rows follow each other without gaps.
    pub(crate) fn of(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, row_step: columns, column_step: 1 }
    }
}

/// Whether each element lies in a slice of this length.
fn fits(length: usize, rows: usize, columns: usize, row_step: usize, column_step: usize) -> bool {
    if rows == 0 || columns == 0 {
        return true;
    }
    let last = |count: usize, step: usize| (count - 1).checked_mul(step);
    let last = last(rows, row_step).zip(last(columns, column_step)).and_then(|(row, column)| row.checked_add(column));
    last.is_some_and(|last| last < length)
}

/// `to = a * b`, or `to += a * b`.
///
/// # Panics
/// When the sizes do not fit, or a matrix is larger than its slice: a bug of the caller.
pub(crate) fn multiply(to: MatrixMut<'_>, add: bool, a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!((a.rows, a.columns, b.columns), (to.rows, b.rows, to.columns), "the sizes of a product do not fit");
    assert!(fits(to.data.len(), to.rows, to.columns, to.row_step, to.column_step), "the target is too small");
    for matrix in [a, b] {
        let Matrix { data, rows, columns, row_step, column_step } = matrix;
        assert!(fits(data.len(), rows, columns, row_step, column_step), "an operand is too small");
    }
    // SAFETY: every element of the three matrices lies in its slice, as asserted above; the target is borrowed for
    // writing, so that it overlaps neither operand.
    #[expect(unsafe_code, reason = "`gemm` takes pointers")]
    unsafe {
        gemm::gemm(
            to.rows,
            to.columns,
            a.columns,
            to.data.as_mut_ptr(),
            to.column_step as isize,
            to.row_step as isize,
            add,
            a.data.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.data.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_sum_of_products_whatever_the_steps() {
        let (rows, inner, columns) = (5, 7, 3);
        let a: Vec<f32> = (0..rows * inner).map(|x| x as f32 * 0.5).collect();
        let b: Vec<f32> = (0..inner * columns).map(|x| 3.0 - x as f32).collect();
        let mut expected = vec![1.0; rows * columns];
        for row in 0..rows {
            for column in 0..columns {
                for k in 0..inner {
                    expected[row * columns + column] += a[row * inner + k] * b[k * columns + column];
                }
            }
        }
        let mut found = vec![1.0; rows * columns];
        multiply(
            MatrixMut::of(&mut found, rows, columns),
            true,
            Matrix::of(&a, rows, inner),
            Matrix::of(&b, inner, columns),
        );
        assert_eq!(found, expected);

        // (B' A')' = A B, written over what was there, with a gap after each row.
        let mut found = vec![9.0; columns * (rows + 1)];
        let to = MatrixMut { data: &mut found, rows: columns, columns: rows, row_step: rows + 1, column_step: 1 };
        multiply(to, false, Matrix::of(&b, inner, columns).turned(), Matrix::of(&a, rows, inner).turned());
        for row in 0..rows {
            for column in 0..columns {
                assert_eq!(found[column * (rows + 1) + row] + 1.0, expected[row * columns + column]);
            }
        }
        assert_eq!(found[rows], 9.0, "the gap is untouched");
    }

    #[test]
    #[should_panic(expected = "the target is too small")]
    fn a_target_that_is_too_small_is_refused() {
        let mut to = [0.0; 5];
        multiply(MatrixMut::of(&mut to, 2, 3), false, Matrix::of(&[1.0; 4], 2, 2), Matrix::of(&[1.0; 6], 2, 3));
    }
}
