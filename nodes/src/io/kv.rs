//! Keys and failures that `kv-get` and `kv-set` share.

use liteagent_engine::node::prelude::*;

/// How long a key may be, in bytes.
const LONGEST: usize = 512;

/// Refuses what is no key.
pub(super) fn check_key(key: &str) -> Result<(), NodeError> {
    let problem = match key {
        "" => "it is empty",
        key if key.len() > LONGEST => "it is longer than 512 bytes",
        key if key.chars().any(char::is_control) => "it holds a control character",
        _ => return Ok(()),
    };
    let start: String = key.chars().take(40).collect();
    let message = format!("`{}` is no key: {problem}", start.escape_debug());
    Err(NodeError::new(codes::KV_KEY, ErrorClass::Invalid, message)
        .hint("build the key from an id or a name, such as `seen/{{ item.id }}`"))
}

/// The namespace of a node: its own, or the name of the workflow.
pub(super) fn namespace<'a>(own: Option<&'a String>, ctx: &'a NodeCtx) -> &'a str {
    own.map_or(&*ctx.workflow, String::as_str)
}
