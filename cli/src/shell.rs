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

/// How logs are written.
#[derive(Debug)]
pub(crate) struct Logging {
    is_json: bool,
    filter: EnvFilter,
}

/// How logs are written, as the environment says it: their form in `LITEAGENT_LOG`, which of them in `LITEAGENT_LOG_LEVEL`, else
/// in `RUST_LOG`. `usual` is what is written when it says nothing.
pub(crate) fn logging(
    setting: impl Fn(&str) -> Option<String>,
    usual: Option<&str>,
) -> Result<Option<Logging>, Failure> {
    let wrong = |name: &str, message: String, hint: &str| {
        Err(Failure::usage(codes::CONFIG, format!("`{name}`: {message}")).hint(hint))
    };
    let form = setting("LITEAGENT_LOG");
    let is_json = match form.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(form) => {
            let message = format!("expected `text` or `json`, found `{form}`");
            return wrong(
                "LITEAGENT_LOG",
                message,
                "which logs are written, `LITEAGENT_LOG_LEVEL` says: `info`, `debug`",
            );
        }
    };
    let named = |name: &'static str| setting(name).map(|text| (name, text));
    let level = named("LITEAGENT_LOG_LEVEL").or_else(|| named("RUST_LOG"));
    let (name, text) = match (level, form, usual) {
        (Some(level), _, _) => level,
        (None, Some(_), _) => ("LITEAGENT_LOG_LEVEL", "info".to_owned()),
        (None, None, Some(usual)) => ("LITEAGENT_LOG_LEVEL", usual.to_owned()),
        (None, None, None) => return Ok(None),
    };
    match EnvFilter::try_new(&text) {
        Ok(filter) => Ok(Some(Logging { is_json, filter })),
        Err(error) => {
            let message = format!("expected a filter of logs, found `{text}`: {error}");
            wrong(name, message, "set it to `info` or `info,liteagent_engine=debug`, or unset it")
        }
    }
}

/// Writes logs to stderr from now on.
pub(crate) fn log_to_stderr(usual: Option<&str>, colors: bool) -> Result<(), Failure> {
    let Some(Logging { is_json, filter }) = logging(setting, usual)? else { return Ok(()) };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors).with_writer(io::stderr);
    // Fails only when a subscriber is set already, as in a test that runs two commands.
    let _ = if is_json { logs.json().flatten_event(true).try_init() } else { logs.try_init() };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)], usual: Option<&str>) -> Result<Option<(bool, String)>, String> {
        let setting =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let logging = logging(setting, usual).map_err(|failure| failure.message)?;
        Ok(logging.map(|logging| (logging.is_json, logging.filter.to_string())))
    }

    #[test]
    fn the_environment_says_how_logs_are_written_and_which() {
        assert_eq!(of(&[], None), Ok(None));
        assert_eq!(of(&[], Some("warn")), Ok(Some((false, "warn".to_owned()))));
        assert_eq!(of(&[("LITEAGENT_LOG", "json")], Some("warn")), Ok(Some((true, "info".to_owned()))));
        assert_eq!(of(&[("RUST_LOG", "debug")], None), Ok(Some((false, "debug".to_owned()))));
        let both = [("RUST_LOG", "debug"), ("LITEAGENT_LOG_LEVEL", "error"), ("LITEAGENT_LOG", "text")];
        assert_eq!(of(&both, None), Ok(Some((false, "error".to_owned()))));
        let form = of(&[("LITEAGENT_LOG", "info")], None).unwrap_err();
        assert_eq!(form, "`LITEAGENT_LOG`: expected `text` or `json`, found `info`");
        assert!(of(&[("RUST_LOG", "a=b=c")], None).unwrap_err().starts_with("`RUST_LOG`: expected a filter of logs"));
    }
}
