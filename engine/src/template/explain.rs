//! Failures of a rendering in words: which expression, what was missing, what to write instead.

use std::ops::Range;

use minijinja::{Error, ErrorKind};

use super::{
    Inner, Reads, Segment,
    docs::closest,
    environment::FUEL,
    path::{self, Missing, Shown},
    text::{Hint, MAX_TEXT},
};
use crate::{
    codes,
    error::{ErrorClass, NodeError},
    scope::{NodeView, Scope},
    value::Value,
};

/// An error of minijinja, at the bytes of the template where it arose.
pub(super) fn failure(template: &Inner, scope: &Scope, error: &Error, at: Option<Range<usize>>) -> NodeError {
    let at = at.unwrap_or(0..template.source.len());
    let described = match error.kind() {
        ErrorKind::OutOfFuel if error.detail().is_none() => too_much_work(),
        ErrorKind::OutOfFuel | ErrorKind::WriteFailure => too_large(),
        ErrorKind::UndefinedError => undefined(template, scope, at),
        _ if error.detail() == Some("recursion limit exceeded") => too_deep(),
        kind => {
            let detail = error.detail().map_or_else(|| kind.to_string(), str::to_owned);
            invalid(format!("`{}`: {detail}", excerpt(&template.source, at)))
        }
    };
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<Hint>()) {
        Some(hint) => described.hint(&*hint.0),
        None => described,
    }
}

/// A path that leads nowhere.
pub(super) fn missing(root: &str, segments: &[Segment], missing: &Missing<'_>) -> NodeError {
    let whole = Shown(root, segments);
    match missing {
        Missing::Root => invalid(format!("`{root}` is not known here")).hint("name a node, or a root such as `inputs`"),
        Missing::Node(view) => node(root, &whole, view),
        Missing::Step { taken, parent } => step(root, segments, *taken, parent),
    }
}

fn node(root: &str, whole: &Shown<'_>, view: &NodeView) -> NodeError {
    let (how, guard) = match view {
        NodeView::Skipped => ("was skipped", root.to_owned()),
        NodeView::Ended { error: Some(_), .. } => ("failed", format!("{root}.ok")),
        NodeView::Ended { .. } => ("ended without an output", root.to_owned()),
        NodeView::Unsettled => ("has not ended", root.to_owned()),
    };
    invalid(format!("`{root}` {how}, so `{whole}` has no value"))
        .hint(format!("guard it, as in `{{{{ {whole} if {guard} else '' }}}}`"))
}

fn step(root: &str, segments: &[Segment], taken: usize, parent: &Value) -> NodeError {
    let before = Shown(root, &segments[..taken]);
    match (&segments[taken], parent) {
        (_, Value::Null) => invalid(format!("`{before}` is null, so `{}` has no value", Shown(root, segments)))
            .hint("write `| default('')` after it, or another value for that case"),
        (Segment::Member(name), Value::Object(members)) => {
            let known = members.keys().map(|key| &**key);
            let hint = match closest(name, known.clone()) {
                Some(close) => format!("did you mean `{close}`?"),
                None if members.is_empty() => "write `| default('')` after it if it may be missing".to_owned(),
                None => format!("it has {}; write `| default('')` if `{name}` may be missing", list(known)),
            };
            invalid(format!("`{before}` has no member `{name}`")).hint(hint)
        }
        (Segment::Item(Some(index)), Value::List(items)) => {
            let items = match items.len() {
                1 => "1 item".to_owned(),
                count => format!("{count} items"),
            };
            invalid(format!("`{before}` has {items}, found the index {index}"))
                .hint("test its `length` first, or write `| default('')` after it")
        }
        (Segment::Member(name), other) => {
            invalid(format!("`{before}` is {}, which has no member `{name}`", other.kind()))
        }
        (Segment::Item(_), other) => invalid(format!("`{before}` is {}, which has no items", other.kind())),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.map(|name| format!("`{name}`"));
    let shown: Vec<_> = names.by_ref().take(8).collect();
    let more = names.count();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Something undefined in a part of a template: the reference in it that leads nowhere says why.
fn undefined(template: &Inner, scope: &Scope, at: Range<usize>) -> NodeError {
    let inside = template.references.iter().filter(|reference| {
        reference.reads != Reads::Outcome && at.start <= reference.span.start && reference.span.end <= at.end
    });
    for reference in inside {
        if let Err(reason) = path::resolve(&reference.root, &reference.path, scope)
            && !reference.path.contains(&Segment::Item(None))
        {
            return missing(&reference.root, &reference.path, &reason);
        }
    }
    invalid(format!("`{}` is undefined", excerpt(&template.source, at)))
        .hint("write `| default('')` after it if it may be missing")
}

/// The text of an expression, with the parentheses that its bytes leave out, cut when long.
fn excerpt(source: &str, at: Range<usize>) -> String {
    let mut start = at.start;
    let count = |text: &str, bracket: char| text.matches(bracket).count();
    while count(&source[start..at.end], ')') > count(&source[start..at.end], '(') {
        match source[..start].rfind('(') {
            Some(open) => start = open,
            None => break,
        }
    }
    let text = source[start..at.end].trim();
    if text.chars().count() <= 120 { text.to_owned() } else { text.chars().take(117).chain("...".chars()).collect() }
}

/// A failure of class `invalid`.
pub(super) fn invalid(message: impl Into<String>) -> NodeError {
    NodeError::new(codes::TEMPLATE_FAILED, ErrorClass::Invalid, message)
}

fn too_much_work() -> NodeError {
    NodeError::new(codes::TEMPLATE_FUEL, ErrorClass::LimitExceeded, format!("the template did more than {FUEL} steps"))
        .hint("do the work in a node, such as `list-operator`, or over fewer items")
}

fn too_deep() -> NodeError {
    let message = "the template calls its macros or loops more than 128 levels deep";
    NodeError::new(codes::TEMPLATE_FUEL, ErrorClass::LimitExceeded, message).hint("let the macro end before that")
}

/// The failure of a text that outgrew its limit.
pub(super) fn too_large() -> NodeError {
    let limit = format!("the template gives more than {} MiB", MAX_TEXT >> 20);
    NodeError::new(codes::TEMPLATE_FUEL, ErrorClass::LimitExceeded, limit)
        .hint("write large texts to files, and pass the files on")
}
