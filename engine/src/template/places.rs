//! What an expression may stand for: places in the scope, with the bytes that name them.

use std::{ops::Range, sync::Arc};

use minijinja::machinery::ast::Expr;

use super::{Segment, parse::range};

/// A root with a constant path below it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) root: Arc<str>,
    pub(super) path: Vec<Segment>,
    pub(super) span: Range<usize>,
    /// Whether only some renderings get here.
    pub(super) guarded: bool,
}

impl Place {
    pub(super) fn then(mut self, segment: Segment, end: usize) -> Self {
        self.path.push(segment);
        self.span.end = self.span.end.max(end);
        self
    }

    pub(super) fn guarded_if(mut self, guarded: bool) -> Self {
        self.guarded |= guarded;
        self
    }
}

/// The bytes of an expression. The parser's own spans of chains begin at their last operator.
pub(super) fn span(expr: &Expr<'_>) -> Range<usize> {
    start(expr)..range(expr.span()).end
}

/// Where a member or item of `base` ends; 0 when `base` is in parentheses, so that places in them keep their bytes.
pub(super) fn end_after(expr: &Expr<'_>, base: &Expr<'_>) -> usize {
    match base {
        Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => span(expr).end,
        _ => 0,
    }
}

fn start(expr: &Expr<'_>) -> usize {
    match expr {
        Expr::GetAttr(inner) => start(&inner.expr),
        Expr::GetItem(inner) => start(&inner.expr),
        Expr::Slice(inner) => start(&inner.expr),
        Expr::Call(inner) => start(&inner.expr),
        Expr::Test(inner) => start(&inner.expr),
        Expr::BinOp(inner) => start(&inner.left),
        Expr::Compare(inner) => start(&inner.expr),
        Expr::IfExpr(inner) => start(&inner.true_expr),
        Expr::Filter(inner) => inner.expr.as_ref().map_or(range(inner.span()).start, start),
        other => range(other.span()).start,
    }
}

/// The segment that a subscript stands for: a constant name or index, or any item.
pub(super) fn subscript(expr: &Expr<'_>) -> Segment {
    let value = expr.as_const();
    match value.as_ref().and_then(|value| value.as_str().map(Arc::from)) {
        Some(name) => Segment::Member(name),
        None => Segment::Item(value.filter(minijinja::Value::is_integer).and_then(|value| value.as_i64())),
    }
}

/// Whether a filter gives items of the list it gets, so that what is known of them stays known.
pub(super) fn keeps_items(filter: &str) -> bool {
    matches!(filter, "list" | "sort" | "reverse" | "unique" | "select" | "reject" | "selectattr" | "rejectattr")
}

/// Whether a filter gives one of the items of the list it gets.
pub(super) fn gives_item(filter: &str) -> bool {
    matches!(filter, "first" | "last" | "min" | "max")
}
