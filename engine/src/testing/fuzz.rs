//! Properties that are tried for a time: the fuzz targets.
//!
//! `LITEAGENT_FUZZ_SECONDS` sets how long each target runs. Without it a target tries a few cases, the same every time;
//! with it, others every time. A failure is shrunk, and names the `LITEAGENT_FUZZ_SEED` that gives it again.

use std::{
    fmt::Debug,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Cases of one seed.
const CASES: u32 = 16;
/// How long a target runs on a developer's machine.
const SHORT: Duration = Duration::from_secs(1);

/// Tries a property on what a strategy makes.
///
/// # Panics
/// With the smallest case that was found, and the seed that gives it again.
pub fn fuzz<S>(strategy: &S, property: impl Fn(&S::Value))
where
    S: Strategy,
    S::Value: Debug + Clone,
{
    let (first, time) = match (number("LITEAGENT_FUZZ_SEED"), number("LITEAGENT_FUZZ_SECONDS")) {
        (Some(seed), None) => (seed, Duration::ZERO),
        (seed, Some(seconds)) => (seed.unwrap_or_else(any_seed), Duration::from_secs(seconds)),
        (None, None) => (0, SHORT),
    };
    let start = now();
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < time {
        let seed = first.wrapping_add(rounds);
        if let Err(failure) = runner(seed).run(strategy, |case| {
            property(&case);
            Ok(())
        }) {
            panic!("{failure}\nto see it again, run this test with LITEAGENT_FUZZ_SEED={seed}");
        }
        rounds += 1;
    }
    #[expect(clippy::print_stdout, reason = "it is the result of a test")]
    {
        println!("{} cases from LITEAGENT_FUZZ_SEED={first} on", rounds * u64::from(CASES));
    }
}

/// Texts with up to six changes: pieces put in, parts left out, copied or moved, lines swapped.
pub fn mutated(texts: Vec<String>, pieces: &'static [&'static str]) -> impl Strategy<Value = String> + use<> {
    let change = (0_u8..6, any::<Index>(), any::<Index>(), 0_usize..200, prop::sample::select(pieces));
    (prop::sample::select(texts), prop::collection::vec(change, 0..6)).prop_map(|(mut text, changes)| {
        for (kind, at, other, length, piece) in changes {
            text = changed(&text, kind, at, other, length, piece);
        }
        text
    })
}

fn changed(text: &str, kind: u8, at: Index, other: Index, length: usize, piece: &str) -> String {
    let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = boundary(at.index(text.len() + 1));
    let to = boundary(other.index(text.len() + 1));
    let end = boundary(start + length);
    let (before, part, after) = (&text[..start], &text[start..end], &text[end..]);
    match kind {
        0 => format!("{before}{piece}{part}{after}"),
        1 => format!("{before}{after}"),
        2 => format!("{}{part}{}", &text[..to], &text[to..]),
        3 => format!("{before}{piece}{after}"),
        _ => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            if lines.len() < 2 {
                return text.to_owned();
            }
            let (one, two) = (at.index(lines.len()), other.index(lines.len()));
            if kind == 4 {
                lines.swap(one, two);
            } else {
                lines.remove(one);
            }
            lines.concat()
        }
    }
}

fn runner(seed: u64) -> TestRunner {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[expect(clippy::disallowed_methods, reason = "how long and from where is said from outside")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("expected a whole number in `{name}`, found `{text}`")))
}

#[expect(clippy::disallowed_methods, reason = "every run shall try other cases")]
fn any_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

#[expect(clippy::disallowed_methods, reason = "the length of fuzzing is real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "LITEAGENT_FUZZ_SEED=")]
    fn a_failure_is_shrunk_and_names_its_seed() {
        fuzz(&(0_u32..1_000_000), |number| assert!(*number < 1000, "too large"));
    }

    #[test]
    fn changes_keep_texts_whole() {
        fuzz(&mutated(vec!["é: ü\nb\n".to_owned()], &["ß"]), |text| assert!(text.len() < 2_000));
    }
}
