//! Templates as URLs: what is inserted after the host is one segment or value, whatever it holds.

use minijinja::machinery::ast::{Expr, Stmt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::parse::Tree;

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

/// Whether scheme, host or port of a URL come from a template.
pub(super) fn has_dynamic_host(source: &str, tree: &Tree<'_>) -> bool {
    if tree.lone(source).is_some() {
        return true;
    }
    match tree.statements().first() {
        Some(Stmt::EmitRaw(raw)) => !is_after_host(raw.raw) && tree.statements().len() > 1,
        Some(_) => true,
        None => false,
    }
}
