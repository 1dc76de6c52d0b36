//! How values become text: strings as they are, everything else as JSON, and `null` not at all.

use std::io;

use minijinja::{Error, ErrorKind, Output, State, value::Value as Jinja};

use super::object::from_jinja;
use crate::value::Value;

/// How many bytes a rendered text may have.
pub(super) const MAX_TEXT: usize = 16 << 20;

/// What to do about an error, carried as its source.
#[derive(Debug)]
pub(super) struct Hint(pub(super) String);

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hint {}

/// An error with a message.
pub(super) fn fault(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// The error of a result that outgrew its limit.
pub(super) fn too_large() -> Error {
    Error::new(ErrorKind::OutOfFuel, "the result is too large")
}

/// The error of `null` where text belongs.
fn null() -> Error {
    fault("expected a value to print, found null").with_source(Hint("write `| default('')` after it".to_owned()))
}

/// A value as text.
pub(super) fn of(value: &Jinja) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => of_value(&from_jinja(value)?),
    }
}

/// A value as text.
pub(super) fn of_value(value: &Value) -> Result<String, Error> {
    match value {
        Value::Null => Err(null()),
        Value::String(text) => Ok(text.to_string()),
        other => json(other, false),
    }
}

/// A value as JSON of at most [`MAX_TEXT`] bytes.
pub(super) fn json(value: &Value, pretty: bool) -> Result<String, Error> {
    let mut out = Limited::default();
    let written =
        if pretty { serde_json::to_writer_pretty(&mut out, value) } else { serde_json::to_writer(&mut out, value) };
    written.map_err(|_| too_large())?;
    out.into_text()
}

/// Prints a value into the text of a template with blocks.
pub(super) fn format(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Jinja) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&of(value)?)?,
    }
    Ok(())
}

/// A buffer that refuses to grow beyond [`MAX_TEXT`].
#[derive(Default)]
pub(super) struct Limited(Vec<u8>);

impl Limited {
    /// What was written.
    pub(super) fn into_text(self) -> Result<String, Error> {
        String::from_utf8(self.0).map_err(|_| fault("expected UTF-8, found other bytes"))
    }
}

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
