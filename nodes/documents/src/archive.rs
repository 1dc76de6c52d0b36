//! ZIP archives, which most document formats are: what is unpacked is counted, whatever the archive says of itself.

use std::io::{Cursor, Read as _};

use zip::{ZipArchive, result::ZipError};

use crate::{
    limits::{Limits, size},
    trouble::Trouble,
};

/// An entry that unpacks to more than this may not be so much larger than it is packed.
const CHECKED_FROM: u64 = 4 << 20;
/// How much larger: office programs pack rows that are alike a hundred times smaller.
const MOST_RATIO: u64 = 400;
/// What is unpacked at once.
const PIECE: usize = 64 << 10;

/// An archive.
pub(crate) struct Archive<'b> {
    bytes: &'b [u8],
    zip: ZipArchive<Cursor<&'b [u8]>>,
    limits: Limits,
    /// What may still be unpacked.
    left: u64,
}

impl<'b> Archive<'b> {
    /// Opens an archive.
    ///
    /// # Errors
    /// LA2651 when it is none, LA2654 when it has more entries than are allowed.
    pub(crate) fn open(bytes: &'b [u8], limits: &Limits) -> Result<Self, Trouble> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        if zip.len() as u64 > u64::from(limits.entries) {
            let message = format!("holds {} entries, more than the {} that are allowed", zip.len(), limits.entries);
            return Err(Trouble::limit("entries", message));
        }
        Ok(Self { bytes, zip, limits: *limits, left: limits.unpacked })
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Whether the name of an entry begins so.
    pub(crate) fn has(&self, beginning: &str) -> bool {
        self.zip.file_names_raw().any(|name| name.starts_with(beginning.as_bytes()))
    }

    /// An entry, unpacked; `None` when there is none of that name.
    ///
    /// # Errors
    /// LA2651 when it is damaged, LA2652 when it is encrypted, LA2654 when it unpacks to more than is allowed.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(index) = self.zip.index_for_name_raw(name.as_bytes()) else { return Ok(None) };
        let mut unpacked = Vec::new();
        self.unpack(index, |piece| unpacked.extend_from_slice(piece))?;
        Ok(Some(unpacked))
    }

    /// The same for an entry that must be there.
    pub(crate) fn need(&mut self, name: &str) -> Result<Vec<u8>, Trouble> {
        let missing = || Trouble::broken(format_args!("it holds no `{}`", name.escape_debug()));
        self.read(name)?.ok_or_else(missing)
    }

    /// Unpacks everything once and keeps nothing, for readers that count nothing themselves.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub(crate) fn weigh(&mut self) -> Result<(), Trouble> {
        (0..self.zip.len()).try_for_each(|index| self.unpack(index, |_| ()))
    }

    fn unpack(&mut self, index: usize, mut take: impl FnMut(&[u8])) -> Result<(), Trouble> {
        let mut entry = self.zip.by_index(index).map_err(|error| broken(&error))?;
        let name = String::from_utf8_lossy(entry.name_raw()).escape_debug().to_string();
        let packed = entry.compressed_size();
        let (mut piece, mut total) = (vec![0; PIECE], 0_u64);
        loop {
            let read = entry.read(&mut piece).map_err(|error| Trouble::broken(format_args!("`{name}`: {error}")))?;
            if read == 0 {
                return Ok(());
            }
            total += read as u64;
            let Some(left) = self.left.checked_sub(read as u64) else {
                let message = format!("unpacks to more than the {} that are allowed", size(self.limits.unpacked));
                return Err(Trouble::limit("unpacked", message));
            };
            self.left = left;
            if total > CHECKED_FROM && total / MOST_RATIO > packed {
                let message = format!("unpacks `{name}` to more than {MOST_RATIO} times its size");
                return Err(Trouble::fixed_limit(message));
            }
            take(&piece[..read]);
        }
    }
}

fn broken(error: &ZipError) -> Trouble {
    match error {
        ZipError::UnsupportedArchive(why) if *why == ZipError::PASSWORD_REQUIRED => Trouble::encrypted(),
        error => Trouble::broken(format_args!("expected a ZIP archive: {error}")),
    }
}

/// A path inside an archive, as another entry of it writes it: relative to `folder`, or from the top with a `/`.
pub(crate) fn resolve(folder: &str, target: &str) -> String {
    let base = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The folder of an entry.
pub(crate) fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(resolve("ppt/slides", "../media/a.png"), "ppt/media/a.png");
        assert_eq!(resolve("ppt", "/word/document.xml"), "word/document.xml");
        assert_eq!(resolve("a", "../../../etc/passwd"), "etc/passwd");
        assert_eq!((folder("a/b/c.xml"), folder("c.xml")), ("a/b", ""));
    }
}
