//! Arithmetic with exact decimals, as far as 28 digits reach. Nothing but numbers goes in, nothing but a number comes out.

use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

/// How deep parentheses may be nested.
const DEEPEST: u32 = 64;

/// The value of an expression, as a number is written.
pub(super) fn evaluate(expression: &str) -> Result<String, String> {
    let mut parser = Parser { text: expression, at: 0, depth: 0 };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value.normalize().to_string()),
        Some(found) => Err(format!("expected an operator or the end, found `{found}`")),
    }
}

struct Parser<'e> {
    text: &'e str,
    at: usize,
    depth: u32,
}

type Outcome = Result<Decimal, String>;

impl<'e> Parser<'e> {
    fn sum(&mut self) -> Outcome {
        let mut left = self.product()?;
        loop {
            let right = match self.peek() {
                Some('+') => self.take(1).product()?,
                Some('-' | '\u{2212}') => -self.take_char().product()?,
                _ => return Ok(left),
            };
            left = left.checked_add(right).ok_or_else(too_large)?;
        }
    }

    fn product(&mut self) -> Outcome {
        let mut left = self.signed()?;
        loop {
            let is_power = self.rest().starts_with("**");
            left = match self.peek() {
                Some('*' | '\u{d7}') if !is_power => {
                    let right = self.take_char().signed()?;
                    left.checked_mul(right).ok_or_else(too_large)?
                }
                Some('/' | '\u{f7}') => {
                    let right = self.take_char().signed()?;
                    left.checked_div(right).ok_or_else(|| divided(right))?
                }
                Some('%') => {
                    let right = self.take(1).signed()?;
                    left.checked_rem(right).ok_or_else(|| divided(right))?
                }
                _ => return Ok(left),
            };
        }
    }

    fn signed(&mut self) -> Outcome {
        match self.peek() {
            Some('-' | '\u{2212}') => self.deeper(|parser| Ok(-parser.take_char().signed()?)),
            Some('+') => self.deeper(|parser| parser.take(1).signed()),
            _ => self.power(),
        }
    }

    /// The right side binds first: `2 ^ 3 ^ 2` is 512.
    fn power(&mut self) -> Outcome {
        let base = self.operand()?;
        let length = match self.rest() {
            rest if rest.starts_with("**") => 2,
            rest if rest.starts_with('^') => 1,
            _ => return Ok(base),
        };
        let exponent = self.deeper(|parser| parser.take(length).signed())?;
        if exponent.is_integer() {
            let times = i64::try_from(exponent).map_err(|_| too_large())?;
            return base.checked_powi(times).ok_or_else(too_large);
        }
        base.checked_powd(exponent).ok_or_else(|| format!("{base} ^ {exponent} is no number"))
    }

