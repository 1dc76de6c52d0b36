//! Files that are damaged at random: the check always ends, and never panics.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use liteagent_engine::{load::load_text, node::Registry};

/// A small generator of numbers, so that a failure can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.roll(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

const PIECES: &[&str] = &[
    "{{ ",
    " }}",
    "{% if ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "  ",
    "null",
    "0",
    "-1",
    "1e999",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: ",
    "needs: [x]",
    "type: loop",
    "nodes:",
    "\u{e9}",
    "\t",
    "---\n",
    "true",
    "{{ inputs",
    ".error",
    " | default('')",
    "~",
    "/",
    "{ file: ../x }",
    "any: ",
    "timeout: 1d",
    "on_error: continue",
];

fn damaged(dice: &mut Dice, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..=dice.roll(4) {
        let (a, b) = (dice.boundary(&text), dice.boundary(&text));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 40));
        let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
        let mut lines: Vec<&str> = text.lines().collect();
        text = match dice.roll(5) {
            0 => format!("{}{}", &text[..from], &text[to..]),
            1 => format!("{}{}{}", &text[..from], PIECES[dice.roll(PIECES.len())], &text[from..]),
            2 => format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
            3 if lines.len() > 1 => {
                let (first, second) = (dice.roll(lines.len()), dice.roll(lines.len()));
                lines.swap(first, second);
                lines.join("\n")
            }
            _ if lines.len() > 1 => {
                lines.remove(dice.roll(lines.len()));
                lines.join("\n")
            }
            _ => text,
        };
    }
    text
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "CI runs this longer than a person does")]
    std::env::var("LITEAGENT_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5)
}

fn examples() -> Vec<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = [tests.join("workflows"), tests.join("diagnostics"), tests.join("../../../shared/examples")];
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
    files.filter_map(|file| fs::read_to_string(file.path()).ok()).filter(|text| text.len() < 8_000).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is bounded by time")]
fn damaged_files_never_panic_the_check() {
    let (registry, examples): (Registry, _) = (liteagent_nodes::registry(), examples());
    let end = Instant::now() + Duration::from_secs(seconds());
    let mut seed = 1_u64;
    while Instant::now() < end {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let text = damaged(&mut dice, &examples[seed as usize % examples.len()]);
        let checked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| load_text("damaged.yaml", &text, &registry)));
        assert!(checked.is_ok(), "seed {seed} panics with\n{text}");
        seed += 1;
    }
    assert!(seed > 100, "only {seed} files were checked");
}
