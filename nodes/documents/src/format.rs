//! Which format a file has: by its content first, by its name where the content is text.

use crate::{
    archive::Archive,
    encoding::{Decoded, decode},
    limits::Limits,
    trouble::Trouble,
};

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Code,
    Markdown,
    Json,
    Csv,
    Html,
    Pdf,
    Docx,
    Pptx,
    Xlsx,
    Ods,
    Epub,
}

use Format::{Code, Csv, Docx, Epub, Html, Json, Markdown, Ods, Pdf, Pptx, Text, Xlsx};

impl Format {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Text => "text",
            Code => "code",
            Markdown => "markdown",
            Json => "json",
            Csv => "csv",
            Html => "html",
            Pdf => "pdf",
            Docx => "docx",
            Pptx => "pptx",
            Xlsx => "xlsx",
            Ods => "ods",
            Epub => "epub",
        }
    }

    /// The format that a name promises; text when it promises nothing.
    fn of_name(name: &str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        let is_one = |endings: &[&str]| endings.contains(&ending.as_str());
        match ending.as_str() {
            "md" | "markdown" | "mdown" | "mkd" | "mkdn" => Markdown,
            "json" | "geojson" | "jsonl" | "ndjson" | "ipynb" => Json,
            "csv" | "tsv" | "tab" => Csv,
            "html" | "htm" | "xhtml" | "xht" => Html,
            "pdf" => Pdf,
            "docx" | "docm" => Docx,
            "pptx" | "pptm" | "ppsx" => Pptx,
            "xlsx" | "xlsm" => Xlsx,
            "ods" => Ods,
            "epub" => Epub,
            _ if is_one(CODE) => Code,
            _ => Text,
        }
    }

    const fn is_text(self) -> bool {
        matches!(self, Text | Code | Markdown | Json | Csv | Html)
    }
}

/// Endings of source code and of files that are written like it.
const CODE: &[&str] = &[
    "asm", "bash", "bat", "c", "cc", "clj", "cmake", "conf", "cpp", "cs", "css", "cxx", "dart", "diff", "elm", "erl",
    "ex", "exs", "f90", "fs", "go", "gradle", "graphql", "groovy", "h", "hcl", "hpp", "hs", "ini", "java", "jl", "js",
    "jsx", "kt", "kts", "less", "lisp", "lua", "m", "ml", "mjs", "nix", "patch", "php", "pl", "pm", "proto", "ps1",
    "py", "pyi", "r", "rb", "rs", "s", "scala", "scm", "scss", "sh", "sql", "svelte", "svg", "swift", "tex", "tf",
    "toml", "ts", "tsx", "vb", "vue", "xml", "xsd", "xsl", "yaml", "yml", "zig", "zsh",
];

/// What a file is, as far as its format says.
pub(crate) enum Content<'b> {
    /// Text, decoded.
    Text(Format, Decoded<'b>),
    /// Bytes with a structure of their own.
    Bytes(Format),
    /// The entries of an archive.
    Archive(Format, Archive<'b>),
}

/// Finds out what a file is.
///
/// # Errors
/// LA2653 when nobody here reads it, LA2652 when it is an encrypted document, LA2651 and LA2654 when its archive cannot be
/// opened.
pub(crate) fn find<'b>(name: &str, bytes: &'b [u8], limits: &Limits) -> Result<Content<'b>, Trouble> {
    let head = &bytes[..bytes.len().min(1024)];
    let promised = Format::of_name(name);
    // Some programs put a few lines before a PDF; and some texts are about PDF.
    if bytes.starts_with(b"%PDF-") || (promised == Pdf && head.windows(5).any(|window| window == b"%PDF-")) {
        return Ok(Content::Bytes(Pdf));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        let mut archive = Archive::open(bytes, limits)?;
        let format = in_archive(&mut archive)?;
        return Ok(Content::Archive(format, archive));
    }
    if bytes.starts_with(OLE) {
        return Err(old_office(bytes));
    }
    if bytes.starts_with(b"{\\rtf") {
        return Err(Trouble::format("a document in the format RTF", "save it as DOCX or as text"));
    }
    let label = if promised == Html || looks_like_html(head) { charset(head) } else { None };
    let Some(decoded) = decode(bytes, label) else { return Err(unknown(name, promised, bytes)) };
    let format = match promised {
        // A page of an error, saved under the name of what was wanted.
        _ if promised != Code && looks_like_html(head_of(&decoded.text)) => Html,
        _ if promised.is_text() => promised,
        _ => Text,
    };
    Ok(Content::Text(format, decoded))
}

/// How the name of a file misleads, if it does.
pub(crate) fn misnamed(name: &str, format: Format) -> Option<String> {
    let promised = Format::of_name(name);
    let is_fine = promised == format || (promised.is_text() && format.is_text() && promised != Html);
    let ending = name.rsplit_once('.').map(|(_, ending)| ending)?;
    (!is_fine).then(|| format!("its name ends in `.{}`, but it is {}", ending.escape_debug(), format.name()))
}

