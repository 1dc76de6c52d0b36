//! What the Python guest calls of WASI 0.2, in the canonical ABI.
//!
//! There is no environment, argument, directory or terminal; a socket or a look-up is refused with an error that Python
//! raises. Handles: 1 and 2 are the streams to print on, from [`FIRST_POLLABLE`] on they are moments to wait for.

use std::time::{Duration, Instant};

use wasmtime::{Caller, Linker, Result};

use super::{Host, MOST_POLLABLES, MOST_RANDOM, Stop, memory, random, range, refuse, sleep, store, wall_clock};

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
const NETWORK: u32 = 3;
const FIRST_POLLABLE: u32 = 16;

/// What a stream says that it can take at once.
const WRITABLE: u64 = 65_536;
/// `error-code.access-denied` of sockets.
const ACCESS_DENIED: u8 = 1;
/// The error number of `stream-error.closed`.
const CLOSED: u8 = 1;

const RANDOM: &str = "wasi:random/random get-random-bytes:realloc";
const POLL: &str = "wasi:io/poll poll:realloc";

/// Defines a function; `false` when it is not one of these.
pub(super) fn define(linker: &mut Linker<Host>, module: &str, interface: &str, name: &str) -> Result<bool> {
    match interface {
        "canonical" => linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, handle: u32| {
            caller.data_mut().release(handle);
        })?,
        "wasi:cli/environment" | "wasi:filesystem/preopens" => {
            linker
                .func_wrap(module, name, |mut caller: Caller<'_, Host>, result: u32| empty_list(&mut caller, result))?
        }
        "wasi:cli/exit" => linker.func_wrap(module, name, |failed: u32| -> Result<()> {
            Err(Stop::Exited(i32::from(failed != 0)).into())
        })?,
        "wasi:cli/stdin" => linker.func_wrap(module, name, || STDIN)?,
        "wasi:cli/stdout" => linker.func_wrap(module, name, || STDOUT)?,
        "wasi:cli/stderr" => linker.func_wrap(module, name, || STDERR)?,
        "wasi:sockets/instance-network" => linker.func_wrap(module, name, || NETWORK)?,
        "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => {
            linker
                .func_wrap(module, name, |mut caller: Caller<'_, Host>, result: u32| store(&mut caller, result, [0]))?
        }
        "wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket" => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32, result: u32| {
                failure(&mut caller, result, ACCESS_DENIED)
            })?
        }
        _ => return clocks(linker, module, interface, name),
    };
    Ok(true)
}

fn clocks(linker: &mut Linker<Host>, module: &str, interface: &str, name: &str) -> Result<bool> {
    match (interface, name) {
        ("wasi:clocks/monotonic-clock", "now") => {
            linker.func_wrap(module, name, |caller: Caller<'_, Host>| caller.data().monotonic())?
        }
        ("wasi:clocks/monotonic-clock", "resolution") => linker.func_wrap(module, name, || super::CLOCK_STEP)?,
        ("wasi:clocks/monotonic-clock", "subscribe-duration") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, nanoseconds: u64| {
                caller.data_mut().subscribe(Duration::from_nanos(nanoseconds))
            })?
        }
        ("wasi:clocks/monotonic-clock", "subscribe-instant") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, instant: u64| {
                let wait = instant.saturating_sub(caller.data().monotonic());
                caller.data_mut().subscribe(Duration::from_nanos(wait))
            })?
        }
        ("wasi:clocks/wall-clock", "now" | "resolution") => {
            let resolution = name == "resolution";
            linker.func_wrap(module, name, move |mut caller: Caller<'_, Host>, result: u32| {
                let time = if resolution { super::CLOCK_STEP } else { wall_clock() };
                let (seconds, rest) = (time / 1_000_000_000, (time % 1_000_000_000) as u32);
                store(&mut caller, result, seconds.to_le_bytes())?;
                store(&mut caller, result.wrapping_add(8), rest.to_le_bytes())
            })?
        }
        ("wasi:io/poll", "[method]pollable.block") => {
            linker.func_wrap_async(module, name, |caller: Caller<'_, Host>, (handle,): (u32,)| {
                Box::new(async move {
                    let wait = caller.data().wait(handle)?;
                    sleep(wait).await;
                    Ok(())
                })
            })?
        }
        ("wasi:io/poll", "poll") => linker.func_wrap_async(module, name, |caller, (list, length, result)| {
            Box::new(poll(caller, list, length, result))
        })?,
        ("wasi:random/random", "get-random-bytes") => {
            linker.func_wrap_async(module, name, |caller, (length, result)| {
                Box::new(random_bytes(caller, length, result))
            })?
        }
        _ => return streams(linker, module, interface, name),
    };
    Ok(true)
}

