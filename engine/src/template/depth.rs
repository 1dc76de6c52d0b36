//! Refuses templates that are nested too deep, before anything recurses over them.

use minijinja::machinery::{self, Token};

use super::{
    TemplateError,
    parse::{range, syntax},
};
use crate::codes;

/// How deep brackets and blocks may be nested in each other. The parser and the compiler recurse.
const MAX_DEPTH: usize = 128;
/// How many operators may stand in one chain: `a ~ b ~ c`, `a.b.c | d`. Each nests the syntax tree by one.
const MAX_CHAIN: usize = 256;

/// Refuses what would make the parser, the compiler or the walks over the tree recurse too deep.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    let mut depth = Depth::default();
    for token in machinery::tokenize(source, false, syntax()) {
        // What the lexer refuses, the parser refuses too, with the same message.
        let Ok((token, span)) = token else { return Ok(()) };
        depth.take(&token);
        if depth.is_exceeded() {
            return Err(TemplateError::new(
                codes::TEMPLATE_TOO_DEEP,
                range(span),
                format!(
                    "expected at most {MAX_DEPTH} levels of nesting and {MAX_CHAIN} operators in a chain, found more"
                ),
            )
            .hint("compute parts of it in nodes of their own, or with `{% set %}`"));
        }
    }
    Ok(())
}

/// Counts how deep a position of a template is nested.
#[derive(Default)]
struct Depth {
    /// The number of operators of each open bracket, innermost last; a comma starts again.
    chains: Vec<usize>,
    /// The open blocks, and each `elif`, which nests like a block.
    blocks: Vec<usize>,
    /// Whether the token before opened a tag.
    starts_tag: bool,
    /// Whether a `{% set ... %}` is open that may be a block.
    set: bool,
}

impl Depth {
    fn take(&mut self, token: &Token<'_>) {
        let starts_tag = std::mem::replace(&mut self.starts_tag, false);
        match token {
            Token::VariableStart | Token::BlockStart => {
                self.chains = vec![0];
                self.starts_tag = matches!(token, Token::BlockStart);
            }
            Token::BlockEnd if std::mem::take(&mut self.set) => self.blocks.push(1),
            Token::Ident(name) if starts_tag => self.tag(name),
            Token::Assign if self.chains.len() == 1 => self.set = false,
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.operator();
                self.chains.push(0);
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.chains.pop();
            }
            Token::Comma => {
                if let Some(chain) = self.chains.last_mut() {
                    *chain = 0;
                }
            }
            token if is_operator(token) => self.operator(),
            _ => {}
        }
    }

    fn tag(&mut self, name: &str) {
        match name {
            "if" | "for" | "with" | "filter" | "macro" | "call" | "autoescape" => self.blocks.push(1),
            "set" => self.set = true,
            "elif" => {
                if let Some(block) = self.blocks.last_mut() {
                    *block += 1;
                }
            }
            name if name.starts_with("end") => {
                self.blocks.pop();
            }
            _ => {}
        }
    }

    fn operator(&mut self) {
        if let Some(chain) = self.chains.last_mut() {
            *chain += 1;
        }
    }

    fn is_exceeded(&self) -> bool {
        let blocks: usize = self.blocks.iter().sum();
        self.chains.len() + blocks > MAX_DEPTH || self.chains.iter().sum::<usize>() > MAX_CHAIN
    }
}

fn is_operator(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(name) => matches!(*name, "and" | "or" | "not" | "if" | "else" | "is" | "in"),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::FloorDiv | Token::Pow | Token::Mod => true,
        token => matches!(
            token,
            Token::Dot
                | Token::Tilde
                | Token::Pipe
                | Token::Eq
                | Token::Ne
                | Token::Lt
                | Token::Lte
                | Token::Gt
                | Token::Gte
        ),
    }
}
