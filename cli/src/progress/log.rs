//! What a node printed, below its line.

use super::count;

/// So much is shown unless all is asked for: the last lines, for an error stands at the end.
const MOST_LINES: usize = 10;
const MOST_LETTERS: usize = 200;

/// The lines of a log as a terminal may get them: no code of another program moves its cursor.
pub(crate) fn shown(log: &str, all: bool) -> Vec<String> {
    let lines: Vec<_> = log.lines().map(|line| printable(line, all)).collect();
    let before = if all { 0 } else { lines.len().saturating_sub(MOST_LINES) };
    let left_out = (before > 0).then(|| format!("[{} before; `runs show --verbose` has all]", count(before, "line")));
    left_out.into_iter().chain(lines.into_iter().skip(before)).collect()
}

fn printable(line: &str, all: bool) -> String {
    let mut letters = line.chars().filter(|letter| !letter.is_control() || *letter == '\t');
    let mut shown: String = letters.by_ref().take(if all { usize::MAX } else { MOST_LETTERS }).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_shows_its_end_and_no_log_moves_the_cursor() {
        assert_eq!(shown("one\n\x1b[2Jtwo\t!\r\n", false), ["one", "[2Jtwo\t!"]);
        let log = (0..25).map(|i| format!("line {i}\n")).collect::<String>();
        let short = shown(&log, false);
        assert_eq!((short.len(), &*short[0]), (11, "[15 lines before; `runs show --verbose` has all]"));
        assert_eq!((&*short[1], &*short[10]), ("line 15", "line 24"));
        assert_eq!(shown(&log, true).len(), 25);
        assert_eq!(shown(&"x".repeat(300), false)[0].chars().count(), 201);
        assert_eq!(shown(&"x".repeat(300), true)[0].len(), 300);
    }
}
