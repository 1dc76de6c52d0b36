//! `models`: the weights of the local models, in the cache.

use std::process::ExitCode;

/// Fetches what is missing, as `liteagent models pull` does.
pub(crate) fn pull() -> Result<String, String> {
    let ended = liteagent::run(["liteagent", "models", "pull"].map(Into::into));
    if ended == ExitCode::SUCCESS { Ok("models: ready".to_owned()) } else { Err("models: not ready".to_owned()) }
}
