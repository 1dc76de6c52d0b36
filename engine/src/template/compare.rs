//! Comparing: only like with like.

use minijinja::{
    Error, State,
    value::{Rest, Value as Jinja, ValueKind},
};

use super::{
    object::kind,
    text::{Hint, fault},
};

/// `__compare`: `<`, `<=`, `>`, `>=`.
pub(super) fn compare(left: &Jinja, right: &Jinja, operator: &str) -> Result<bool, Error> {
    let like = match (left.kind(), right.kind()) {
        (ValueKind::Undefined, _) | (_, ValueKind::Undefined) => {
            return Err(Error::from(minijinja::ErrorKind::UndefinedError));
        }
        (ValueKind::Number | ValueKind::String | ValueKind::Bool | ValueKind::Seq, kind) => left.kind() == kind,
        _ => false,
    };
    if !like {
        let message = format!("cannot compare {} with {} by `{operator}`", kind(left), kind(right));
        return Err(fault(message).with_source(Hint(hint(left, right).to_owned())));
    }
    Ok(match operator {
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left >= right,
    })
}

fn hint(left: &Jinja, right: &Jinja) -> &'static str {
    match (left.kind(), right.kind()) {
        (ValueKind::None, _) | (_, ValueKind::None) => "write `| default(...)` after what may be null",
        (ValueKind::String, ValueKind::Number) | (ValueKind::Number, ValueKind::String) => {
            "make the text a number with `| float` or `| int`"
        }
        _ => "compare numbers with numbers and texts with texts",
    }
}

/// `__compare_all`: `a < b <= c`; operators and operands in turn.
pub(super) fn compare_all(state: &mut State<'_, '_>, first: Jinja, rest: Rest<Jinja>) -> Result<bool, Error> {
    let mut left = first;
    for pair in rest.chunks_exact(2) {
        let right = pair[1].clone();
        let holds = match pair[0].as_str().unwrap_or_default() {
            "==" => left == right,
            "!=" => left != right,
            "in" => state.perform_test("in", &[left, right.clone()])?,
            "not in" => !state.perform_test("in", &[left, right.clone()])?,
            operator => compare(&left, &right, operator)?,
        };
        if !holds {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}
