//! Files of weights, mapped into memory.

use std::{fs::File, io, path::Path};

use memmap2::Mmap;

/// Maps a file. Its pages are shared with other processes, and read when they are used.
pub(crate) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: nobody writes to the file: `pull` puts whole files into the folder by renaming them, and never changes one.
    // A person who truncates it while it is used ends the process, as with a program that is running.
    #[expect(unsafe_code, reason = "mapping a file is unsafe where others may write to it")]
    unsafe {
        Mmap::map(&file)
    }
}
