//! Sizes and durations as people write them.

use std::time::Duration;

/// `64MiB`, or `1500 bytes` when it is no whole number of a larger unit.
pub(crate) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}

/// `30s`, or `1500ms` when it is no whole number of a larger unit.
pub(crate) fn time(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1000, "s")] {
        if milliseconds >= unit && milliseconds.is_multiple_of(unit) {
            return format!("{}{name}", milliseconds / unit);
        }
    }
    format!("{milliseconds}ms")
}

/// At most `limit` bytes of a text, cut at a character, with a mark where it was cut.
pub(crate) fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let cut = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_used_where_they_are_exact() {
        assert_eq!([size(1 << 26), size(1500), size(0)], ["64MiB", "1500 bytes", "0 bytes"]);
        assert_eq!([time(Duration::from_secs(90)), time(Duration::from_millis(1500))], ["90s", "1500ms"]);
        assert_eq!(shortened("añb".into(), 2), "a...");
    }
}