/// The format of an archive, by what it holds.
fn in_archive(archive: &mut Archive<'_>) -> Result<Format, Trouble> {
    if archive.has("[Content_Types].xml") {
        for (part, format) in [("word/", Docx), ("ppt/", Pptx)] {
            if archive.has(part) {
                return Ok(format);
            }
        }
        if archive.has("xl/workbook.bin") {
            return Err(Trouble::format("a binary Excel workbook (XLSB)", "save it as XLSX"));
        }
        if archive.has("xl/") {
            return Ok(Xlsx);
        }
    }
    if archive.has("META-INF/container.xml") {
        return Ok(Epub);
    }
    let kind = match archive.read("mimetype")? {
        Some(kind) => String::from_utf8_lossy(&kind).trim().to_owned(),
        None => String::new(),
    };
    match kind.as_str() {
        "application/epub+zip" => Ok(Epub),
        "application/vnd.oasis.opendocument.spreadsheet" => Ok(Ods),
        kind if kind.starts_with("application/vnd.oasis.opendocument") => {
            Err(Trouble::format("an OpenDocument file that is no spreadsheet", "save it as DOCX, PPTX or PDF"))
        }
        _ => Err(Trouble::format("a ZIP archive", "unpack it, and give the files in it")),
    }
}

const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// The container of Office before 2007, and of encrypted documents since.
fn old_office(bytes: &[u8]) -> Trouble {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(name.len()).any(|window| window == name) {
        return Trouble::encrypted();
    }
    Trouble::format("a document of Office before 2007 (DOC, XLS, PPT, MSG)", "save it as DOCX, XLSX, PPTX or PDF")
}

/// Bytes that are no text, and nothing else that is read.
fn unknown(name: &str, promised: Format, bytes: &[u8]) -> Trouble {
    let what = match infer::get(bytes) {
        Some(kind) => format!("a file of type {}", kind.mime_type()),
        None => "a binary file of unknown type".to_owned(),
    };
    let claims = name.rsplit_once('.').map(|(_, ending)| ending.escape_debug().to_string());
    let hint = match claims {
        Some(ending) if !promised.is_text() || promised != Text || ending.eq_ignore_ascii_case("txt") => {
            format!("look at the file: its name says `.{ending}`, and its content does not")
        }
        _ => "give text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, ODS, CSV, JSON or EPUB".to_owned(),
    };
    Trouble::format(&what, &hint)
}

/// The beginning of a text.
fn head_of(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(1024)]
}

/// Whether a text says that it is HTML, after an XML declaration and comments.
fn looks_like_html(head: &[u8]) -> bool {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    loop {
        let end: &[u8] = if rest.starts_with(b"<?xml") {
            b"?>"
        } else if rest.starts_with(b"<!--") {
            b"-->"
        } else {
            break;
        };
        let Some(at) = rest.windows(end.len()).position(|window| window == end) else { return false };
        rest = rest[at + end.len()..].trim_ascii_start();
    }
    let begins = |with: &[u8]| rest.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    begins(b"<!doctype html") || begins(b"<html")
}

/// The encoding that HTML or XML names in its first lines.
fn charset(head: &[u8]) -> Option<&[u8]> {
    let lower = head.to_ascii_lowercase();
    let find = |what: &[u8]| Some(lower.windows(what.len()).position(|window| window == what)? + what.len());
    let after = find(b"charset=").or_else(|| find(b"encoding="))?;
    let value = &head[after..];
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:".contains(byte))?;
    Some(&value[..end])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(name: &str, bytes: &[u8]) -> Result<Format, String> {
        match find(name, bytes, &Limits::default()) {
            Ok(Content::Text(format, _) | Content::Bytes(format) | Content::Archive(format, _)) => Ok(format),
            Err(trouble) => Err(trouble.message),
        }
    }

    #[rstest]
    #[case("a.txt", b"Hello", Text)]
    #[case("notes", b"Hello", Text)]
    #[case("a.MD", b"# A", Markdown)]
    #[case("a.rs", b"fn main() {}", Code)]
    #[case("a.docx", b"%PDF-1.7 ...", Pdf)]
    #[case("a.pdf", b"<!DOCTYPE html><title>404</title>", Html)]
    #[case("a.txt", b"<?xml version='1.0'?>\n<!-- x -->\n<html xmlns='a'>", Html)]
    #[case("a.vue", b"<html>", Code)]
    #[case("a.pdf", b"not found", Text)]
    #[case("a.pdf", b"\n%PDF-1.7", Pdf)]
    #[case("a.md", b"It begins with %PDF-1.7", Markdown)]
    fn content_comes_before_the_name(#[case] name: &str, #[case] bytes: &[u8], #[case] format: Format) {
        assert_eq!(found(name, bytes), Ok(format));
    }

    #[test]
    fn what_is_not_read_is_named() {
        let refused = |name: &str, bytes: &[u8]| found(name, bytes).unwrap_err();
        assert_eq!(
            refused("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"),
            "is a file of type image/png, which is not read"
        );
        assert_eq!(refused("a.md", b"\0\x01\x02\x03"), "is a binary file of unknown type, which is not read");
        assert_eq!(refused("a.txt", b"{\\rtf1 x}"), "is a document in the format RTF, which is not read");
        assert_eq!(
            refused("a.doc", OLE),
            "is a document of Office before 2007 (DOC, XLS, PPT, MSG), which is not read"
        );
    }

    #[test]
    fn a_name_that_misleads_is_told() {
        assert_eq!(misnamed("a.docx", Pdf).unwrap(), "its name ends in `.docx`, but it is pdf");
        assert_eq!(misnamed("a.html", Text).unwrap(), "its name ends in `.html`, but it is text");
        assert_eq!((misnamed("a.pdf", Pdf), misnamed("a", Pdf), misnamed("a.log", Text)), (None, None, None));
    }

    #[test]
    fn html_names_its_encoding() {
        assert_eq!(charset(b"<meta charset=\"koi8-r\">"), Some(&b"koi8-r"[..]));
        assert_eq!(charset(b"<meta content='text/html; charset=utf-8'>"), Some(&b"utf-8"[..]));
        assert_eq!(charset(b"<p>"), None);
    }
}
