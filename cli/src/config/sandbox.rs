//! `[sandbox]` of `liteagent.toml`.

use liteagent_engine::{
    codes,
    units::{Duration, Size},
};
use liteagent_sandbox as sandbox;
use serde::Deserialize;

use super::FILE;
use crate::failure::Failure;

/// `[sandbox]`: what code may use, and how much of it runs at once.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SandboxConfig {
    /// Packages for Python beside those that are built in: `NAME==VERSION`, as on PyPI.
    pub(crate) packages: Vec<String>,
    /// Calls of a language that run at once; 64.
    pub(crate) concurrency: Option<u32>,
    /// Calls that wait; 256.
    pub(crate) queue: Option<usize>,
    /// Threads that compute; as many as the machine has cores.
    pub(crate) threads: Option<usize>,
    /// Child processes, where code runs in such; one for each thread.
    pub(crate) processes: Option<usize>,
    /// The sum of the memory limits of the calls that run at once; 8GiB.
    memory: Option<Size>,
    /// What a call may use that asks for nothing else.
    default: LimitsConfig,
    /// The most that a call may ask for.
    maximum: LimitsConfig,
}

/// Limits of a call.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsConfig {
    wall: Option<Duration>,
    cpu: Option<Duration>,
    memory: Option<Size>,
    output: Option<Size>,
    log: Option<Size>,
    /// Of the maximum alone: nobody asks for it.
    input: Option<Size>,
}

impl SandboxConfig {
    /// The configuration of a sandbox: what is not said here is as usual.
    pub(crate) fn over(&self, usual: sandbox::Config) -> Result<sandbox::Config, Failure> {
        let config = sandbox::Config {
            concurrency: self.concurrency.unwrap_or(usual.concurrency),
            queue: self.queue.unwrap_or(usual.queue),
            threads: self.threads.unwrap_or(usual.threads),
            memory_in_flight: self.memory.map_or(usual.memory_in_flight, |size| size.0),
            default: self.default.over(usual.default),
            maximum: self.maximum.over(usual.maximum),
            ..usual
        };
        let wrong = |what: &str| {
            Err(Failure::usage(codes::CONFIG, format!("`[sandbox]` of `{FILE}`: {what}"))
                .hint("run `liteagent explain LA3004` to see every key"))
        };
        if self.default.input.is_some() {
            return wrong("`default` has no key `input`: only `maximum` has it");
        }
        let counts = [
            ("concurrency", u64::from(config.concurrency)),
            ("threads", config.threads as u64),
            ("processes", self.processes.unwrap_or(1) as u64),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return wrong(&format!("expected at least one as `{name}`, found 0"));
        }
        let (default, maximum) = (&config.default, &config.maximum);
        let limits = [
            ("wall", default.wall <= maximum.wall),
            ("cpu", default.cpu <= maximum.cpu),
            ("memory", default.memory <= maximum.memory),
            ("output", default.output <= maximum.output),
            ("log", default.log <= maximum.log),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, fits)| !fits) {
            return wrong(&format!("the default of `{name}` is larger than its maximum"));
        }
        if maximum.memory > config.memory_in_flight {
            return wrong("`memory` is smaller than what one call may ask for, `maximum.memory`");
        }
        Ok(config)
    }
}

impl LimitsConfig {
    fn over(&self, usual: sandbox::Bounds) -> sandbox::Bounds {
        let size = |limit: Option<Size>, usual| limit.map_or(usual, |size| size.0);
        sandbox::Bounds {
            wall: self.wall.map_or(usual.wall, |time| time.0),
            cpu: self.cpu.map_or(usual.cpu, |time| time.0),
            memory: size(self.memory, usual.memory),
            output: size(self.output, usual.output),
            log: size(self.log, usual.log),
            input: size(self.input, usual.input),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration as StdDuration;

    use super::*;

    fn read(text: &str) -> Result<sandbox::Config, String> {
        let config: SandboxConfig = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        config.over(sandbox::Config::new("guests")).map_err(|failure| failure.message)
    }

    #[test]
    fn limits_that_are_not_named_have_their_default() {
        let config = read("concurrency = 8\n[default]\nwall = \"5s\"\n[maximum]\nmemory = \"256MiB\"").unwrap();
        let usual = sandbox::Config::new("guests");
        assert_eq!((config.concurrency, config.queue), (8, usual.queue));
        assert_eq!((config.default.wall, config.default.cpu), (StdDuration::from_secs(5), usual.default.cpu));
        assert_eq!((config.maximum.memory, config.maximum.wall), (256 << 20, usual.maximum.wall));
    }

    #[test]
    fn limits_that_cannot_be_kept_are_refused_by_name() {
        let wrong = |text: &str| read(text).unwrap_err().replace("`[sandbox]` of `liteagent.toml`: ", "");
        assert_eq!(wrong("threads = 0"), "expected at least one as `threads`, found 0");
        assert_eq!(wrong("[maximum]\nwall = \"1s\""), "the default of `wall` is larger than its maximum");
        assert_eq!(
            wrong("memory = \"512MiB\""),
            "`memory` is smaller than what one call may ask for, `maximum.memory`"
        );
        assert_eq!(wrong("[default]\ninput = \"1MiB\""), "`default` has no key `input`: only `maximum` has it");
        assert!(wrong("[default]\nwall = 3").contains("duration"), "{}", wrong("[default]\nwall = 3"));
    }
}
