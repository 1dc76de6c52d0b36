//! What an attempt leaves behind beside its result.

use crate::usage::{Meter, Spent};

/// How much of a log is kept: so much of its begin and of its end, in bytes.
const HALF: usize = 32 << 10;

/// What an attempt used, and what it printed.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) usage: Spent,
    pub(super) log: Option<String>,
}

impl Beside {
    /// Takes what an attempt left.
    pub(super) fn take(meter: &Meter) -> Self {
        Self { usage: meter.take(), log: meter.take_log() }
    }
}

/// A text of at most 64 KiB and a mark that says how much was left out.
pub(crate) fn shortened(text: String) -> String {
    if text.len() <= 2 * HALF {
        return text;
    }
    let head = text.floor_char_boundary(HALF);
    let tail = text.ceil_char_boundary(text.len() - HALF);
    format!("{}\n[{} bytes are left out here]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_loses_its_middle() {
        let short = "é".repeat(HALF);
        assert_eq!(shortened(short.clone()), short);
        let long = shortened(format!("begin {} end", "é".repeat(HALF)));
        let (head, tail) = long.split_once("\n[10 bytes are left out here]\n").unwrap();
        assert!(head.starts_with("begin é") && tail.ends_with("é end"), "cut at whole letters");
        assert!(head.len() <= HALF && tail.len() <= HALF);
    }
}
