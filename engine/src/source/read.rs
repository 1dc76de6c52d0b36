//! Files to text, with limits.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{Document, MAX_BYTES, parse};
use crate::{
    codes,
    diagnostic::{Diagnostic, SourceFile, Span},
};

/// Reads and parses a file; see [`parse`].
pub fn read(path: &Path) -> (Option<Document>, Vec<Diagnostic>) {
    match read_text(path) {
        Ok(text) => parse(&path.to_string_lossy(), text),
        Err(finding) => (None, vec![*finding]),
    }
}

/// Reads a text file of at most [`MAX_BYTES`] in UTF-8.
///
/// # Errors
/// A finding that says why it cannot be read, is too large, or at which byte it stops to be UTF-8.
pub fn read_text(path: &Path) -> Result<String, Box<Diagnostic>> {
    let name = path.to_string_lossy();
    let bytes = read_bytes(path).map_err(|error| Box::new(unreadable(&name, &error)))?;
    if bytes.len() > MAX_BYTES {
        return Err(Box::new(too_large(&empty_file(&name))));
    }
    String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(&name, error)))
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: opening a pipe waits for someone who writes.
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    let (reason, hint) = match error.kind() {
        io::ErrorKind::NotFound => {
            ("there is no such file".to_owned(), "check the path; it is relative to the current folder")
        }
        io::ErrorKind::PermissionDenied => ("permission denied".to_owned(), "allow this user to read the file"),
        io::ErrorKind::IsADirectory => ("it is a folder".to_owned(), "name a file inside the folder"),
        io::ErrorKind::InvalidInput => ("it is a pipe or a device".to_owned(), "write what it gives into a file first"),
        _ => (error.to_string(), "check the file and the disk"),
    };
    at_start(&empty_file(name), codes::FILE_UNREADABLE, format!("`{name}` cannot be read: {reason}")).hint(hint)
}

/// The finding for a file over the limit.
pub(super) fn too_large(file: &Arc<SourceFile>) -> Diagnostic {
    at_start(
        file,
        codes::FILE_TOO_LARGE,
        format!("expected a file of at most {} MiB, found a larger one", MAX_BYTES >> 20),
    )
    .hint("move long texts to files of their own and name them with `{ file: prompts/x.md }`")
}

fn not_utf8(name: &str, error: std::string::FromUtf8Error) -> Diagnostic {
    let at = error.utf8_error().valid_up_to();
    let mut bytes = error.into_bytes();
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return at_start(&empty_file(name), codes::NOT_UTF8, "expected UTF-8 text, found UTF-16".to_owned())
            .hint("save the file as UTF-8, for example with `iconv -f utf16 -t utf8`");
    }
    let line = bytes[..at].split(|byte| *byte == b'\n').count();
    bytes.truncate(at);
    let text = String::from_utf8(bytes).unwrap_or_default();
    let file = Arc::new(SourceFile { name: name.to_owned(), text });
    Diagnostic::error(
        codes::NOT_UTF8,
        Span { file, range: at..at },
        format!("expected UTF-8 text, found an invalid byte at offset {at} in line {line}"),
    )
    .hint("save the file as UTF-8, for example with `iconv -f latin1 -t utf8`")
}

fn empty_file(name: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { name: name.to_owned(), text: String::new() })
}

fn at_start(file: &Arc<SourceFile>, code: crate::error::Code, message: String) -> Diagnostic {
    Diagnostic::error(code, Span { file: file.clone(), range: 0..0 }, message)
}

/// Strict JSON; the composer, which reads more than JSON, then finds the places.
pub(super) fn check_json(file: &Arc<SourceFile>) -> Result<(), Box<Diagnostic>> {
    let Err(error) = serde_json::from_str::<serde_json::Value>(&file.text) else {
        return Ok(());
    };
    let line_start = file.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let mut at = (line_start + error.column().saturating_sub(1)).min(file.text.len());
    while !file.text.is_char_boundary(at) {
        at -= 1;
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let span = Span { file: file.clone(), range: at..at };
    Err(Box::new(if message.starts_with("recursion limit") {
        super::compose::too_deep(span)
    } else {
        Diagnostic::error(codes::YAML_SYNTAX, span, format!("this is not valid JSON: {message}"))
    }))
}
