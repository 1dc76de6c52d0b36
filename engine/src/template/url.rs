//! Templates as URLs: what is inserted after the host is one segment or value, whatever it holds.

use minijinja::machinery::ast::{Expr, Stmt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::parse::{Tree, range};

/// All but what RFC 3986 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How many bytes scheme, host and port may have; what follows is encoded in any case.
const MAX_HOST: usize = 1024;

/// Percent-encodes a value as one segment. `.` and `..` would leave the folder, so their dots are encoded too.
pub(super) fn encode(text: &str) -> String {
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, ESCAPED).to_string(),
    }
}

/// Whether what follows a beginning of a URL stands after scheme, host and port.
pub(super) fn is_after_host(before: &str) -> bool {
    if before.len() > MAX_HOST {
        return true;
    }
    let rest = before.split_once("://").map_or(before, |(_, rest)| rest);
    rest.contains(['/', '?', '#']) && (before.contains("://") || before.starts_with('/'))
}

/// Whether an expression ends in `| raw_url`.
pub(super) fn is_raw(expr: &Expr<'_>) -> bool {
    matches!(expr, Expr::Filter(filter) if filter.name == "raw_url")
}

/// How many bytes of a template decide scheme, host and port.
pub(super) fn host_part(source: &str, tree: &Tree<'_>) -> usize {
    if tree.lone(source).is_some() {
        return source.len();
    }
    let mut before = String::new();
    let mut statements = tree.statements().iter().peekable();
    while let Some(statement) = statements.next() {
        match statement {
            Stmt::EmitRaw(raw) => before.push_str(raw.raw),
            Stmt::EmitExpr(_) if before.is_empty() => {
                let is_scheme = matches!(statements.peek(), Some(Stmt::EmitRaw(raw)) if raw.raw.starts_with("://"));
                before.push_str(if is_scheme { "https" } else { "https://host" });
            }
            Stmt::EmitExpr(emit) if is_after_host(&before) => return range(emit.span()).start,
            Stmt::EmitExpr(_) => before.push_str("host"),
            _ => return source.len(),
        }
    }
    source.len()
}
