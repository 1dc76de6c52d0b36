//! What the JavaScript guest calls: `host`, and the few functions that its C library needs of the first WASI.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};

use super::{Host, MOST_RANDOM, memory, random, range, refuse, sleep, store, wall_clock};

/// The error number of a file that is not open.
const BAD_FILE: i32 = 8;

/// Defines a function; `false` when it is not one of these.
pub(super) fn define(linker: &mut Linker<Host>, module: &str, interface: &str, name: &str) -> Result<bool> {
    match (interface, name) {
        ("host", "write") => {
            linker.func_wrap(
                module,
                name,
                |mut caller: Caller<'_, Host>, stream: u32, address: u32, length: u32| {
                    let (memory, host) = memory(&mut caller)?;
                    host.print(stream, range(memory, address, length.into())?)
                },
            )?;
        }
        ("host", "sleep") => {
            linker.func_wrap_async(module, name, |_: Caller<'_, Host>, (milliseconds,): (f64,)| {
                Box::new(sleep(Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(Duration::MAX / 4)))
            })?;
        }
        ("wasi_snapshot_preview1", "clock_time_get") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, id: u32, _: u64, address: u32| {
                let time = if id == 0 { wall_clock() } else { caller.data().monotonic() };
                store(&mut caller, address, time.to_le_bytes()).map(|()| 0)
            })?;
        }
        ("wasi_snapshot_preview1", "random_get") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, address: u32, length: u32| {
                if u64::from(length) > MOST_RANDOM {
                    return refuse("so many random bytes at once");
                }
                let (memory, _) = memory(&mut caller)?;
                random(range(memory, address, length.into())?);
                Ok(0)
            })?;
        }
        ("wasi_snapshot_preview1", "fd_close") => {
            linker.func_wrap(module, name, |_: u32| BAD_FILE)?;
        }
        ("wasi_snapshot_preview1", "fd_fdstat_get") => {
            linker.func_wrap(module, name, |_: u32, _: u32| BAD_FILE)?;
        }
        ("wasi_snapshot_preview1", "fd_seek") => {
            linker.func_wrap(module, name, |_: u32, _: u64, _: u32, _: u32| BAD_FILE)?;
        }
        ("wasi_snapshot_preview1", "fd_write") => {
            linker.func_wrap(module, name, |_: u32, _: u32, _: u32, _: u32| BAD_FILE)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
