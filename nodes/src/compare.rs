//! Equality and order of values, as nodes that compare see them.

use std::cmp::Ordering;

use liteagent_engine::value::Value;

/// Whether two values are equal. Numbers are compared by value, so `1` is `1.0`; other types only with their own.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => numbers(left, right) == Some(Ordering::Equal),
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

/// The order of two numbers, two texts or two booleans; `None` for anything else and for unlike types.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => numbers(left, right),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Integers are compared exactly, anything else as doubles.
fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    let (Value::Number(a), Value::Number(b)) = (left, right) else { return None };
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use liteagent_engine::value;

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_types_never_mix() {
        assert!(equal(&value!({ "a": [1, 2.0] }), &value!({ "a": [1.0, 2] })));
        assert!(!equal(&value!("1"), &value!(1)));
        assert!(!equal(&value!(true), &value!(1)));
        assert!(!equal(&value!(9_007_199_254_740_993_i64), &value!(9_007_199_254_740_992_i64)));
        assert_eq!(order(&value!(2), &value!(1.5)), Some(Ordering::Greater));
        assert_eq!(order(&value!(null), &value!(1)), None);
    }
}
