//! The vectors of a collection in one piece of memory, in large pages where the machine has them: a scan touches all of it,
//! and finding a small page takes as long as reading it.

use std::io;

use memmap2::MmapMut;

/// Rows of numbers, one after the other.
#[derive(Default)]
pub(super) struct Matrix {
    memory: Option<MmapMut>,
    /// How many numbers there are.
    length: usize,
}

impl Matrix {
    /// The numbers of every row.
    pub(super) fn numbers(&self) -> &[f32] {
        self.memory.as_deref().map_or(&[], |memory| &bytemuck::cast_slice(memory)[..self.length])
    }

    /// Makes room for so many numbers in all.
    pub(super) fn reserve(&mut self, numbers: usize) -> io::Result<()> {
        if numbers <= self.capacity() {
            return Ok(());
        }
        let mut memory = MmapMut::map_anon(numbers * size_of::<f32>())?;
        #[cfg(target_os = "linux")]
        if let Err(error) = memory.advise(memmap2::Advice::HugePage) {
            tracing::debug!(%error, "vectors are kept in small pages");
        }
        bytemuck::cast_slice_mut(&mut memory)[..self.length].copy_from_slice(self.numbers());
        self.memory = Some(memory);
        Ok(())
    }

    /// Adds a row, from its numbers as they are stored.
    pub(super) fn push(&mut self, row: &[[u8; 4]]) -> io::Result<()> {
        let length = self.length + row.len();
        if length > self.capacity() {
            self.reserve(length + length / 4)?;
        }
        if let Some(memory) = &mut self.memory {
            let numbers: &mut [f32] = &mut bytemuck::cast_slice_mut(memory)[self.length..length];
            for (number, bytes) in numbers.iter_mut().zip(row) {
                *number = f32::from_le_bytes(*bytes);
            }
        }
        self.length = length;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes() / size_of::<f32>()
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_as_they_are_while_it_grows() {
        let mut matrix = Matrix::default();
        assert!(matrix.numbers().is_empty());
        let all: Vec<f32> = (0..3_000).map(|number| number as f32 / 7.0).collect();
        for row in all.chunks(3) {
            let row: Vec<[u8; 4]> = row.iter().map(|number| number.to_le_bytes()).collect();
            matrix.push(&row).unwrap();
        }
        matrix.push(&[]).unwrap();
        assert_eq!(matrix.numbers(), all);
        matrix.reserve(10).unwrap();
        assert_eq!(matrix.numbers(), all);
        assert!(matrix.bytes() >= 12_000);
    }
}
