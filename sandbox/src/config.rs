//! How many calls at once, and what each may use.

use std::{path::PathBuf, time::Duration};

use liteagent_sandbox_protocol::{Fault, Kind, Limit, Limits};
use serde::{Deserialize, Serialize};

use crate::text::{size, time};

const MIB: u64 = 1024 * 1024;

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Elapsed time.
    pub wall: Duration,
    /// Computing time.
    pub cpu: Duration,
    /// Memory in bytes, the interpreter included.
    pub memory: u64,
    /// Bytes of the JSON of the outputs.
    pub output: u64,
    /// Bytes printed, both streams together.
    pub log: u64,
    /// Bytes of the code and of the JSON of the inputs.
    pub input: u64,
}

/// The configuration of a sandbox. Child processes are told theirs as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// What a call may use that asks for nothing else.
    pub default: Bounds,
    /// The most that a call may ask for.
    pub maximum: Bounds,
    /// Calls that run at once, of each language.
    pub concurrency: u32,
    /// Calls that wait; one more is refused.
    pub queue: usize,
    /// The sum of the memory limits of the calls that run at once, in bytes.
    pub memory_in_flight: u64,
    /// Threads that compute.
    pub threads: usize,
    /// The folder of the guests that are not part of this program.
    pub guests: PathBuf,
    /// The file of the Python guest in that folder: `python.wasm`, or the one with the packages of a project.
    pub python: String,
    /// The folder of compiled guests. Only its owner may write there: what stands in it is executed.
    pub compiled: PathBuf,
    /// Told in a line when something takes long: the first start on a machine compiles the guests. Told nobody where the
    /// configuration came from another process.
    #[serde(skip, default = "nobody")]
    pub progress: fn(&str),
}

impl Config {
    /// The usual limits, with the guests in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            default: Bounds {
                wall: Duration::from_secs(30),
                cpu: Duration::from_secs(10),
                memory: 128 * MIB,
                output: 8 * MIB,
                log: MIB,
                input: 8 * MIB,
            },
            maximum: Bounds {
                wall: Duration::from_mins(10),
                cpu: Duration::from_mins(5),
                memory: 1024 * MIB,
                output: 64 * MIB,
                log: 16 * MIB,
                input: 64 * MIB,
            },
            concurrency: 64,
            queue: 256,
            memory_in_flight: 8192 * MIB,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            compiled: folder.join("compiled"),
            guests: folder,
            progress: nobody(),
            python: "python.wasm".to_owned(),
        }
    }

    /// The usual limits, with the guests where `liteagent sandbox build` puts them: the folder `guests` in
    /// `$LITEAGENT_CACHE`, by default `~/.cache/liteagent`. `setting` reads the environment.
    pub fn of_cache(setting: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name| setting(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("LITEAGENT_CACHE").unwrap_or_else(|| {
            let caches = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
            caches.unwrap_or_else(|| PathBuf::from("/tmp")).join("liteagent")
        });
        Self::new(cache.join("guests"))
    }

    /// One of `count` equal parts of this sandbox, or of as many as can each run the largest call, and their number.
    pub fn divided(&self, count: usize) -> (Self, usize) {
        let most = self.memory_in_flight / self.maximum.memory.max(1);
        let count = count.clamp(1, usize::try_from(most.max(1)).unwrap_or(usize::MAX));
        let part = Self {
            concurrency: self.concurrency.div_ceil(count as u32),
            queue: self.queue.div_ceil(count),
            memory_in_flight: self.memory_in_flight / count as u64,
            threads: self.threads.div_ceil(count),
            ..self.clone()
        };
        (part, count)
    }

    /// The bounds of a call: what it asks for, else the default.
    pub(crate) fn bounds(&self, asked: &Limits) -> Result<Bounds, Fault> {
        let milliseconds = Duration::from_millis;
        let bounds = Bounds {
            wall: asked.wall_ms.map_or(self.default.wall, milliseconds),
            cpu: asked.cpu_ms.map_or(self.default.cpu, milliseconds),
            memory: asked.memory.unwrap_or(self.default.memory),
            output: asked.output.unwrap_or(self.default.output),
            log: asked.log.unwrap_or(self.default.log),
            input: self.maximum.input,
        };
        let sizes = [
            (Limit::Memory, bounds.memory, self.maximum.memory.min(self.memory_in_flight)),
            (Limit::Output, bounds.output, self.maximum.output),
            (Limit::Log, bounds.log, self.maximum.log),
        ];
        for (limit, value, most) in sizes {
            if value > most {
                return Err(above(limit, &size(value), &size(most)));
            }
        }
        let times = [(Limit::Wall, bounds.wall, self.maximum.wall), (Limit::Cpu, bounds.cpu, self.maximum.cpu)];
        for (limit, value, most) in times {
            if value > most {
                return Err(above(limit, &time(value), &time(most)));
            }
        }
        Ok(bounds)
    }
}

fn nobody() -> fn(&str) {
    |_| {}
}

fn above(limit: Limit, asked: &str, most: &str) -> Fault {
    Fault {
        limit: Some(limit),
        ..Fault::new(Kind::Request, format!("the limit `{limit}` is {asked}; this sandbox allows at most {most}"))
            .hint("ask for less, or raise the maximum in the configuration of the sandbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_lie_in_the_cache() {
        let guests = |settings: &[(&str, &str)]| {
            let find = |name: &str| settings.iter().find(|(known, _)| *known == name);
            Config::of_cache(|name| find(name).map(|(_, value)| (*value).to_owned())).guests
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(guests(&[home]), PathBuf::from("/home/ada/.cache/liteagent/guests"));
        assert_eq!(guests(&[home, ("LITEAGENT_CACHE", "")]), guests(&[home]));
        assert_eq!(guests(&[home, ("XDG_CACHE_HOME", "/cache")]), PathBuf::from("/cache/liteagent/guests"));
        assert_eq!(guests(&[home, ("LITEAGENT_CACHE", "/mine")]), PathBuf::from("/mine/guests"));
    }

    #[test]
    fn a_part_can_run_the_largest_call() {
        let config = Config { threads: 6, ..Config::new("guests") };
        let (part, count) = config.divided(3);
        assert_eq!((count, part.concurrency, part.queue, part.threads), (3, 22, 86, 2));
        let (part, count) = config.divided(100);
        assert_eq!((count, part.memory_in_flight), (8, config.maximum.memory));
        assert_eq!(config.divided(0).1, 1);
    }

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        let config = Config::new("guests");
        let read: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!((read.maximum, read.guests, read.threads), (config.maximum, config.guests, config.threads));
    }

    #[test]
    fn a_limit_above_the_maximum_is_refused_by_name() {
        let config = Config::new("guests");
        let asked = Limits { wall_ms: Some(3_600_000), ..Limits::default() };
        let fault = config.bounds(&asked).unwrap_err();
        assert_eq!((fault.kind, fault.limit), (Kind::Request, Some(Limit::Wall)));
        assert_eq!(fault.message, "the limit `wall` is 1h; this sandbox allows at most 10m");
        let asked = Limits { memory: Some(1), log: Some(0), ..Limits::default() };
        let bounds = config.bounds(&asked).unwrap();
        assert_eq!((bounds.memory, bounds.log, bounds.output), (1, 0, config.default.output));
    }
}
