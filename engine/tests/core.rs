//! The pure core: the truth table of gating, named cases, and invariants on random plans and orders.

mod core {
    pub mod cases;
    pub mod gating;
    pub mod invariants;
    pub mod sim;
    pub mod step;
}
