//! The one minijinja environment: strict, with our filters and tests and without clocks, chance or debugging.

use std::sync::LazyLock;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior,
    value::{Rest, Value as Jinja, ValueKind},
};

use super::{compare, docs, library, object::NodeObject, parse, text};
use crate::scope::NodeView;

/// How much work one rendering may do: roughly, one per operation and one per 64 bytes of text.
pub(super) const FUEL: u64 = 1_000_000;

/// The environment that expressions are compiled in.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_syntax(parse::syntax());
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(128);
    env.set_debug(true);
    env.set_formatter(text::format);
    env.remove_global("debug");
    for name in ["safe", "pprint"] {
        env.remove_filter(name);
    }
    for name in ["safe", "escaped", "filter", "test", "sameas"] {
        env.remove_test(name);
    }
    library::add(&mut env);
    add_internal(&mut env);
    add_tests(&mut env);
    env
}

fn add_internal(env: &mut Environment<'static>) {
    env.add_filter("__compare", |left: &Jinja, right: &Jinja, operator: &str| compare::compare(left, right, operator));
    env.add_filter("__compare_all", compare::compare_all);
    env.add_filter("__concat", concat);
    env.add_filter("__get", get);
    env.add_filter("__chain", chain);
}

fn add_tests(env: &mut Environment<'static>) {
    env.add_test("ran", |value: &Jinja| node(value).map(NodeView::has_value));
    env.add_test("failed", |value: &Jinja| {
        node(value).map(|view| matches!(view, NodeView::Ended { error: Some(_), .. }))
    });
    env.add_test("skipped", |value: &Jinja| node(value).map(|view| matches!(view, NodeView::Skipped)));
    env.add_test("defined", |value: &Jinja| !value.is_undefined() && !is_valueless(value));
    env.add_test("undefined", |value: &Jinja| value.is_undefined() || is_valueless(value));
    env.add_test("none", |value: &Jinja| value.is_none() || is_valueless(value));
    for (names, operator) in [
        (["lt", "lessthan", "<"], "<"),
        (["gt", "greaterthan", ">"], ">"),
        (["le", "<=", "<="], "<="),
        (["ge", ">=", ">="], ">="),
    ] {
        for name in names {
            env.add_test(name, move |left: &Jinja, right: &Jinja| compare::compare(left, right, operator));
        }
    }
}

/// The node that `is ran` and its like ask about.
fn node(value: &Jinja) -> Result<&NodeView, Error> {
    match value.downcast_object_ref::<NodeObject>() {
        Some(node) => Ok(node.view()),
        None => Err(text::fault("expected a node before `is ran`, `is failed` or `is skipped`, found another value")),
    }
}

/// A node without a value counts as `null`.
pub(super) fn is_valueless(value: &Jinja) -> bool {
    value.downcast_object_ref::<NodeObject>().is_some_and(|node| !node.view().has_value())
}

/// `__concat`: `a ~ b`.
fn concat(left: &Jinja, right: &Jinja, _operator: &str) -> Result<String, Error> {
    let mut text = text::of(left)?;
    let right = text::of(right)?;
    if text.len() + right.len() > text::MAX_TEXT {
        return Err(text::too_large());
    }
    text.push_str(&right);
    Ok(text)
}

/// `__get`: a member or item of something that may be missing.
fn get(value: &Jinja, key: &Jinja) -> Result<Jinja, Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Jinja::UNDEFINED),
        _ => value.get_item(key),
    }
}

/// `__chain`: a filter on something that may be missing.
fn chain(
    state: &mut State<'_, '_>,
    value: &Jinja,
    filter: &str,
    rest: Rest<minijinja::value::ValueOrKwargs>,
) -> Result<Jinja, Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(Jinja::UNDEFINED);
    }
    if !docs::filters().iter().any(|doc| doc.name == filter) {
        return Err(Error::new(ErrorKind::UnknownFilter, format!("unknown filter `{filter}`")));
    }
    let mut arguments = vec![value.clone()];
    arguments.extend(rest.0.into_iter().map(minijinja::value::ValueOrKwargs::into_value));
    state.apply_filter(filter, &arguments)
}
