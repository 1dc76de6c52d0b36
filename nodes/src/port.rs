//! Names of ports that authors choose.

use liteagent_engine::node::prelude::*;

/// Checks the names of the ports of `field`: they can stand in `needs`, and none is taken.
///
/// # Errors
/// LA1101 with the field of the port.
pub(crate) fn check<'a>(
    field: &str,
    names: impl IntoIterator<Item = &'a String>,
    taken: &[&str],
) -> Result<(), ConfigError> {
    for name in names {
        let place = || format!("/{field}/{}", name.replace('~', "~0").replace('/', "~1"));
        if taken.contains(&name.as_str()) {
            return Err(ConfigError::new(
                codes::PORT_NAME,
                place(),
                format!("the port `{name}` exists already: the engine opens it by itself"),
            )
            .hint(format!("choose another name for `{name}`")));
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(ConfigError::new(
                codes::PORT_NAME,
                place(),
                format!("expected a port of letters, digits, `_` and `-`, found `{name}`"),
            )
            .hint("rename the port so that `needs: [node.port]` can name it"));
        }
    }
    Ok(())
}
