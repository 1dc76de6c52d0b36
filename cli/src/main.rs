//! The binary `liteagent`.

use std::process::ExitCode;

/// Runs make and drop many small values on several threads: with the allocator of glibc a node of a large workflow
/// took twice the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // With huge pages a server that does nothing holds 8 MiB more and a local model 60 MiB, and neither is faster for it. A
    // kernel that does not know them needs no telling.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    liteagent::run(std::env::args_os())
}
