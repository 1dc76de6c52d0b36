//! What is small enough to be handled between two awaits.

use liteagent_engine::value::Value;

/// So many bytes are written, read or checked in less than a moment.
pub(super) const SMALL: usize = 32 << 10;

/// Whether the JSON of a value has about [`SMALL`] bytes at most. It looks at no more than that.
pub(super) fn is_small(value: &Value) -> bool {
    rest(value, SMALL).is_some()
}

/// What is left of a number of bytes; `None` when they do not suffice.
fn rest(value: &Value, bytes: usize) -> Option<usize> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => bytes.checked_sub(8),
        Value::String(text) => bytes.checked_sub(text.len() + 2),
        Value::List(items) => items.iter().try_fold(bytes, |bytes, item| rest(item, bytes)),
        Value::Object(members) => {
            members.iter().try_fold(bytes, |bytes, (key, value)| rest(value, bytes.checked_sub(key.len() + 4)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use liteagent_engine::value;

    use super::*;

    #[test]
    fn what_is_large_in_one_piece_or_in_many_is_not_small() {
        assert!(is_small(&value!({ "rows": [1, "two", null, { "three": true }] })));
        assert!(!is_small(&value!({ "text": "x".repeat(SMALL) })));
        assert!(!is_small(&value!(vec![0; SMALL])));
    }
}
