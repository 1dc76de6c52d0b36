//! What a server needs: ports, its secrets, a clock that is right.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use clap::{CommandFactory as _, FromArgMatches as _};
use liteagent_engine::time::{Clock as _, SystemClock};

use super::{
    super::serve::Serve,
    Finding::{self, Bad, Good, Odd},
};
use crate::{Args, platform::block_on, project::Project, queue::Between};

/// By how much the clock of a file system may differ.
const MOST_APART: Duration = Duration::from_secs(2);
/// 2026-01-01: no machine has an earlier time whose clock is set.
const LEAST: i64 = 1_767_225_600_000;

/// Asks the queue between processes, where there is one.
pub(super) fn queue(_: &Project) -> Finding {
    match block_on(async { Between::connect().await }) {
        Ok(Some(_)) => Good("Redis, shared by servers and workers".to_owned()),
        Ok(None) => Good("none: everything is done in one process".to_owned()),
        Err(failure) => {
            let mend = || "start Redis, mend `QUEUE_REDIS_URL` or `REDIS_URL`, or unset it".to_owned();
            Bad(failure.message, failure.hint.unwrap_or_else(mend))
        }
    }
}

/// Whether others may change what is in a folder.
pub(super) fn is_open_to_others(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o022 != 0)
}

/// Whether a server could be started with the settings of the environment.
pub(super) fn server(here: &Project) -> Finding {
    let serve = match as_served() {
        Ok(serve) => serve,
        Err(error) => {
            let text = error.to_string();
            let said = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Bad(
                said,
                "mend the variable of this flag, or unset it: `liteagent serve --help` names it".to_owned(),
            );
        }
    };
    if let Err(failure) = serve.prepared(here) {
        return Bad(failure.message, failure.hint.unwrap_or_else(|| "see `liteagent serve --help`".to_owned()));
    }
    let mut taken = Vec::new();
    for (address, variable) in serve.addresses() {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken.push((address, variable)),
            Err(error) => {
                return Bad(format!("cannot listen on {address}: {error}"), format!("set `{variable}` to another one"));
            }
        }
    }
    match *taken {
        [] => Good(format!("can be started on {}", listed(&serve))),
        [(address, variable), ..] => Odd(
            format!("{address} is taken: a server may be running already"),
            format!(
                "if it is none of LiteAgent (`ss -ltnp` shows it), choose another: `{variable}={}`",
                u32::from(address.port()) + 1
            ),
        ),
    }
}

fn listed(serve: &Serve) -> String {
    serve.addresses().map(|(address, _): (SocketAddr, _)| address.to_string()).join(", metrics on ")
}

/// The command `serve` without flags: what the environment makes of it.
fn as_served() -> Result<Serve, clap::Error> {
    let matches = Args::command().try_get_matches_from(["liteagent", "serve"])?;
    let serve = matches.subcommand_matches("serve");
    serve.map_or_else(|| Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand)), Serve::from_arg_matches)
}

/// Whether the clock is right, as far as this machine can tell.
pub(super) fn clock(here: &Project) -> Finding {
    let now = SystemClock.now();
    let set = || "set it, and let it be set: `timedatectl set-ntp true`".to_owned();
    if now < LEAST {
        return Bad(format!("it is {} for this machine", liteagent_engine::time::iso(now)), set());
    }
    match apart(&here.data(), now) {
        Some(apart) if apart > MOST_APART => Odd(
            format!("the file system of the data folder is {:.1} s apart", apart.as_secs_f64()),
            "let the clocks of both machines be set by the same servers".to_owned(),
        ),
        _ => Good(liteagent_engine::time::iso(now)),
    }
}

/// How far the clock of the file system is from ours; `None` when it cannot be told.
fn apart(folder: &Path, now: i64) -> Option<Duration> {
    let probe = tempfile::Builder::new().prefix(".clock-").tempfile_in(folder).ok()?;
    let stamped = probe.as_file().metadata().ok()?.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(stamped.abs_diff(Duration::from_millis(u64::try_from(now).ok()?)))
}
