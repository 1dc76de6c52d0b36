//! Constant paths, resolved without minijinja.

use std::{fmt, ops::Range, sync::Arc};

use minijinja::machinery::ast::Expr;

use super::{Segment, docs, places};
use crate::{
    scope::{NodeView, Root, Scope},
    value::Value,
};

/// `search.documents[0].title`.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) root: Arc<str>,
    pub(super) segments: Vec<Segment>,
    pub(super) span: Range<usize>,
}

/// Why a path leads nowhere.
#[derive(Debug)]
pub(super) enum Missing<'a> {
    /// Nothing has the name of the root.
    Root,
    /// The node has no value.
    Node(&'a NodeView),
    /// What the first `taken` segments lead to has no such member or item.
    Step { taken: usize, parent: Value },
}

impl Path {
    /// The path that an expression is; `None` when it is anything else.
    pub(super) fn of(expr: &Expr<'_>) -> Option<Self> {
        let mut segments = Vec::new();
        let mut inner = expr;
        let root = loop {
            match inner {
                Expr::Var(var) => break var.id,
                Expr::GetAttr(attr) => {
                    segments.push(Segment::Member(attr.name.into()));
                    inner = &attr.expr;
                }
                Expr::GetItem(item) => {
                    match places::subscript(&item.subscript_expr) {
                        Segment::Item(None) => return None,
                        segment => segments.push(segment),
                    }
                    inner = &item.expr;
                }
                _ => return None,
            }
        };
        if docs::functions().iter().any(|function| function.name == root) {
            return None;
        }
        segments.reverse();
        Some(Self { root: root.into(), segments, span: places::span(expr) })
    }

    /// What it leads to. A node without a value is `null`.
    pub(super) fn resolve<'a>(&self, scope: &'a Scope) -> Result<Value, Missing<'a>> {
        resolve(&self.root, &self.segments, scope)
    }
}

/// What a root and segments lead to.
pub(super) fn resolve<'a>(root: &str, segments: &[Segment], scope: &'a Scope) -> Result<Value, Missing<'a>> {
    match scope.get(root).ok_or(Missing::Root)? {
        Root::Value(value) => follow(value, segments, 0),
        Root::Node(view) => match segments.first() {
            None => Ok(output(view).cloned().unwrap_or_default()),
            Some(Segment::Member(name)) if &**name == "ok" => follow(view.ok().into(), segments, 1),
            Some(Segment::Member(name)) if &**name == "error" => follow(view.error(), segments, 1),
            Some(_) => follow(output(view).cloned().ok_or(Missing::Node(view))?, segments, 0),
        },
    }
}

fn output(view: &NodeView) -> Option<&Value> {
    match view {
        NodeView::Ended { output, .. } if !output.is_null() => Some(output),
        _ => None,
    }
}

fn follow<'a>(value: Value, segments: &[Segment], from: usize) -> Result<Value, Missing<'a>> {
    let mut value = value;
    for (position, segment) in segments.iter().enumerate().skip(from) {
        let next = match (segment, &value) {
            (Segment::Member(name), Value::Object(members)) => members.get(&**name),
            (Segment::Item(Some(index)), Value::List(items)) => item(items, *index),
            _ => None,
        };
        value = match next {
            Some(next) => next.clone(),
            None => return Err(Missing::Step { taken: position, parent: value }),
        };
    }
    Ok(value)
}

/// An item by its index, counted from the end when negative.
fn item(items: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { items.len() as i64 + index } else { index };
    items.get(usize::try_from(index).ok()?)
}

/// A root with segments, as an author writes it.
pub(super) struct Shown<'a>(pub(super) &'a str, pub(super) &'a [Segment]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        for segment in self.1 {
            match segment {
                Segment::Member(name) if is_name(name) => write!(f, ".{name}")?,
                Segment::Member(name) => write!(f, "['{name}']")?,
                Segment::Item(Some(index)) => write!(f, "[{index}]")?,
                Segment::Item(None) => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
