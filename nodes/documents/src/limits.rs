//! What reading one file may take.

use std::time::Duration;

use liteagent_engine::units;
use serde::{Deserialize, Serialize};

/// What reading one file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file; 100 MiB.
    pub file: u64,
    /// Bytes of the text that is made of it; 20 MiB.
    pub text: u64,
    /// Bytes of memory, beside what the program itself takes; 1 GiB.
    pub memory: u64,
    /// Time on the clock; 60 s.
    pub time: Duration,
    /// Pages, slides, sheets or chapters; 10,000.
    pub pages: u32,
    /// Bytes of everything that is unpacked from a file that is an archive; 512 MiB.
    pub unpacked: u64,
    /// Entries of a file that is an archive; 10,000.
    pub entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: 100 << 20,
            text: 20 << 20,
            memory: 1 << 30,
            time: Duration::from_mins(1),
            pages: 10_000,
            unpacked: 512 << 20,
            entries: 10_000,
        }
    }
}

/// A number of bytes as people read it.
pub(crate) fn size(bytes: u64) -> units::Size {
    units::Size(bytes)
}
