//! What an attempt printed.

use std::sync::{Mutex, PoisonError};

/// How much of it is kept: so much of its begin and its end, in bytes.
const HALF: usize = 32 << 10;

/// Lines for people that an attempt leaves behind. The journal keeps them beside its result, without secrets, and cut in
/// the middle where they are long.
#[derive(Debug, Default)]
pub struct Log(Mutex<String>);

impl Log {
    /// Adds lines; a line break is added where they end without one.
    pub fn add(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(lines);
        if !lines.ends_with('\n') {
            text.push('\n');
        }
    }

    /// What was added; `None` when that is nothing.
    pub fn take(&self) -> Option<String> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!text.is_empty()).then_some(text)
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
    fn lines_are_gathered_and_a_long_text_loses_its_middle() {
        let log = Log::default();
        assert_eq!(log.take(), None);
        log.add("one");
        log.add("");
        log.add("two\n");
        assert_eq!(log.take().as_deref(), Some("one\ntwo\n"));
        assert_eq!(log.take(), None);

        let short = "é".repeat(HALF);
        assert_eq!(shortened(short.clone()), short);
        let long = shortened(format!("begin{}end", "é".repeat(HALF)));
        assert!(long.len() < 2 * HALF + 100 && long.starts_with("beginé") && long.ends_with("éend"));
        assert!(
            long.contains("\n[8 bytes are left out here]\n") || long.contains("\n[10 bytes are left out here]\n"),
            "{}",
            &long[HALF - 5..HALF + 60]
        );
    }
}
