//! How much room the disk has.

use std::path::Path;

use liteagent_engine::store::StoreError;

/// What must stay free on the disk, so that runs that go on can still record what they do.
#[derive(Clone, Copy, Debug)]
pub struct Reserve {
    /// Below so many free bytes no run is created.
    pub bytes: u64,
    /// Below so many percent of free space no run is created.
    pub percent: u8,
}

impl Default for Reserve {
    /// 64 MiB, and 10 %.
    fn default() -> Self {
        Self { bytes: 64 << 20, percent: 10 }
    }
}

impl Reserve {
    /// No reserve.
    pub const NONE: Self = Self { bytes: 0, percent: 0 };

    /// # Errors
    /// [`StoreError::Full`] when the disk of this folder has too little room.
    pub fn check(&self, folder: &Path) -> Result<(), StoreError> {
        let found = rustix::fs::statvfs(folder)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", folder.display())))?;
        self.check_room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
    }

    fn check_room(&self, free: u64, total: u64) -> Result<(), StoreError> {
        let needed = self.bytes.max(total / 100 * u64::from(self.percent));
        if free >= needed {
            return Ok(());
        }
        let mebibytes = |bytes: u64| bytes >> 20;
        Err(StoreError::Full(format!(
            "no new run is started: the disk has {} MiB free, expected at least {} MiB",
            mebibytes(free),
            mebibytes(needed)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_refused() {
        let gib = 1 << 30;
        let reserve = Reserve::default();
        assert!(reserve.check_room(10 * gib, 100 * gib).is_ok());
        assert!(matches!(reserve.check_room(9 * gib, 100 * gib), Err(StoreError::Full(_))));
        assert!(matches!(reserve.check_room(63 << 20, 100 << 20), Err(StoreError::Full(_))));
        assert!(Reserve::NONE.check_room(0, 100 * gib).is_ok());
    }
}
