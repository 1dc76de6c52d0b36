//! The memory of the snapshot.

use super::Result;

/// What stands before the list of addresses: `MARK` in `python/guest.py`.
const MARK: [u32; 4] = [0x8D5E_1B03, 0xC2A7_649F, 0x91F3_D8E5, 0xB64C_70A9];
/// The reference count of an immortal object of CPython 3.14 where pointers have 32 bits. A count of 2^30 or more is never
/// counted up or down.
const IMMORTAL: u32 = 5 << 28;
/// No object that is alive has as many references as this, or none.
const MOST_REFERENCES: u32 = 1 << 24;
/// Zeros that are worth a segment of their own.
const GAP: usize = 64;

/// Memory as it is when an instance begins.
#[derive(Default)]
pub(super) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Writes the content of a segment.
    pub(super) fn place(&mut self, start: u32, content: &[u8]) {
        let start = start as usize;
        let end = start + content.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(content);
    }

    /// Makes the objects immortal that the guest lists, where it lists any.
    ///
    /// Each call would count references to objects of the snapshot up and down, and by that write to pages all over the
    /// snapshot: each of them is then copied, and restored after the call.
    pub(super) fn make_immortal(&mut self) -> Result<()> {
        let mark: Vec<u8> = MARK.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found: Vec<usize> = (0..self.bytes.len().saturating_sub(mark.len()))
            .step_by(4)
            .filter(|at| self.bytes[*at..].starts_with(&mark))
            .collect();
        let start = match found[..] {
            [] => return Ok(()),
            [start] => start,
            _ => return Err("the guest lists its objects more than once".into()),
        };
        let count = self.word(start + mark.len())? as usize;
        let list = start + mark.len() + 4;
        for at in 0..count {
            let object = self.word(list + at * 4)? as usize;
            let references = self.word(object)?;
            if references >= 1 << 30 {
                continue; // immortal already
            }
            if references == 0 || references > MOST_REFERENCES {
                return Err(format!("what the guest lists at {object:#x} is no object: {references} references").into());
            }
            self.bytes[object..object + 4].copy_from_slice(&IMMORTAL.to_le_bytes());
        }
        self.bytes[start..list + count * 4].fill(0);
        Ok(())
    }

    fn word(&self, at: usize) -> Result<u32> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or("an address outside of the memory")?;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// The parts that are not zero, with where they begin.
    pub(super) fn segments(&self) -> Vec<(u32, &[u8])> {
        let mut segments = Vec::new();
        let mut at = 0;
        while let Some(start) = self.bytes[at..].iter().position(|byte| *byte != 0).map(|skip| at + skip) {
            let (mut end, mut zeros) = (start, 0);
            for (index, byte) in self.bytes.iter().enumerate().skip(start) {
                if *byte != 0 {
                    (end, zeros) = (index + 1, 0);
                } else {
                    zeros += 1;
                    if zeros == GAP {
                        break;
                    }
                }
            }
            segments.push((start as u32, &self.bytes[start..end]));
            at = end;
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(objects: &[u32]) -> Image {
        let mut image = Image::default();
        image.place(8, &3_u32.to_le_bytes()); // an object with three references
        image.place(16, &(7_u32 << 28).to_le_bytes()); // one that is immortal already
        let list: Vec<u8> =
            MARK.iter().chain(&[objects.len() as u32]).chain(objects).flat_map(|word| word.to_le_bytes()).collect();
        image.place(200, &list);
        image
    }

    #[test]
    fn listed_objects_become_immortal_and_the_list_goes() {
        let mut image = image(&[8, 16]);
        image.make_immortal().unwrap();
        let kept = [(8, &[0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0x70][3..])];
        assert_eq!(image.segments(), [(11, kept[0].1)]);
    }

    #[test]
    fn a_list_that_is_wrong_is_refused() {
        let refused = |objects: &[u32]| image(objects).make_immortal().unwrap_err().to_string();
        assert_eq!(refused(&[12]), "what the guest lists at 0xc is no object: 0 references");
        assert_eq!(refused(&[1 << 30]), "an address outside of the memory");
    }
}