fn streams(linker: &mut Linker<Host>, module: &str, interface: &str, name: &str) -> Result<bool> {
    match (interface, name) {
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32, result: u32| {
                store(&mut caller, result, [0])?;
                store(&mut caller, result.wrapping_add(8), WRITABLE.to_le_bytes())
            })?
        }
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => linker
            .func_wrap(
                module,
                name,
                |mut caller: Caller<'_, Host>, stream: u32, address: u32, length: u32, result: u32| {
                    let (memory, host) = memory(&mut caller)?;
                    host.print(stream, range(memory, address, length.into())?)?;
                    store(&mut caller, result, [0])
                },
            )?,
        ("wasi:io/streams", "[method]output-stream.blocking-flush") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32, result: u32| {
                store(&mut caller, result, [0])
            })?
        }
        ("wasi:io/streams", "[method]output-stream.subscribe" | "[method]input-stream.subscribe") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32| {
                caller.data_mut().subscribe(Duration::ZERO)
            })?
        }
        // Nothing can be read.
        ("wasi:io/streams", "[method]input-stream.read") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32, _: u64, result: u32| {
                failure(&mut caller, result, CLOSED)
            })?
        }
        ("wasi:sockets/ip-name-lookup", "resolve-addresses") => {
            linker.func_wrap(module, name, |mut caller: Caller<'_, Host>, _: u32, _: u32, _: u32, result: u32| {
                failure(&mut caller, result, ACCESS_DENIED)
            })?
        }
        _ => return Ok(false),
    };
    Ok(true)
}

impl Host {
    /// A handle for the moment after `wait`.
    #[expect(clippy::disallowed_methods, reason = "a guest's sleep is real time within its call")]
    fn subscribe(&mut self, wait: Duration) -> Result<u32> {
        let now = Instant::now();
        let moment = now.checked_add(wait).unwrap_or_else(|| now + Duration::from_hours(24));
        let free = self.pollables.iter().position(Option::is_none).unwrap_or(self.pollables.len());
        if free == MOST_POLLABLES {
            return refuse("so many things to wait for");
        }
        if free == self.pollables.len() {
            self.pollables.push(None);
        }
        self.pollables[free] = Some(moment);
        Ok(FIRST_POLLABLE + free as u32)
    }

    fn release(&mut self, handle: u32) {
        if let Some(pollable) = handle.checked_sub(FIRST_POLLABLE).and_then(|at| self.pollables.get_mut(at as usize)) {
            *pollable = None;
        }
    }

    /// How long it is until the moment of a handle.
    #[expect(clippy::disallowed_methods, reason = "a guest's sleep is real time within its call")]
    fn wait(&self, handle: u32) -> Result<Duration> {
        let at = handle.checked_sub(FIRST_POLLABLE).and_then(|at| self.pollables.get(at as usize));
        match at {
            Some(Some(moment)) => Ok(moment.saturating_duration_since(Instant::now())),
            _ => refuse("a handle that is not open"),
        }
    }
}

/// Waits until one of the handles is ready, and writes the positions of those that are.
async fn poll(mut caller: Caller<'_, Host>, list: u32, length: u32, result: u32) -> Result<()> {
    if length as usize > MOST_POLLABLES {
        return refuse("so many things to wait for");
    }
    let (memory, host) = memory(&mut caller)?;
    let handles = range(memory, list, u64::from(length) * 4)?;
    let handles = handles.chunks_exact(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let waits = handles.map(|handle| host.wait(handle)).collect::<Result<Vec<_>>>()?;
    let Some(first) = waits.iter().min().copied() else { return refuse("waiting for nothing") };
    if !first.is_zero() {
        sleep(first).await;
    }
    let ready = (0_u32..).zip(waits).filter(|(_, wait)| *wait <= first).map(|(at, _)| at);
    let bytes: Vec<u8> = ready.flat_map(u32::to_le_bytes).collect();
    let count = bytes.len() as u32 / 4;
    give(&mut caller, POLL, 4, &bytes, count, result).await
}

async fn random_bytes(mut caller: Caller<'_, Host>, length: u64, result: u32) -> Result<()> {
    if length > MOST_RANDOM {
        return refuse("so many random bytes at once");
    }
    let mut bytes = vec![0; length as usize];
    random(&mut bytes);
    give(&mut caller, RANDOM, 1, &bytes, length as u32, result).await
}

/// Gives a list to the guest: in memory that the guest allocates.
async fn give(
    caller: &mut Caller<'_, Host>,
    realloc: &str,
    align: u32,
    bytes: &[u8],
    count: u32,
    result: u32,
) -> Result<()> {
    let Some(realloc) = caller.get_export(realloc).and_then(wasmtime::Extern::into_func) else {
        return refuse(realloc);
    };
    let realloc = realloc.typed::<(u32, u32, u32, u32), u32>(&*caller)?;
    let address = realloc.call_async(&mut *caller, (0, 0, align, bytes.len() as u32)).await?;
    let (memory, _) = memory(caller)?;
    range(memory, address, bytes.len() as u64)?.copy_from_slice(bytes);
    store(caller, result, address.to_le_bytes())?;
    store(caller, result.wrapping_add(4), count.to_le_bytes())
}

fn empty_list(caller: &mut Caller<'_, Host>, result: u32) -> Result<()> {
    store(caller, result, 8_u32.to_le_bytes())?; // an address that is not null, and no item
    store(caller, result.wrapping_add(4), 0_u32.to_le_bytes())
}

/// A `result` whose error is at its fourth byte.
fn failure(caller: &mut Caller<'_, Host>, result: u32, error: u8) -> Result<()> {
    store(caller, result, [1])?;
    store(caller, result.wrapping_add(4), [error])
}
