//! Durations, sizes and money as authors write them: `30s`, `15m`, `10MiB`, `0.50 USD`.

use std::{borrow::Cow, fmt, time::Duration as StdDuration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// A length of time: `500ms`, `30s`, `15m`, `2h`, `1d`. A bare number is an error that says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub StdDuration);

/// A number of bytes: `512B`, `64KiB`, `10MiB`, `1GiB`. A bare number is an error that says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// Money in millionths of a US dollar: `0.50 USD`. A bare number is an error that says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub u64);

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl Duration {
    /// The pattern that editors check.
    pub const PATTERN: &'static str = "^[0-9]+(ms|s|m|h|d)$";

    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(StdDuration::from_secs(seconds))
    }

    /// A duration of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(StdDuration::from_millis(millis))
    }

    /// Whole milliseconds.
    pub fn millis(self) -> Millis {
        Millis::try_from(self.0.as_millis()).unwrap_or(Millis::MAX)
    }

    /// Reads `30s`.
    ///
    /// # Errors
    /// Says what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_unit(text, &DURATION_UNITS)
            .map(Self::from_millis)
            .ok_or_else(|| format!("expected a duration such as `500ms`, `30s`, `15m`, `2h` or `1d`, found `{text}`"))
    }
}

impl Size {
    /// The pattern that editors check.
    pub const PATTERN: &'static str = "^[0-9]+(B|KiB|MiB|GiB)$";

    /// Reads `10MiB`.
    ///
    /// # Errors
    /// Says what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_unit(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| format!("expected a size such as `64KiB`, `10MiB` or `1GiB`, found `{text}`"))
    }
}

impl Money {
    /// The pattern that editors check.
    pub const PATTERN: &'static str = r"^[0-9]{1,9}(\.[0-9]{1,6})? USD$";

    /// Reads `0.50 USD`.
    ///
    /// # Errors
    /// Says what was expected and what was found.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| format!("expected an amount of money such as `0.50 USD`, found `{text}`"))
    }

    fn read(text: &str) -> Option<Self> {
        const DECIMALS: usize = 6;
        const WHOLE: usize = 9;
        let number = text.strip_suffix(" USD")?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !is_number(whole, WHOLE) || !is_number(decimals, DECIMALS) {
            return None;
        }
        format!("{whole}{decimals:0<DECIMALS$}").parse().ok().map(Self)
    }
}

impl fmt::Display for Money {
    /// As short as it is exact, with two decimals or more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % 1_000_000);
        let (cents, rest) = decimals.split_at(2);
        write!(f, "{}.{cents}{} USD", self.0 / 1_000_000, rest.trim_end_matches('0'))
    }
}

fn parse_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn print_unit(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |unit: &&(&str, u64)| number != 0 && number.is_multiple_of(unit.1);
    let (name, factor) = units.iter().filter(fits).max_by_key(|unit| unit.1).unwrap_or(&units[0]);
    write!(f, "{}{name}", number / factor)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_unit(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_unit(f, self.0, &SIZE_UNITS)
    }
}

macro_rules! as_text {
    ($type:ident, $title:literal, $message:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($message.trim_start_matches("expected "))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": Self::PATTERN, "errorMessage": $message })
            }
        }
    };
}

as_text!(Duration, "Duration", "expected a duration such as 500ms, 30s, 15m, 2h or 1d");
as_text!(Money, "Money", "expected an amount of money such as 0.50 USD");
as_text!(Size, "Size", "expected a size such as 64KiB, 10MiB or 1GiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_printed() {
        for text in ["500ms", "30s", "15m", "2h", "1d", "90s"] {
            assert_eq!(Duration::parse(text).unwrap().to_string(), text);
        }
        for text in ["1B", "64KiB", "10MiB", "1GiB"] {
            assert_eq!(Size::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "5", "s", "5 s", "-5s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn money_is_read_and_printed() {
        for (text, millionths) in [("0.50 USD", 500_000), ("12.00 USD", 12_000_000), ("0.000123 USD", 123)] {
            assert_eq!(Money::parse(text), Ok(Money(millionths)));
            assert_eq!(Money(millionths).to_string(), text);
        }
        assert_eq!(Money::parse("3 USD"), Ok(Money(3_000_000)));
        for text in ["", "0.5", "USD", "0.5USD", "$0.50", ".5 USD", "5. USD", "-1 USD", "0.1234567 USD", "1 EUR"] {
            assert!(Money::parse(text).is_err(), "{text}");
        }
    }
}
