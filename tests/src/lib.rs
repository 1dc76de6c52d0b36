//! Tests and benchmarks of the whole: see `tests/` and `benches/`.
