//! Code is never a template: braces that look like one are mostly meant as one.

use std::{ops::Range, sync::LazyLock};

use liteagent_engine::codes;
use regex::Regex;

use super::Found;

/// `{{ name ... }}` on a line, where it is not the `${{` of JavaScript.
static BRACES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^${])(\{\{-?[ \t]*[A-Za-z_][^{}\n]*\}\})(?:$|[^}])").expect("the pattern is well-formed")
});

/// What renders templates itself may hold them.
const RENDERS: [&str; 2] = ["jinja2", ".format("];

/// The first braces that look like a template, outside of `texts`.
pub(super) fn find(code: &str, texts: &[Range<usize>]) -> Option<Found> {
    if RENDERS.iter().any(|word| code.contains(word)) {
        return None;
    }
    let all = BRACES.captures_iter(code).filter_map(|found| Some(found.get(1)?.range()));
    let mut meant = all.filter(|range| !texts.iter().any(|text| text.contains(&range.start)));
    let first = meant.next()?;
    let more = match meant.count() {
        0 => String::new(),
        count => format!(", here and in {count} more places"),
    };
    let message = format!("code is not a template: these braces reach {} as they are{more}", "the interpreter");
    let found = Found::warning(codes::CODE_BRACES, first, message).label("not replaced");
    Some(found.hint("pass the value under `inputs`, and use the name of the input here"))
}
