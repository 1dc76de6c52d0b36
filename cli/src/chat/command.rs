//! What a person can ask of the chat itself: lines that begin with `/`.

use liteagent_engine::codes;

use crate::failure::Failure;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A message for the workflow.
    Say(String),
    /// What was used of models.
    Usage,
    /// The nodes of the last turn.
    Trace,
    /// To go on from an earlier turn: after this one, or after the one before the last.
    Fork(Option<usize>),
    /// To say the last message anew: this text, or what the person makes of the old one.
    Edit(Option<String>),
    /// To have the last message answered again.
    Retry,
    /// What there is.
    Help,
    /// To leave.
    Exit,
}

/// Each command as it is written, and what it does.
const COMMANDS: [(&str, &str, &str); 7] = [
    ("usage", "", "what the last turn and the conversation used of models"),
    ("trace", "", "the nodes of the last turn, with times"),
    ("fork", " [TURN]", "goes on after an earlier turn; what came after it stays, beside; 0 is the beginning"),
    ("edit", " [TEXT]", "says the last message anew"),
    ("retry", "", "has the last message answered again"),
    ("help", "", "this list"),
    ("exit", "", "leaves; so does Ctrl-D"),
];

impl Command {
    /// Reads a line. A message that begins with `/` is written with two.
    ///
    /// # Errors
    /// When there is no such command, or its argument is wrong.
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        let line = line.trim();
        let Some(command) = line.strip_prefix('/') else { return Ok(Self::Say(line.to_owned())) };
        if command.starts_with('/') {
            return Ok(Self::Say(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
        let bare = |command: Self| match rest {
            None => Ok(command),
            Some(rest) => Err(wrong(format!("`/{name}` takes nothing, found `{rest}`"))),
        };
        match name {
            "usage" => bare(Self::Usage),
            "trace" => bare(Self::Trace),
            "retry" => bare(Self::Retry),
            "help" => bare(Self::Help),
            "exit" | "quit" => bare(Self::Exit),
            "edit" => Ok(Self::Edit(rest.map(str::to_owned))),
            "fork" => match rest.map(str::parse).transpose() {
                Ok(turn) => Ok(Self::Fork(turn)),
                Err(_) => {
                    Err(wrong(format!("expected the number of a turn after `/fork`, found `{}`", rest.unwrap_or(""))))
                }
            },
            _ => Err(Failure::usage(codes::UNKNOWN_NAME, format!("there is no command `/{name}`")).near(
                name,
                COMMANDS.map(|(name, ..)| name),
                "`/help` lists the commands; a message that begins with `/` is written with two: `//`",
            )),
        }
    }
}

fn wrong(message: String) -> Failure {
    Failure::usage(codes::WRONG_INPUT, message).hint("`/help` lists the commands")
}

/// The list of commands.
pub(super) fn help() -> String {
    let line = |(name, argument, what): (&str, &str, &str)| format!("  {:<14} {what}", format!("/{name}{argument}"));
    let mut lines: Vec<String> = COMMANDS.into_iter().map(line).collect();
    lines.push("  Ctrl-C         cancels the turn; twice, it leaves".to_owned());
    lines.push("  //             begins a message with `/`".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_unless_they_begin_with_a_slash() {
        let parse = |line: &str| Command::parse(line).map_err(|failure| failure.message);
        assert_eq!(parse(" Hello / there "), Ok(Command::Say("Hello / there".to_owned())));
        assert_eq!(parse("//etc/hosts"), Ok(Command::Say("/etc/hosts".to_owned())));
        assert_eq!(parse("/fork"), Ok(Command::Fork(None)));
        assert_eq!(parse("/fork 2"), Ok(Command::Fork(Some(2))));
        assert_eq!(parse("/edit a new text"), Ok(Command::Edit(Some("a new text".to_owned()))));
        assert_eq!(parse("/fork two").unwrap_err(), "expected the number of a turn after `/fork`, found `two`");
        assert_eq!(parse("/retry now").unwrap_err(), "`/retry` takes nothing, found `now`");
        assert_eq!(Command::parse("/usge").unwrap_err().hint.as_deref(), Some("did you mean `usage`?"));
    }

    #[test]
    fn help_names_every_command_that_is_read() {
        for (name, ..) in COMMANDS {
            assert!(Command::parse(&format!("/{name}")).is_ok(), "{name}");
        }
    }
}
