//! The order in which runs ended.

use crate::units::Millis;

/// A place in the order in which runs ended. Each end has a greater one than those before it, whatever clocks say, also after
/// others were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndPlace(pub i64);

impl EndPlace {
    /// So many ends in one millisecond have places of that millisecond.
    pub const PER_MS: i64 = 1 << 10;

    /// A place before every end at this time or later.
    pub const fn before(at: Millis) -> Self {
        Self(at.saturating_mul(Self::PER_MS) - 1)
    }

    /// The place of an end at this time that follows another one.
    pub(super) fn following(newest: Self, at: Millis) -> Self {
        Self(newest.0 + 1).max(Self(at.saturating_mul(Self::PER_MS)))
    }
}
