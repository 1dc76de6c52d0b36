//! What was used of models, in words.

use liteagent_engine::{units::Money, usage::Usage};

use super::count;

/// `1,234 tokens in 3 calls, 0.0012 USD`.
pub(crate) fn used(usage: &Usage) -> String {
    let calls = count(usage.calls as usize, "call");
    let mut words = format!("{} tokens in {calls}{}", grouped(usage.tokens()), cost(usage));
    if usage.unpriced > 0 {
        words.push_str(&format!(", without the price of {}", count(usage.unpriced as usize, "call")));
    }
    words
}

/// The same for one node: `1,234 tokens, 0.0012 USD`.
pub(crate) fn used_by_node(usage: &Usage) -> String {
    format!("{} tokens{}", grouped(usage.tokens()), cost(usage))
}

/// What was paid: `0.0012 USD`, `?` where no price is known, `0.0012 USD + ?` where some are not.
pub(crate) fn paid(usage: &Usage) -> String {
    match usage.unpriced {
        0 => Money(usage.cost).to_string(),
        _ if usage.cost == 0 => "?".to_owned(),
        _ => format!("{} + ?", Money(usage.cost)),
    }
}

fn cost(usage: &Usage) -> String {
    if usage.cost == 0 { String::new() } else { format!(", {}", Money(usage.cost)) }
}

/// A number with a comma before each group of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_in_words() {
        assert_eq!([0, 7, 999, 1_000, 1_234_567].map(grouped), ["0", "7", "999", "1,000", "1,234,567"]);
        let usage = Usage { calls: 1, input_tokens: 1_200, output_tokens: 34, ..Usage::default() };
        assert_eq!(used(&usage), "1,234 tokens in 1 call");
        let priced = Usage { calls: 3, cost: 1_200, unpriced: 2, ..usage };
        assert_eq!(used(&priced), "1,234 tokens in 3 calls, 0.0012 USD, without the price of 2 calls");
        assert_eq!(used_by_node(&priced), "1,234 tokens, 0.0012 USD");
        assert_eq!([paid(&priced), paid(&Usage { cost: 0, ..priced })], ["0.0012 USD + ?", "?"]);
    }
}
