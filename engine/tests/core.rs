//! The pure core: the truth table of gating, named cases, and invariants on random plans and orders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod core {
    pub mod cases;
    pub mod gating;
    pub mod invariants;
    pub mod sim;
    pub mod step;
}
