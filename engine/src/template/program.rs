//! A compiled template and its rendering.

use std::{ops::Range, sync::Arc};

use minijinja::{Environment, Expression, machinery::ast::Stmt, value::Value as Jinja};

use super::{
    Inner, TemplateError,
    environment::ENVIRONMENT,
    explain,
    lower::Lowered,
    object::{RootObject, from_jinja},
    parse::Tree,
    path::Path,
    places,
    text::{self, Limited, MAX_TEXT},
    url,
};
use crate::{codes, error::NodeError, scope::Scope, value::Value};

/// The name of the one template of a block's environment.
const NAME: &str = "template";

/// What is done at a rendering.
pub(super) enum Program {
    /// A lone `{{ expr }}`.
    Lone(Code),
    /// Text with only `{{ expr }}` in it.
    Text(Vec<Piece>),
    /// Text with blocks: an environment of its own with this one template.
    Blocks { env: Box<Environment<'static>>, lowered: Lowered },
}

/// A piece of a text.
pub(super) enum Piece {
    /// Text as it is.
    Literal(Box<str>),
    /// An expression; `raw_url` when it says that a URL takes it as it is.
    Code { code: Code, raw_url: bool },
}

/// A compiled expression.
pub(super) enum Code {
    /// A constant path.
    Path(Path),
    /// Anything else.
    Expression { expression: Box<Expression<'static, 'static>>, lowered: Lowered, span: Range<usize> },
}

impl Program {
    /// Compiles a template that has no findings.
    pub(super) fn new(source: &str, tree: &Tree<'_>) -> Result<Self, TemplateError> {
        if let Some(expr) = tree.lone(source) {
            return Code::new(expr).map(Self::Lone);
        }
        let pieces = tree.statements().iter().map(|statement| match statement {
            Stmt::EmitRaw(raw) => Some(Ok(Piece::Literal(raw.raw.into()))),
            Stmt::EmitExpr(emit) => {
                let raw_url = url::is_raw(&emit.expr);
                Some(Code::new(&emit.expr).map(|code| Piece::Code { code, raw_url }))
            }
            _ => None,
        });
        match pieces.collect::<Option<Result<Vec<_>, _>>>() {
            Some(pieces) => pieces.map(Self::Text),
            None => Self::blocks(source, tree),
        }
    }

    fn blocks(source: &str, tree: &Tree<'_>) -> Result<Self, TemplateError> {
        let lowered = Lowered::statements(tree.statements());
        let mut env = ENVIRONMENT.clone();
        env.add_template_owned(NAME, lowered.text.clone())
            .map_err(|error| refused(&error, &lowered, 0..source.len()))?;
        Ok(Self::Blocks { env: Box::new(env), lowered })
    }

    pub(super) fn is_expression(&self) -> bool {
        matches!(self, Self::Lone(_))
    }

    pub(super) fn render(&self, template: &Inner, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        match self {
            Self::Lone(code) => code.value(template, scope),
            _ => self.render_text(template, scope).map(Value::from),
        }
    }

    pub(super) fn render_text(&self, template: &Inner, scope: &Arc<Scope>) -> Result<String, NodeError> {
        match self {
            Self::Lone(code) => code.text(template, scope),
            Self::Text(pieces) => {
                let mut out = String::new();
                for piece in pieces {
                    append(&mut out, &piece.text(template, scope)?)?;
                }
                Ok(out)
            }
            Self::Blocks { env, lowered } => blocks_text(env, lowered, template, scope),
        }
    }

    pub(super) fn render_url(&self, template: &Inner, scope: &Arc<Scope>) -> Result<String, NodeError> {
        let pieces = match self {
            Self::Lone(code) => return code.text(template, scope),
            Self::Text(pieces) => pieces,
            Self::Blocks { .. } => {
                return Err(explain::invalid("expected a URL with `{{ ... }}` only, found one with `{% ... %}`")
                    .hint("write `{{ a if condition else b }}`"));
            }
        };
        let mut out = String::new();
        let mut after_host = false;
        for piece in pieces {
            let text = piece.text(template, scope)?;
            let inserted = matches!(piece, Piece::Code { raw_url: false, .. });
            after_host = after_host || url::is_after_host(&out);
            let text = if inserted && after_host { url::encode(&text) } else { text };
            append(&mut out, &text)?;
        }
        Ok(out)
    }
}

fn append(out: &mut String, text: &str) -> Result<(), NodeError> {
    if out.len() + text.len() > MAX_TEXT {
        return Err(explain::too_large());
    }
    out.push_str(text);
    Ok(())
}

fn blocks_text(
    env: &Environment<'static>,
    lowered: &Lowered,
    template: &Inner,
    scope: &Arc<Scope>,
) -> Result<String, NodeError> {
    let mut out = Limited::default();
    let root = Jinja::from_object(RootObject(scope.clone()));
    env.get_template(NAME)
        .and_then(|compiled| compiled.render_captured_to(root, &mut out).map(drop))
        .and_then(|()| out.into_text())
        .map_err(|error| explain::failure(template, scope, &error, error.range().and_then(|at| lowered.origin(at))))
}

impl Piece {
    pub(super) fn text(&self, template: &Inner, scope: &Arc<Scope>) -> Result<String, NodeError> {
        match self {
            Self::Literal(text) => Ok(text.to_string()),
            Self::Code { code, .. } => code.text(template, scope),
        }
    }
}

impl Code {
    fn new(expr: &minijinja::machinery::ast::Expr<'_>) -> Result<Self, TemplateError> {
        if let Some(path) = Path::of(expr) {
            return Ok(Self::Path(path));
        }
        let lowered = Lowered::expression(expr);
        let span = places::span(expr);
        let expression = ENVIRONMENT
            .compile_expression_owned(lowered.text.clone())
            .map_err(|error| refused(&error, &lowered, span.clone()))?;
        Ok(Self::Expression { expression: Box::new(expression), lowered, span })
    }

    fn value(&self, template: &Inner, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        match self {
            Self::Path(path) => {
                path.resolve(scope).map_err(|missing| explain::missing(&path.root, &path.segments, &missing))
            }
            Self::Expression { expression, lowered, span } => {
                let root = Jinja::from_object(RootObject(scope.clone()));
                expression.eval(root).and_then(|value| from_jinja(&value)).map_err(|error| {
                    let at = error.range().and_then(|at| lowered.origin(at)).unwrap_or_else(|| span.clone());
                    explain::failure(template, scope, &error, Some(at))
                })
            }
        }
    }

    fn text(&self, template: &Inner, scope: &Arc<Scope>) -> Result<String, NodeError> {
        let value = self.value(template, scope)?;
        text::of_value(&value).map_err(|error| explain::failure(template, scope, &error, Some(self.span())))
    }

    fn span(&self) -> Range<usize> {
        match self {
            Self::Path(path) => path.span.clone(),
            Self::Expression { span, .. } => span.clone(),
        }
    }
}

/// The compiler refused what the parser took: a limit of minijinja that the checks do not know.
fn refused(error: &minijinja::Error, lowered: &Lowered, whole: Range<usize>) -> TemplateError {
    let at = error.range().and_then(|at| lowered.origin(at)).unwrap_or(whole);
    if error.detail().is_some_and(|detail| detail.contains("recursion")) {
        return TemplateError::new(codes::TEMPLATE_TOO_DEEP, at, "expected less nesting in a template, found more")
            .hint("compute parts of it in nodes of their own, or with `{% set %}`");
    }
    TemplateError::new(codes::TEMPLATE_SYNTAX, at, error.detail().unwrap_or("the template cannot be compiled"))
}
