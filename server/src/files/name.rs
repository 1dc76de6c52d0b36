//! Names of files: what of them is kept, and how a reply says them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest name, in bytes.
pub(super) const LONGEST: usize = 255;
/// What a name is called that has nothing left.
const NAMELESS: &str = "file";
/// What stands as it is in an extended parameter (RFC 8187).
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// A name without folders, and without what cannot be seen: control characters, and those that turn the direction of a text
/// around, so that `txt.exe` looks like `exe.txt`. `Err` when it is too long.
pub(super) fn cleaned(name: &str) -> Result<String, usize> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_seen = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = last.chars().filter(is_seen).collect();
    let name = name.trim();
    if name.len() > LONGEST {
        return Err(name.len());
    }
    // What Windows and shells make of dots alone is no name.
    let is_empty = name.trim_matches(['.', ' ']).is_empty();
    Ok(if is_empty { NAMELESS.to_owned() } else { name.to_owned() })
}

/// `Content-Disposition` of RFC 6266: with a plain name for old programs, and the whole one for others.
pub(super) fn disposition(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " ._-()+,=@".contains(c) { c } else { '_' };
    let plain: String = name.chars().map(plain).collect();
    let whole = utf8_percent_encode(name, ATTRIBUTE);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_that_leads_elsewhere_or_hides_something_only_the_name_is_left() {
        for (sent, kept) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\win.ini", "win.ini"),
            ("C:\\temp\\a b.txt", "a b.txt"),
            ("/", "file"),
            ("..", "file"),
            (" . ", "file"),
            ("", "file"),
            ("a\0b.txt", "ab.txt"),
            ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("\u{2067}\u{feff}x", "x"),
            ("Überblick – 第一.pdf", "Überblick – 第一.pdf"),
            ("تقرير.pdf", "تقرير.pdf"),
            (".env", ".env"),
        ] {
            assert_eq!(cleaned(sent).as_deref(), Ok(kept), "{sent:?}");
        }
        assert_eq!(cleaned(&"x".repeat(LONGEST)).unwrap().len(), LONGEST);
        assert_eq!(cleaned(&"ä".repeat(128)), Err(256));
    }

    #[test]
    fn a_reply_says_the_whole_name_and_nothing_else() {
        assert_eq!(
            disposition("attachment", "a \"b\"; x=\"é.txt"),
            "attachment; filename=\"a _b__ x=__.txt\"; filename*=UTF-8''a%20%22b%22%3B%20x%3D%22%C3%A9.txt"
        );
        assert!(disposition("inline", "تقرير.pdf").is_ascii());
    }
}
