//! The pure core: the truth table of gating, named cases, and invariants on random plans and orders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod core {
    mod cases;
    mod gating;
    mod invariants;
    mod sim;
    mod step;
}
