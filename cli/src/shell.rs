//! Where output goes: data to stdout, the rest to stderr, with or without colour.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use liteagent_engine::codes;

use crate::{config::setting, failure::Failure};

/// Whether output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The two streams of a command.
#[derive(Debug)]
pub(crate) struct Shell {
    color: Color,
    no_color: bool,
}

impl Shell {
    pub(crate) fn new(color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { color, no_color }
    }

    /// Whether what goes to stdout is coloured.
    pub(crate) fn colors_out(&self) -> bool {
        self.colors(io::stdout().is_terminal())
    }

    /// Whether what goes to stderr is coloured.
    pub(crate) fn colors_err(&self) -> bool {
        self.colors(io::stderr().is_terminal())
    }

    fn colors(&self, terminal: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !self.no_color,
        }
    }

    /// Whether stderr is a terminal that a live tree can be drawn on.
    #[expect(clippy::unused_self, reason = "commands ask the shell, not the process")]
    pub(crate) fn is_live(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether stdout is a terminal.
    #[expect(clippy::unused_self, reason = "commands ask the shell, not the process")]
    pub(crate) fn is_out_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether there is a person who can be asked: stdin and stderr are a terminal.
    #[expect(clippy::unused_self, reason = "commands ask the shell, not the process")]
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes data to stdout, with a line end.
    #[expect(clippy::unused_self, reason = "every output passes here")]
    pub(crate) fn out(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_ref().as_bytes())?;
        if !text.as_ref().ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        Ok(stdout.flush()?)
    }

    /// Writes JSON to stdout.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text =
            serde_json::to_string_pretty(value).map_err(|error| Failure::platform(codes::OUTPUT, error.to_string()))?;
        self.out(text)
    }

    /// Writes a line for people to stderr. Nobody may be there to read it, and that is no failure.
    #[expect(clippy::unused_self, reason = "every output passes here")]
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Says why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if let Some(code) = failure.code {
            self.error(code.0, &failure.message, failure.hint.as_deref());
        }
    }

    /// Says what went wrong, and what to do about it.
    pub(crate) fn error(&self, code: &str, message: &str, hint: Option<&str>) {
        let (red, blue, end) = if self.colors_err() { ("\x1b[1;31m", "\x1b[1;34m", "\x1b[0m") } else { ("", "", "") };
        self.note(format!("{red}error[{code}]{end}: {message}"));
        if let Some(hint) = hint {
            self.note(format!("  {blue}= help:{end} {hint}"));
        }
    }
}

/// Rows as a table: every column as wide as its widest cell.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Logs go to stderr, as `LITEAGENT_LOG` filters them: `info`, `liteagent_engine=debug`. Nothing by default.
pub(crate) fn log_to_stderr(colors: bool) -> Result<(), Failure> {
    let Some(text) = setting("LITEAGENT_LOG") else { return Ok(()) };
    let filter = EnvFilter::try_new(&text).map_err(|error| {
        Failure::usage(codes::CONFIG, format!("`LITEAGENT_LOG`: expected a filter of logs, found `{text}`: {error}"))
            .hint("set it to `info` or `liteagent_engine=debug`, or unset it")
    })?;
    // Fails only when a subscriber is set already, as in a test that runs two commands.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors).with_writer(io::stderr).try_init();
    Ok(())
}
