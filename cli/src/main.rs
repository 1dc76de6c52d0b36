//! The binary `liteagent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    liteagent::run(std::env::args_os())
}
