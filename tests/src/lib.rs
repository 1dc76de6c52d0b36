//! What the tests and benchmarks of the whole share: see `tests/` and `benches/`.

pub mod bench;
pub mod books;
pub mod counting;
pub mod crash;
pub mod probe;
pub mod speaker;
