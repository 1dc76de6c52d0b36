//! How much room the disk has.

use std::{fmt, path::Path};

use liteagent_engine::{store::StoreError, units::Size};

/// What must stay free on the disk, so that runs that go on can still record what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Below so many free bytes no run is created.
    pub bytes: u64,
    /// Below so many percent of free space no run is created.
    pub percent: u8,
}

/// The disk of a folder, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// What this user may still write.
    pub free: u64,
    /// The whole disk.
    pub total: u64,
}

/// What running nodes need to record what they do, whatever share of the disk is asked for.
const LEAST: u64 = 64 << 20;

impl Default for Reserve {
    /// 10 %, and 64 MiB.
    fn default() -> Self {
        Self { bytes: LEAST, percent: 10 }
    }
}

impl Reserve {
    /// No reserve.
    pub const NONE: Self = Self { bytes: 0, percent: 0 };

    /// Reads a share of the disk (`10%`; never less than 64 MiB) or a size (`20GiB`; `0B` for no reserve).
    ///
    /// # Errors
    /// Says what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a share of the disk such as `10%`, or a size such as `20GiB`, found `{text}`");
        match text.strip_suffix('%') {
            Some(percent) => match percent.trim().parse() {
                Ok(percent) if percent <= 100 => Ok(Self { bytes: LEAST, percent }),
                _ => Err(wrong()),
            },
            None => Size::parse(text).map(|size| Self { bytes: size.0, percent: 0 }).map_err(|_| wrong()),
        }
    }

    /// So much must be free for a new run.
    pub fn needed(&self, room: Room) -> u64 {
        self.bytes.max(room.total / 100 * u64::from(self.percent))
    }

    /// # Errors
    /// [`StoreError::Full`] when the disk of this folder has too little room.
    pub fn check(&self, folder: &Path) -> Result<(), StoreError> {
        if *self == Self::NONE {
            return Ok(());
        }
        self.check_room(Room::of(folder)?)
    }

    fn check_room(&self, room: Room) -> Result<(), StoreError> {
        let needed = self.needed(room);
        if room.free >= needed {
            return Ok(());
        }
        Err(StoreError::Full(format!(
            "no new run is started: the disk has {} MiB free, expected at least {} MiB",
            room.free >> 20,
            needed.div_ceil(1 << 20)
        )))
    }
}

impl fmt::Display for Reserve {
    /// In the form that is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.percent == 0 { Size(self.bytes).fmt(f) } else { write!(f, "{}%", self.percent) }
    }
}

impl Room {
    /// The room on the disk of a folder.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the system does not tell.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        let found = rustix::fs::statvfs(folder)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", folder.display())))?;
        Ok(Self { free: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(free: u64, total: u64) -> Room {
        Room { free, total }
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_refused() {
        let reserve = Reserve::default();
        assert!(reserve.check_room(room(10 * GIB, 100 * GIB)).is_ok());
        assert!(matches!(reserve.check_room(room(9 * GIB, 100 * GIB)), Err(StoreError::Full(_))));
        assert!(matches!(reserve.check_room(room(63 << 20, 100 << 20)), Err(StoreError::Full(_))));
        assert!(Reserve::NONE.check_room(room(0, 100 * GIB)).is_ok());
    }

    #[test]
    fn what_must_stay_free_is_a_share_or_a_size() {
        let large = room(90 * GIB, 1000 * GIB);
        assert!(Reserve::parse("10%").unwrap().check_room(large).is_err());
        assert!(Reserve::parse("5%").unwrap().check_room(large).is_ok());
        assert!(Reserve::parse("20GiB").unwrap().check_room(large).is_ok());
        assert!(Reserve::parse("0%").unwrap().check_room(room(63 << 20, GIB)).is_err(), "64 MiB in any case");
        assert_eq!(Reserve::parse("0B"), Ok(Reserve::NONE));
        for text in ["10%", "20GiB"] {
            assert_eq!(Reserve::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "10", "101%", "-1%", "%", "x%", "20 GB", "1e3GiB"] {
            assert!(Reserve::parse(text).is_err(), "{text}");
        }
    }
}
