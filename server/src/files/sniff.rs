//! What a file is: its content says it, its name where the content is text, and its sender last.

/// How much of a file is looked at.
pub(super) const HEAD: usize = 16 << 10;
const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain";

/// The media type of a file, and what was corrected of what its sender said.
pub(super) fn sniff(name: &str, declared: Option<&str>, head: &[u8]) -> (String, Option<String>) {
    let declared = declared.map(essence).filter(|mime| mime.contains('/') && mime != BYTES);
    let found = found(name, declared.as_deref(), head);
    let note = declared.filter(|declared| *declared != found && !is_same(declared, &found));
    let note = note.map(|declared| format!("it was sent as `{declared}`, and is `{found}`"));
    (found, note)
}

fn found(name: &str, declared: Option<&str>, head: &[u8]) -> String {
    let named = mime_guess::from_path(name).first().map(|mime| essence(mime.as_ref()));
    if let Some(kind) = infer::get(head).map(|kind| kind.mime_type()) {
        // Office documents and the like are archives: what is in them may stand behind what is looked at.
        let of_archive = [named.as_deref(), declared].into_iter().flatten().find(|mime| is_archive(mime));
        return match of_archive {
            Some(mime) if kind == "application/zip" => mime.to_owned(),
            // The crate takes texts for these, by their first words; the rules below know more.
            _ if kind.starts_with("text/") => text(named, declared, head),
            _ => kind.to_owned(),
        };
    }
    if is_text(head) {
        return text(named, declared, head);
    }
    // Something that nobody knows by its first bytes may be what its name or its sender says, unless that would be known.
    let others = [named.as_deref(), declared].into_iter().flatten();
    let mut believable =
        others.filter(|mime| !infer::is_mime_supported(mime) && !is_textual(mime) && !is_archive(mime));
    believable.next().unwrap_or(BYTES).to_owned()
}

fn text(named: Option<String>, declared: Option<&str>, head: &[u8]) -> String {
    let begin: String =
        String::from_utf8_lossy(&head[..head.len().min(1024)]).trim_start_matches('\u{feff}').to_lowercase();
    let begin = begin.trim_start();
    let has = |tag: &str| begin.contains(tag);
    if begin.starts_with("<svg") || (begin.starts_with('<') && has("<svg") && !has("<html")) {
        return "image/svg+xml".to_owned();
    }
    if begin.starts_with("<!doctype html")
        || (begin.starts_with('<') && (has("<html") || has("<script") || has("<body")))
    {
        return "text/html".to_owned();
    }
    let textual = |mime: &&str| is_textual(mime);
    let known = [named.as_deref(), declared].into_iter().flatten().find(textual);
    known.unwrap_or(TEXT).to_owned()
}

/// Whether bytes are text: UTF-8 without the control characters that nobody writes, of which the last character may be cut off; or
/// UTF-16 with its mark.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    let is_utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    let is_written = |byte: &u8| *byte >= b' ' || b"\t\n\r\x0c\x1b".contains(byte);
    is_utf8 && head.iter().all(is_written)
}

fn is_textual(mime: &str) -> bool {
    mime.starts_with("text/")
        || mime.ends_with("+json")
        || mime.ends_with("+xml")
        || matches!(
            mime,
            "application/json"
                | "application/jsonl"
                | "application/x-ndjson"
                | "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/toml"
                | "application/sql"
                | "application/javascript"
                | "application/x-javascript"
                | "application/rtf"
                | "application/x-sh"
        )
}

/// Types whose files are ZIP archives.
fn is_archive(mime: &str) -> bool {
    mime.starts_with("application/vnd.openxmlformats-officedocument")
        || mime.starts_with("application/vnd.oasis.opendocument")
        || matches!(
            mime,
            "application/epub+zip" | "application/java-archive" | "application/vnd.ms-excel.sheet.macroenabled.12"
        )
}

/// Names of one type, and texts that say less of themselves than their sender knows.
fn is_same(declared: &str, found: &str) -> bool {
    let plain = |mime: &str| mime.replace("/x-", "/").replace("text/", "application/");
    plain(declared) == plain(found) || (is_textual(declared) && found == TEXT)
}

/// A media type without parameters, in small letters.
fn essence(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, what is said of it, how it begins; its type, and whether that is another one.
    type Case = (&'static str, Option<&'static str>, &'static [u8], &'static str, bool);

    #[test]
    fn the_content_wins_over_what_is_said_of_it() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        let cases: &[Case] = &[
            ("a.png", Some("image/png"), png, "image/png", false),
            ("a.txt", Some("text/plain"), png, "image/png", true),
            ("a.png", Some("image/png"), b"<!DOCTYPE html><script>alert(1)</script>", "text/html", true),
            ("a.png", Some("image/png"), b"  <svg xmlns='x' onload='alert(1)'>", "image/svg+xml", true),
            ("a.svg", Some("image/svg+xml"), b"<?xml version='1.0'?><svg/>", "image/svg+xml", false),
            ("a.txt", None, b"\xef\xbb\xbf<HTML><body>", "text/html", false),
            ("a.png", Some("image/png"), b"plain words", "text/plain", true),
            ("a.png", Some("image/png"), b"\x01\x02\x03", "application/octet-stream", true),
            ("a.csv", Some("text/csv; charset=utf-8"), b"a,b\n1,2\n", "text/csv", false),
            ("a.md", Some("application/octet-stream"), b"# Hi", "text/markdown", false),
            ("notes", Some("application/x-yaml"), b"a: 1", "application/x-yaml", false),
            ("a.json", None, b"{\"a\": 1}", "application/json", false),
            ("a.pdf", Some("application/pdf"), b"%PDF-1.7\n%\xff\xff", "application/pdf", false),
            ("a.exe", Some("application/pdf"), b"MZ\x90\0\x03", "application/vnd.microsoft.portable-executable", true),
            (
                "a.parquet",
                Some("application/vnd.apache.parquet"),
                b"PAR1\x15\0\xff",
                "application/vnd.apache.parquet",
                false,
            ),
            ("empty", None, b"", "text/plain", false),
        ];
        for (name, declared, head, expected, is_corrected) in cases {
            let (found, note) = sniff(name, *declared, head);
            assert_eq!((&*found, note.is_some()), (*expected, *is_corrected), "{name} {declared:?} {note:?}");
        }
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(sniff("a.docx", Some(docx), b"PK\x03\x04rest"), (docx.to_owned(), None));
        assert_eq!(sniff("a.docx", None, b"PK\x03\x04rest").0, docx);
        assert_eq!(sniff("a.zip", None, b"PK\x03\x04rest").0, "application/zip");
        let cut = &"ä".repeat(HEAD).into_bytes()[..HEAD - 1];
        assert_eq!(sniff("a.txt", None, cut).0, TEXT);
    }
}
