//! The binary `liteagent`.

use std::process::ExitCode;

/// Runs make and drop many small values on several threads: with the allocator of glibc a node of a large workflow
/// took twice the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    liteagent::run(std::env::args_os())
}
