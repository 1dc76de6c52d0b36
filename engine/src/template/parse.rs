//! Template text to syntax tree, with errors that say what to write.

use std::ops::Range;

use minijinja::{
    machinery::{self, Span, Token, ast},
    syntax::SyntaxConfig,
};

use super::{TemplateError, depth};
use crate::codes;

/// A parsed template.
pub(super) struct Tree<'a>(ast::Stmt<'a>);

impl<'a> Tree<'a> {
    /// Its statements.
    pub(super) fn statements(&self) -> &[ast::Stmt<'a>] {
        match &self.0 {
            ast::Stmt::Template(template) => &template.children,
            other => std::slice::from_ref(other),
        }
    }

    /// The expression of a template that is a lone `{{ expr }}`.
    pub(super) fn lone(&self, source: &str) -> Option<&ast::Expr<'a>> {
        if !source.trim_start().starts_with("{{") {
            return None;
        }
        let mut lone = None;
        for statement in self.statements() {
            match statement {
                ast::Stmt::EmitExpr(emit) if lone.is_none() => lone = Some(&emit.expr),
                ast::Stmt::EmitRaw(raw) if raw.raw.trim().is_empty() => {}
                _ => return None,
            }
        }
        lone.filter(|_| source.trim_end().ends_with("}}"))
    }
}

/// Jinja's syntax, except that the last newline of a text is kept, as in a text without templates.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the default delimiters differ from each other")
}

/// The bytes of a span.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Parses a template.
pub(super) fn parse(source: &str) -> Result<Tree<'_>, TemplateError> {
    depth::check(source)?;
    machinery::parse(source, "template", syntax()).map(Tree).map_err(|error| syntax_error(source, &error))
}

fn syntax_error(source: &str, error: &minijinja::Error) -> TemplateError {
    let detail = error.detail().unwrap_or("the syntax is not that of Jinja");
    let at = clip(source, error.range().unwrap_or(source.len()..source.len()));
    if detail.contains("recursion") {
        return TemplateError::new(codes::TEMPLATE_TOO_DEEP, at, "expected less nesting, found more than 128 levels")
            .hint("compute parts of it in nodes of their own, or with `{% set %}`");
    }
    if let Some(statement) = detail.strip_prefix("unknown statement ") {
        return unknown_statement(source, at, statement);
    }
    if detail.contains("unexpected end of string") {
        return TemplateError::new(codes::TEMPLATE_UNCLOSED, at, "a text in quotes is never closed")
            .hint("write the same quote after it");
    }
    let closes = source[at.start..].contains("}}") || source[at.start..].contains("%}");
    if detail.contains("unexpected end of") && !detail.contains("variable block") || !closes {
        return unclosed(source, at);
    }
    if detail.contains("end of variable block") && source[..at.start].trim_end().ends_with("{{") {
        let message = "expected an expression between `{{` and `}}`, found nothing";
        return TemplateError::new(codes::TEMPLATE_EMPTY, at, message)
            .hint("write an expression such as `{{ inputs.name }}`");
    }
    let message = match &source[at.clone()] {
        character if detail == "unexpected character" => format!("expected an expression, found `{character}`"),
        _ => readable(detail),
    };
    let hint = foreign(source, &at).unwrap_or("write expressions as in Jinja; `docs/reference/templates.md` lists all");
    TemplateError::new(codes::TEMPLATE_SYNTAX, at, message).hint(hint)
}

/// What to write in place of an operator of other languages.
fn foreign(source: &str, at: &Range<usize>) -> Option<&'static str> {
    let around = (source[..at.start].chars().next_back(), &source[at.clone()]);
    match around {
        (_, "&") => Some("write `and`"),
        (Some('|'), "|") => Some("write `or`"),
        (_, "?") => Some("write `{{ value if condition else other }}`"),
        (_, "!") => Some("write `not`"),
        (Some('='), "=") => Some("write `==`"),
        (_, "=") => Some("compare with `==`"),
        _ => None,
    }
}

fn unknown_statement(source: &str, at: Range<usize>, name: &str) -> TemplateError {
    if let (Some(end), Some((_, open))) = (name.strip_prefix("end"), open_block(&source[..at.start]))
        && end != open
    {
        let message = format!("expected `{{% end{open} %}}`, found `{{% {name} %}}`");
        return TemplateError::new(codes::TEMPLATE_UNCLOSED, at, message).hint(format!("close `{{% {open} %}}` first"));
    }
    let message = format!("`{{% {name} %}}` is no tag that templates have");
    let error = TemplateError::new(codes::TEMPLATE_TAG, at, message);
    match name {
        "include" | "import" | "from" | "extends" | "block" => {
            error.hint("put the text into one file and use it with `{ file: prompts/NAME.md }`")
        }
        "endif" | "endfor" | "endwith" | "endset" | "endmacro" | "endcall" | "endfilter" | "else" | "elif" => {
            error.hint(format!("remove `{{% {name} %}}`, or open its block before it"))
        }
        _ => error.hint("use one of `if`, `for`, `set`, `with`, `filter`, `macro`, `call`, `do`, `break`, `continue`"),
    }
}

fn unclosed(source: &str, at: Range<usize>) -> TemplateError {
    let before = &source[..at.end];
    let open = ["{{", "{%", "{#"].iter().filter_map(|open| before.rfind(open)).max().unwrap_or(at.start);
    let tag = &source[open..];
    let close = match tag.as_bytes().get(1) {
        Some(b'%') => "%}",
        Some(b'#') => "#}",
        _ => "}}",
    };
    if close == "%}" && tag.contains("%}") {
        return match open_block(source) {
            Some((block, name)) => {
                TemplateError::new(codes::TEMPLATE_UNCLOSED, block, format!("`{{% {name} %}}` is never closed"))
                    .hint(format!("write `{{% end{name} %}}` where its text ends"))
            }
            None => TemplateError::new(codes::TEMPLATE_UNCLOSED, at, "a block is never closed")
                .hint("write `{% end... %}` where its text ends"),
        };
    }
    TemplateError::new(codes::TEMPLATE_UNCLOSED, open..open + 2, format!("`{}` is never closed", &tag[..2]))
        .hint(format!("write `{close}` after it"))
}

/// The innermost block that is open at the end of a text.
fn open_block(source: &str) -> Option<(Range<usize>, &str)> {
    let mut open: Vec<(Range<usize>, &str)> = Vec::new();
    let mut starts_tag = false;
    for (token, span) in machinery::tokenize(source, false, syntax()).map_while(Result::ok) {
        let started = std::mem::replace(&mut starts_tag, matches!(token, Token::BlockStart));
        let Token::Ident(name) = token else { continue };
        match name {
            _ if !started => {}
            "if" | "for" | "with" | "filter" | "macro" | "call" | "set" => {
                open.push((range(span), &source[range(span)]));
            }
            name if name.starts_with("end") => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Keeps a range inside a text and on borders of characters.
fn clip(source: &str, range: Range<usize>) -> Range<usize> {
    let end = source.ceil_char_boundary(range.end.min(source.len()));
    source.floor_char_boundary(range.start.min(end))..end
}

/// `unexpected x, expected y` in the words of all messages.
fn readable(detail: &str) -> String {
    let named = detail
        .replace("end of variable block", "`}}`")
        .replace("end of block", "`%}`")
        .replace("start of variable block", "`{{`")
        .replace("start of block", "`{%`");
    match named.strip_prefix("unexpected ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => format!("expected {expected}, found {found}"),
        None => named,
    }
}
