//! Errors of the YAML parser, said for authors.

use std::sync::Arc;

use granit_parser::{ErrorKind, ScanError};

use super::{compose, traps};
use crate::{
    codes,
    diagnostic::{Diagnostic, SourceFile, Span},
};

/// The finding for an error of the parser at a byte, within the bracket or brace that was opened at `open`.
pub(super) fn explain(file: &Arc<SourceFile>, at: usize, error: &ScanError, open: Option<usize>) -> Diagnostic {
    let finding = translated(file, at, error);
    let is_on_line = |open: usize| file.text.get(open..at).is_none_or(|between| !between.contains('\n'));
    match open.filter(|open| !is_on_line(*open) && finding.span.range.start > *open) {
        Some(open) => finding.related(Span { file: file.clone(), range: open..open + 1 }, "opened here and not closed"),
        None => finding,
    }
}

fn translated(file: &Arc<SourceFile>, at: usize, error: &ScanError) -> Diagnostic {
    let text = &file.text;
    let span = Span { file: file.clone(), range: at..at + text[at..].chars().next().map_or(0, char::len_utf8) };
    let say = |message: &str| Diagnostic::error(codes::YAML_SYNTAX, span.clone(), message.to_owned());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => compose::too_deep(span),
        kind if is_tab(kind) => traps::tab(tab_near(text, at).map_or(span, |at| Span { file: file.clone(), range: at..at + 1 })),
        ErrorKind::DirectiveDisallowed => {
            say("directives such as `%YAML` are not read").hint("remove the line, or quote a text that begins with `%`")
        }
        ErrorKind::MappingValueNotAllowed => say("expected no `:` here: this line is already a value")
            .label("a second key, or a text with a colon")
            .hint("quote a text that contains `: `, or move the key to a line of its own with the indentation of its siblings"),
        ErrorKind::InvalidColonPlacement | ErrorKind::FlowMappingValueAdjacentCollection => {
            say("expected no `:` inside brackets here").hint("close the bracket before this line, or quote the text")
        }
        ErrorKind::UnclosedQuotedScalar => {
            say("the quote is never closed").label("opened here").hint("close the quote, or write longer texts below `|`")
        }
        ErrorKind::UnclosedFlowCollection { open } => say(&format!("the `{open}` is never closed"))
            .label("opened here")
            .hint(format!("close it with `{}`", if *open == '[' { ']' } else { '}' })),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            say(&format!("a file of text cannot hold the control character U+{:04X}", u32::from(*character)))
                .hint("remove it, or write it as an escape in double quotes: `\"\\x00\"`")
        }
        ErrorKind::UnexpectedCharacter { character } => say(&format!("a text cannot begin with `{character}`"))
            .hint("put the text in quotes"),
        ErrorKind::UnknownQuotedScalarEscape => say("unknown escape in a text in double quotes")
            .hint("write `\\\\` for a backslash, or use single quotes"),
        ErrorKind::ExpectedFlowMappingSeparator => say("expected `,` or `}` in a map in braces")
            .hint("quote texts that contain `{`, `}`, `[`, `]` or `,`, and close the map"),
        ErrorKind::ExpectedFlowSequenceSeparator => say("expected `,` or `]` in a list in brackets")
            .hint("quote texts that contain `{`, `}`, `[`, `]` or `,`, and close the list"),
        ErrorKind::ExpectedBlockMappingKey => say("expected `key: value` here")
            .hint("give the line the indentation of the keys around it, and quote texts that begin with a bracket"),
        ErrorKind::SimpleKeyExpected => say("expected `:` after the key")
            .hint("write `key: value`; longer texts go in quotes or below `|`"),
        ErrorKind::InvalidIndentation => say("this line is indented in another way than its siblings")
            .hint("give it the indentation of the lines around it"),
        _ => say(&lower_first(&error.info())),
    }
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::InvalidBlockEntryWhitespace
    )
}

/// The tab on this line or the one before that the parser means.
fn tab_near(text: &str, at: usize) -> Option<usize> {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[line..].find('\n').map_or(text.len(), |end| line + end);
    text[line..end].find('\t').map(|tab| line + tab).or_else(|| text[..at].rfind('\t'))
}

fn lower_first(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ").replace('`', "'");
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}
