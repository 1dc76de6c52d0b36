//! Where lines come from: a person at a terminal, or whatever stdin is.

use std::io::Write as _;

use liteagent_engine::codes;
use rustyline::{Behavior, Config, DefaultEditor, error::ReadlineError};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Stdin},
    signal,
};

use crate::failure::Failure;

/// What came instead of a line, or the line.
#[derive(Debug)]
pub(super) enum Line {
    /// A line.
    Text(String),
    /// There is no more: Ctrl-D, or the end of the input.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// Gives lines.
pub(super) enum Lines {
    /// A person, who can edit the line and call back earlier ones.
    Person(Box<DefaultEditor>),
    /// A file or a pipe.
    Pipe(tokio::io::Lines<BufReader<Stdin>>),
    /// One line that was given beforehand.
    Once(Option<String>),
}

impl Lines {
    /// Those of the terminal.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) fn of_person() -> Result<Self, Failure> {
        // Also where stdout goes elsewhere.
        let config = Config::builder().behavior(Behavior::PreferTerm).auto_add_history(false).build();
        let editor = DefaultEditor::with_config(config).map_err(|error| unreadable(&error))?;
        Ok(Self::Person(Box::new(editor)))
    }

    /// Those of stdin.
    pub(super) fn of_stdin() -> Self {
        Self::Pipe(BufReader::new(tokio::io::stdin()).lines())
    }

    /// Whether a person can be asked.
    pub(super) fn is_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// The next line. A person is shown the prompt, and `initial` to change.
    ///
    /// # Errors
    /// When there is none to be read though it did not end: a broken terminal, bytes that are no text.
    pub(super) async fn next(&mut self, prompt: &str, initial: &str) -> Result<Line, Failure> {
        match self {
            // Nothing else goes on here meanwhile: the engine has threads of its own.
            Self::Person(editor) => {
                let line = read(editor, prompt, initial)?;
                if let Line::Text(text) = &line
                    && !text.trim().is_empty()
                {
                    editor.add_history_entry(text.as_str()).map_err(|error| unreadable(&error))?;
                }
                Ok(line)
            }
            Self::Pipe(lines) => tokio::select! {
                line = lines.next_line() => {
                    Ok(line.map_err(|error| unreadable(&error))?.map_or(Line::End, Line::Text))
                }
                _ = signal::ctrl_c() => Ok(Line::Interrupted),
            },
            Self::Once(line) => Ok(line.take().map_or(Line::End, Line::Text)),
        }
    }

    /// Asks a person something else; what is before the last line of the question is only shown.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn ask(&mut self, question: &str) -> Result<Line, Failure> {
        let Self::Person(editor) = self else { return Ok(Line::End) };
        let (before, prompt) = question.rsplit_once('\n').unwrap_or(("", question));
        if !before.is_empty() {
            writeln!(std::io::stderr().lock(), "{before}")?;
        }
        read(editor, prompt, "")
    }
}

fn read(editor: &mut DefaultEditor, prompt: &str, initial: &str) -> Result<Line, Failure> {
    match editor.readline_with_initial(prompt, (initial, "")) {
        Ok(line) => Ok(Line::Text(line)),
        Err(ReadlineError::Eof) => Ok(Line::End),
        Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
        Err(error) => Err(unreadable(&error)),
    }
}

fn unreadable(error: &dyn std::error::Error) -> Failure {
    Failure::usage(codes::INPUT_UNREADABLE, format!("the next message cannot be read: {error}"))
        .hint("give one message with `--message TEXT`, or text in UTF-8 on stdin, one message a line")
}