    fn operand(&mut self) -> Outcome {
        match self.peek() {
            Some('(') => {
                let inner = self.deeper(|parser| parser.take(1).sum())?;
                self.expect(')')?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.function(),
            Some(found) => Err(format!("expected a number, found `{found}`")),
            None => Err("expected a number, found the end".to_owned()),
        }
    }

    fn number(&mut self) -> Outcome {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
        let mut length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let after = &rest[length..];
        // `1.5e3`, but not the name of a function after a number.
        if let Some(exponent) = after.strip_prefix(['e', 'E']) {
            let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let digits = signed.find(|c: char| !c.is_ascii_digit()).unwrap_or(signed.len());
            if digits > 0 {
                length += 1 + (exponent.len() - signed.len()) + digits;
            }
        }
        let text = rest[..length].replace('_', "");
        self.at += length;
        let read = if text.contains(['e', 'E']) { Decimal::from_scientific(&text) } else { text.parse() };
        read.map_err(|_| format!("expected a number of at most 28 digits, found `{text}`"))
    }

    fn function(&mut self) -> Outcome {
        let rest = self.rest();
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
        self.at += name.len();
        let known = ["abs", "avg", "ceil", "floor", "max", "min", "round", "sqrt", "sum"];
        if name.eq_ignore_ascii_case("pi") {
            return Ok(Decimal::PI);
        }
        let Some(name) = known.into_iter().find(|known| name.eq_ignore_ascii_case(known)) else {
            return Err(format!("unknown name `{name}`: use `pi`, or one of the functions {}", known.join(", ")));
        };
        self.expect('(')?;
        let mut arguments = Vec::new();
        if self.peek() != Some(')') {
            arguments.push(self.deeper(Self::sum)?);
            while self.peek() == Some(',') {
                self.at += 1;
                arguments.push(self.deeper(Self::sum)?);
            }
        }
        self.expect(')')?;
        apply(name, &arguments)
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if self.depth >= DEEPEST {
            return Err(format!("nested deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn rest(&mut self) -> &'e str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    fn peek(&mut self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, length: usize) -> &mut Self {
        self.at += length;
        self
    }

    fn take_char(&mut self) -> &mut Self {
        let length = self.peek().map_or(0, char::len_utf8);
        self.take(length)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(found) => Err(format!("expected `{wanted}`, found `{found}`")),
            None => Err(format!("expected `{wanted}`, found the end")),
        }
    }
}

fn apply(name: &str, arguments: &[Decimal]) -> Outcome {
    let wrong = || format!("`{name}` does not take {} arguments", arguments.len());
    let sum = || arguments.iter().try_fold(Decimal::ZERO, |sum, next| sum.checked_add(*next)).ok_or_else(too_large);
    match (name, arguments) {
        ("abs", [x]) => Ok(x.abs()),
        ("ceil", [x]) => Ok(x.ceil()),
        ("floor", [x]) => Ok(x.floor()),
        ("round", [x]) => Ok(x.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero)),
        ("round", [x, digits]) => {
            let digits = u32::try_from(*digits).ok().filter(|digits| *digits <= 28);
            let digits = digits.ok_or("`round` takes a number of digits from 0 to 28")?;
            Ok(x.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
        }
        ("sqrt", [x]) => x.sqrt().ok_or_else(|| format!("the square root of {x} is no number")),
        ("sum", _) => sum(),
        ("avg", [_, ..]) => sum()?.checked_div(Decimal::from(arguments.len())).ok_or_else(too_large),
        ("max", [first, rest @ ..]) => Ok(rest.iter().fold(*first, |most, next| most.max(*next))),
        ("min", [first, rest @ ..]) => Ok(rest.iter().fold(*first, |least, next| least.min(*next))),
        _ => Err(wrong()),
    }
}

fn too_large() -> String {
    "the result has more than 28 digits".to_owned()
}

fn divided(by: Decimal) -> String {
    if by.is_zero() { "it divides by zero".to_owned() } else { too_large() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_operators_bind_as_on_paper() {
        for (expression, result) in [
            ("0.1 + 0.2", "0.3"),
            ("2 + 3 * 4 - 6 / 4", "12.5"),
            ("-2 ^ 2", "-4"),
            ("(-2) ^ 2", "4"),
            ("2 ** 3 ** 2", "512"),
            ("2 ^ -1", "0.5"),
            ("10 % 4 * 3", "6"),
            ("round(19.99 * 3 * 1.19, 2)", "71.36"),
            ("round(2.5) + floor(-1.5) + ceil(1.2)", "3"),
            ("max(1, 2, 3) - min(4, 5) + abs(-7) + sum(1, 2) + avg(2, 4)", "12"),
            ("sqrt(2) * sqrt(2)", "2"),
            ("1_000 \u{d7} 1.5e2 \u{f7} 3", "50000"),
            ("5 \u{2212} 7", "-2"),
            ("79228162514264337593543950335 - 1", "79228162514264337593543950334"),
        ] {
            assert_eq!(evaluate(expression).as_deref(), Ok(result), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_calculated_says_why() {
        let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
        let problems: Vec<_> = [
            "",
            "1 +",
            "1 / 0",
            "1 2",
            "(1",
            "2 ^ 200",
            "1e99",
            "x + 1",
            "round(1, 2, 3)",
            "sqrt(-1)",
            "9 $ 9",
            "import os",
            &deep,
            "round(1, 99)",
            "--------1 + \u{20ac}",
        ]
        .iter()
        .map(|expression| evaluate(expression).unwrap_err())
        .collect();
        insta::assert_snapshot!(problems.join("\n"));
    }
}
