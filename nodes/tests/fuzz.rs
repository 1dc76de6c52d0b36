//! The fuzz targets of the check, and of runs of what checks clean. `LITEAGENT_FUZZ_SECONDS` sets how long each runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fuzz {
    mod checker;
    mod runs;
}
