//! Plain scalars to values, by the core schema of YAML 1.2.

use serde_json::{Number, Value};

/// What a plain scalar stands for.
///
/// # Errors
/// When it is a number that JSON cannot hold: `.inf`, `.nan`, an integer of more than 64 bits.
pub(super) fn plain(text: &str) -> Result<Value, ()> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(number(text).ok_or(())?),
        _ => Value::String(text.to_owned()),
    })
}

/// What a scalar with a core tag (`!!int`) stands for; `None` when it does not fit.
pub(super) fn tagged(text: &str, suffix: &str) -> Option<Value> {
    if suffix == "str" {
        return Some(Value::String(text.to_owned()));
    }
    let value = plain(text).ok()?;
    match (suffix, &value) {
        ("null", Value::Null) | ("bool", Value::Bool(_)) | ("float", Value::Number(_)) => Some(value),
        ("int", Value::Number(number)) if !number.is_f64() => Some(value),
        _ => None,
    }
}

/// Whether tools of YAML 1.1 read this plain scalar as a boolean, and YAML 1.2 as text.
pub(super) fn old_boolean(text: &str) -> Option<bool> {
    if text.len() > 3 {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// Whether a plain scalar is a number of the core schema.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let has_digits = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    match digits {
        ".inf" | ".Inf" | ".INF" => true,
        ".nan" | ".NaN" | ".NAN" => digits.len() == text.len(),
        _ => has_digits("0x", 16) || has_digits("0o", 8) || is_float(digits),
    }
}

/// The number, unless JSON cannot hold it.
fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return u64::from_str_radix(rest, radix).ok().map(Number::from);
        }
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    if signed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        let number = signed.parse::<i64>().map(Number::from);
        return number.or_else(|_| signed.parse::<u64>().map(Number::from)).ok();
    }
    signed.parse::<f64>().ok().and_then(Number::from_f64)
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("12", json!(12)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("017", json!(17)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("-", json!("-")),
            (".", json!(".")),
            ("1_000", json!("1_000")),
            ("1e", json!("1e")),
            ("12:30", json!("12:30")),
            ("18446744073709551615", json!(u64::MAX)),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        for text in [".inf", "-.inf", ".nan", "18446744073709551616", "1e999"] {
            assert_eq!(plain(text), Err(()), "{text}");
        }
    }
}
