//! Everything that an instance can call.
//!
//! A guest imports what its C library could want. Here is the little that it gets: the time in whole milliseconds, random
//! numbers, sleep, and two streams to print on. Whatever else it imports ends the call when it is called, with its name.

mod javascript;
mod wasi;

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use liteagent_sandbox_protocol::Limit;
use wasmtime::{Caller, Linker, Memory, Module, ResourceLimiter, Result};

/// The finest step of an instance's clocks: fine enough for dates, too coarse to time a neighbour.
const CLOCK_STEP: u64 = 1_000_000;
/// Random bytes in one call of the host.
const MOST_RANDOM: u64 = 65_536;
/// Elements of an instance's largest table.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Things that an instance can wait for at once.
const MOST_POLLABLES: usize = 256;

/// Why the host ended a call.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A limit was exceeded.
    Limit(Limit),
    /// The guest called something that it has not.
    Refused(String),
    /// The guest ended itself.
    Exited(i32),
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => write!(formatter, "the limit `{limit}` was exceeded"),
            Self::Refused(what) => write!(formatter, "`{what}` is not there"),
            Self::Exited(code) => write!(formatter, "the guest ended with {code}"),
        }
    }
}

impl std::error::Error for Stop {}

/// What belongs to one instance.
pub(crate) struct Host {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Bytes that may still be printed.
    log_left: usize,
    /// Bytes of memory that it may have, and the most that it had.
    memory_limit: usize,
    pub(crate) memory_used: usize,
    /// Whether it asked for more memory than that.
    pub(crate) memory_refused: bool,
    memory: Option<Memory>,
    started: Instant,
    /// The moments that the guest waits for, by handle.
    pollables: Vec<Option<Instant>>,
}

impl Host {
    #[expect(clippy::disallowed_methods, reason = "the guest's monotonic clock begins with its call")]
    pub(crate) fn new(memory_limit: usize, log_limit: usize) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            log_left: log_limit,
            memory_limit,
            memory_used: 0,
            memory_refused: false,
            memory: None,
            started: Instant::now(),
            pollables: Vec::new(),
        }
    }

    /// Says which memory the guest has. Before that, its host functions fail.
    pub(crate) fn attach(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    /// Nanoseconds since the call began, in coarse steps. It begins above zero: some programs take zero for "never".
    fn monotonic(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        (elapsed / CLOCK_STEP + 1) * CLOCK_STEP
    }

    /// Keeps what the guest prints on stream 1 or 2.
    fn print(&mut self, stream: u32, text: &[u8]) -> Result<()> {
        let to = match stream {
            1 => &mut self.stdout,
            2 => &mut self.stderr,
            _ => return refuse("a stream that is not open"),
        };
        let kept = text.len().min(self.log_left);
        to.extend_from_slice(&text[..kept]);
        self.log_left -= kept;
        if kept < text.len() { Err(Stop::Limit(Limit::Log).into()) } else { Ok(()) }
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.memory_limit;
        if allowed {
            self.memory_used = self.memory_used.max(desired);
        } else {
            self.memory_refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// A linker with everything that `module` imports.
pub(crate) fn linker(module: &Module) -> Result<Linker<Host>> {
    let mut linker = Linker::new(module.engine());
    for import in module.imports() {
        let Some(ty) = import.ty().func().cloned() else {
            return Err(wasmtime::Error::msg(format!("the guest imports `{}`, which is no function", import.name())));
        };
        let (from, name) = (import.module(), import.name());
        // Versions of WASI differ in nothing that is used here.
        let interface = from.split('@').next().unwrap_or(from);
        if !javascript::define(&mut linker, from, interface, name)?
            && !wasi::define(&mut linker, from, interface, name)?
        {
            let what = format!("{interface} {name}");
            linker.func_new(from, name, ty, move |_, _, _| refuse(&what))?;
        }
    }
    Ok(linker)
}

fn refuse<T>(what: &str) -> Result<T> {
    Err(Stop::Refused(what.to_owned()).into())
}

/// Nanoseconds since 1970, in coarse steps.
#[expect(clippy::disallowed_methods, reason = "the guest's calendar; it is no input of a run's decisions")]
fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) / CLOCK_STEP * CLOCK_STEP
}

async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

fn random(bytes: &mut [u8]) {
    rand::Rng::fill(&mut rand::rng(), bytes);
}

/// The memory of the guest, and its host.
fn memory<'c>(caller: &'c mut Caller<'_, Host>) -> Result<(&'c mut [u8], &'c mut Host)> {
    let Some(memory) = caller.data().memory else { return refuse("the host before the start") };
    Ok(memory.data_and_store_mut(caller))
}

/// A range of the guest's memory; one that does not exist ends the call.
fn range(memory: &mut [u8], address: u32, length: u64) -> Result<&mut [u8]> {
    let start = address as usize;
    let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
    match end.and_then(|end| memory.get_mut(start..end)) {
        Some(range) => Ok(range),
        None => refuse("memory that does not exist"),
    }
}

/// Writes a value of the canonical ABI.
fn store<const N: usize>(caller: &mut Caller<'_, Host>, address: u32, bytes: [u8; N]) -> Result<()> {
    let (memory, _) = memory(caller)?;
    range(memory, address, N as u64)?.copy_from_slice(&bytes);
    Ok(())
}
