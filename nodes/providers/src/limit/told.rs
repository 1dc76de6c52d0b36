//! What providers say about limits in the headers of their answers.

use std::time::Duration;

use liteagent_engine::units::Millis;

/// What the headers of an answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// How many calls are left.
    pub requests: Option<Left>,
    /// How many tokens are left.
    pub tokens: Option<Left>,
}

/// What is left until a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// How many are left.
    pub left: u64,
    /// How many there are when nothing is used, where that is said.
    pub of: Option<u64>,
    /// When all are there again.
    pub reset: Millis,
}

/// Headers that say something about calls, or tokens: what is left, of how many, until when.
type Names = [&'static str; 3];

const REQUESTS: &[Names] = &[
    ["x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests"],
    [
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-reset",
    ],
    ["x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset"],
];
const TOKENS: &[Names] = &[
    ["x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens"],
    ["anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-reset"],
    [
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-reset",
    ],
];

/// A number above this is a moment, not a length of time: seconds since 1970, or milliseconds.
const MOMENTS: f64 = 1e9;

impl Told {
    /// Reads headers, names in lower case. What cannot be read says nothing.
    pub(crate) fn read(headers: &[(String, String)], now: Millis) -> Self {
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        let find = |all: &[Names]| {
            all.iter().find_map(|[left, of, reset]| {
                let left = header(left)?.parse::<f64>().ok().filter(|left| left.is_finite())?.max(0.0) as u64;
                let of = header(of).and_then(|of| of.parse().ok());
                Some(Left { left, of, reset: moment(header(reset)?, now)? })
            })
        };
        Self { requests: find(REQUESTS), tokens: find(TOKENS) }
    }
}

/// How long the provider asks to wait: the header that says it exactly, else `Retry-After` as it was read.
pub(crate) fn wait(headers: &[(String, String)], retry_after: Option<Millis>) -> Option<Duration> {
    let exact = headers
        .iter()
        .find(|(name, _)| name == "retry-after-ms")
        .and_then(|(_, value)| value.trim().parse::<f64>().ok());
    let millis = exact.filter(|wait| wait.is_finite() && *wait >= 0.0).map(|wait| wait as u64);
    millis.or_else(|| u64::try_from(retry_after?).ok()).map(Duration::from_millis)
}

/// `6m0s`, `1.2s`, `120ms`, `30` (seconds), a moment in seconds or milliseconds, or one as RFC 3339 writes it.
fn moment(text: &str, now: Millis) -> Option<Millis> {
    if let Ok(number) = text.parse::<f64>() {
        let millis = match number {
            number if !number.is_finite() || number < 0.0 => return None,
            number if number > MOMENTS * 1_000.0 => number,
            number if number > MOMENTS => number * 1_000.0,
            number => now as f64 + number * 1_000.0,
        };
        return Some(millis as Millis);
    }
    length(text).map(|length| now.saturating_add(length)).or_else(|| rfc3339(text))
}

fn length(text: &str) -> Option<Millis> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        sum += number
            * match &rest[..letters] {
                "ms" => 1.0,
                "s" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(sum as Millis)
}

fn rfc3339(text: &str) -> Option<Millis> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_772_355_600_000; // 2026-03-01T09:00:00Z

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn limits_are_read_in_every_dialect() {
        let openai = headers(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1m6.5s"),
        ]);
        let told = Told::read(&openai, NOW);
        assert_eq!(told.requests, Some(Left { left: 499, of: Some(500), reset: NOW + 120 }));
        assert_eq!(told.tokens, Some(Left { left: 0, of: Some(30_000), reset: NOW + 66_500 }));

        let anthropic = headers(&[
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("anthropic-ratelimit-requests-reset", "2026-03-01T09:00:07Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "12000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-03-01T09:01:00Z"),
        ]);
        let told = Told::read(&anthropic, NOW);
        assert_eq!(told.requests, Some(Left { left: 3, of: None, reset: NOW + 7_000 }));
        assert_eq!(told.tokens, Some(Left { left: 12_000, of: None, reset: NOW + 60_000 }));

        let moment = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772355630000")]);
        assert_eq!(Told::read(&moment, NOW).requests.unwrap().reset, NOW + 30_000);
    }

    #[test]
    fn nonsense_says_nothing() {
        for (left, reset) in [("x", "1s"), ("1", "soon"), ("1", ""), ("NaN", "1s"), ("1", "-5"), ("1", "5x")] {
            let odd = headers(&[("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", reset)]);
            assert_eq!(Told::read(&odd, NOW), Told::default(), "{left} {reset}");
        }
        let exact = headers(&[("retry-after-ms", "1500"), ("retry-after", "2")]);
        assert_eq!(wait(&exact, Some(2_000)), Some(Duration::from_millis(1_500)));
        assert_eq!(wait(&headers(&[("retry-after-ms", "soon")]), Some(2_000)), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[], None), None);
    }
}
