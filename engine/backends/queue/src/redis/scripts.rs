//! What is done in Redis in one step: scripts, called by their digest and sent when a server does not know them.

use liteagent_engine::queue::QueueError;
use redis::{Cmd, FromRedisValue, Script, ToRedisArgs, cmd};

use crate::redis::link::Link;

/// A script and its digest.
pub(super) struct Lua {
    code: String,
    digest: String,
}

/// Every script.
pub(super) struct Scripts {
    pub(super) push: Lua,
    pub(super) pop: Lua,
    pub(super) ack: Lua,
    pub(super) extend: Lua,
    pub(super) claim: Lua,
    pub(super) release: Lua,
    pub(super) dead: Lua,
    pub(super) depth: Lua,
    pub(super) retry: Lua,
    pub(super) generation: Lua,
    pub(super) inspect: Lua,
    pub(super) rate: Lua,
    pub(super) pace: Lua,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            push: Lua::new(include_str!("scripts/push.lua")),
            pop: Lua::new(include_str!("scripts/pop.lua")),
            ack: Lua::new(include_str!("scripts/ack.lua")),
            extend: Lua::new(include_str!("scripts/extend.lua")),
            claim: Lua::new(include_str!("scripts/claim.lua")),
            release: Lua::new(include_str!("scripts/release.lua")),
            dead: Lua::new(include_str!("scripts/dead.lua")),
            depth: Lua::new(include_str!("scripts/depth.lua")),
            retry: Lua::new(include_str!("scripts/retry.lua")),
            generation: Lua::new(include_str!("scripts/generation.lua")),
            inspect: Lua::new(include_str!("scripts/inspect.lua")),
            rate: Lua::new(include_str!("scripts/rate.lua")),
            pace: Lua::new(include_str!("scripts/pace.lua")),
        }
    }
}

impl Lua {
    fn new(body: &str) -> Self {
        let code = format!("{}{body}", include_str!("scripts/common.lua"));
        let digest = Script::new(&code).get_hash().to_owned();
        Self { code, digest }
    }

    /// Runs the script until it is answered, at most until the deadline of the link.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        link: &Link,
        keys: &[String],
        arguments: &[impl ToRedisArgs + Sync],
    ) -> Result<T, QueueError> {
        let known = command("EVALSHA", &self.digest, keys, arguments);
        link.script(&known, Some(&|| command("EVAL", &self.code, keys, arguments))).await
    }
}

fn command(name: &str, script: &str, keys: &[String], arguments: &[impl ToRedisArgs]) -> Cmd {
    let mut command = cmd(name);
    command.arg(script).arg(keys.len()).arg(keys);
    for argument in arguments {
        command.arg(argument);
    }
    command
}
