//! Everything that untrusted code must not do, tried. Each attack ends with a clear error in its time, and the next call is
//! served.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{call, outputs, still_serves};
use crate::{
    Kind,
    Language::{self, JavaScript, Python},
    Limit, Limits, Runner,
};

mod javascript;
mod python;

const MIB: u64 = 1024 * 1024;
/// Time limits of an attack: short where it must end by one, too long to matter where not.
const SHORT_MS: u64 = 150;
const LONG_MS: u64 = 60_000;
/// The bytes that an attack may print.
const LOG: u64 = MIB / 16;
const MEMORY: u64 = 96 * MIB;
/// Attacks at once.
const AT_ONCE: usize = 3;

/// An attack and its end.
struct Attack {
    name: &'static str,
    code: String,
    ends: End,
}

/// How an attack ends.
#[derive(Clone, Copy)]
enum End {
    /// With an error that contains this text, and that the code could have caught: this is the code that does.
    Raises(&'static str, fn(&str) -> String),
    /// With one of these kinds.
    Kinds(&'static [Kind]),
    /// By this limit.
    Limit(Limit),
    /// For want of this module.
    Missing(&'static str),
    /// It harms itself, or nothing: what it replaces is its own.
    Nothing,
}

/// Every attack on a runner, in both languages.
pub async fn all(runner: &dyn Runner) {
    let attacks = python::attacks().into_iter().map(|attack| (Python, attack));
    let attacks = attacks.chain(javascript::attacks().into_iter().map(|attack| (JavaScript, attack)));
    let tried = stream::iter(attacks).map(|(language, attack)| attack.run(runner, language)).buffer_unordered(AT_ONCE);
    let won: Vec<String> = tried.filter_map(|result| std::future::ready(result.err())).collect().await;
    assert!(won.is_empty(), "{}", won.join("\n"));
    a_call_begins_with_nothing(runner).await;
    memory_is_clean(runner).await;
    no_two_calls_draw_the_same_numbers(runner).await;
    clocks_are_coarse(runner).await;
}

impl Attack {
    async fn run(self, runner: &dyn Runner, language: Language) -> Result<(), String> {
        let wrong = |what: String| format!("{language}, {}: {what}", self.name);
        let reply = call(runner, language, &self.code, json!({}), self.limits()).await;
        still_serves(runner, language).await;
        let failure = match reply {
            Ok(_) if matches!(self.ends, End::Nothing) => return Ok(()),
            Ok(success) => return Err(wrong(format!("it succeeded with {}", success.outputs.get()))),
            Err(failure) => failure,
        };
        let (error, usage) = (&failure.error, failure.usage);
        // 1.2 times the limit and 20 ms on a quiet machine, which the benchmarks measure; tests share theirs with others.
        if usage.memory > MEMORY
            || (error.limit == Some(Limit::Wall) && usage.wall_us > SHORT_MS * 1_200 + 5_000_000)
            || (error.limit == Some(Limit::Cpu) && usage.cpu_us > SHORT_MS * 1_200 + 100_000)
            || (failure.stdout.len() + failure.stderr.len()) as u64 > LOG
        {
            return Err(wrong(format!("it used more than it may: {usage:?}")));
        }
        let as_expected = match self.ends {
            End::Raises(text, _) => {
                matches!(error.kind, Kind::Exception | Kind::MissingModule)
                    && error.message.contains(text)
                    && (language == JavaScript || error.line == Some(2))
            }
            End::Kinds(kinds) => kinds.contains(&error.kind),
            End::Limit(limit) => {
                error.kind == Kind::Limit
                    && error.limit == Some(limit)
                    && error.message.contains(&format!("the limit `{limit}`"))
            }
            End::Missing(module) => {
                error.kind == Kind::MissingModule
                    && error.module.as_deref().is_some_and(|name| name.trim_start_matches('_') == module)
                    && error.hint.is_some()
            }
            End::Nothing => false,
        };
        if !as_expected {
            return Err(wrong(format!("it ended with {error}")));
        }
        if let End::Raises(_, catching) = self.ends {
            let reply = call(runner, language, &catching(&self.code), json!({}), Limits::default()).await;
            let caught = reply.map(|success| success.outputs::<Value>().ok());
            if !matches!(&caught, Ok(Some(value)) if *value == json!({ "caught": true })) {
                return Err(wrong(format!("the error could not be caught: {caught:?}")));
            }
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let (wall, cpu) = match self.ends {
            End::Limit(Limit::Wall) => (SHORT_MS, LONG_MS),
            End::Limit(Limit::Cpu) => (LONG_MS, SHORT_MS),
            _ => (LONG_MS, LONG_MS),
        };
        Limits { wall_ms: Some(wall), cpu_ms: Some(cpu), memory: Some(MEMORY), output: Some(MIB), log: Some(LOG) }
    }
}

/// Nothing of the host is in sight, and no call sees another.
async fn a_call_begins_with_nothing(runner: &dyn Runner) {
    let python = "import os, sys, builtins, json\n\
        def main():\n    \
            seen = {'env': dict(os.environ), 'argv': sys.argv, 'path': sys.path, 'mark': hasattr(builtins, 'mark'), 'len': len([1])}\n    \
            builtins.mark = 1\n    builtins.len = lambda _: 7\n    json.loads = None\n    sys.modules['re'] = None\n    \
            os.environ['MARK'] = '1'\n    return seen";
    let javascript = "function main() {\n  const seen = { mark: globalThis.mark ?? null, polluted: {}.polluted ?? null, parsed: JSON.parse('1') };\n  \
        globalThis.mark = 1;\n  Object.prototype.polluted = 1;\n  JSON.parse = () => 7;\n  Array.prototype.push = null;\n  return seen;\n}";
    for _ in 0..3 {
        assert_eq!(
            outputs(runner, Python, python, json!({})).await,
            json!({ "env": {}, "argv": [""], "path": [], "mark": false, "len": 1 })
        );
        assert_eq!(
            outputs(runner, JavaScript, javascript, json!({})).await,
            json!({ "mark": null, "polluted": null, "parsed": 1 })
        );
    }
}

/// Memory that a call had holds nothing of the call before it.
async fn memory_is_clean(runner: &dyn Runner) {
    let fill = "function main() { globalThis.a = new Uint8Array(8e6).fill(0xa5); return {} }";
    let look = "function main() { return { found: new Uint8Array(8e6).some((byte) => byte !== 0) } }";
    for _ in 0..4 {
        outputs(runner, JavaScript, fill, json!({})).await;
        assert_eq!(outputs(runner, JavaScript, look, json!({})).await, json!({ "found": false }));
    }
}

/// Randomness differs from call to call although each begins with the same snapshot.
async fn no_two_calls_draw_the_same_numbers(runner: &dyn Runner) {
    let python = "import random, uuid, secrets, os\ndef main():\n    \
        return {'a': [random.random(), str(uuid.uuid4()), secrets.token_hex(8), os.urandom(8).hex()]}";
    let javascript = "function main() { return { a: [Math.random(), crypto.randomUUID()] } }";
    for (language, code) in [(Python, python), (JavaScript, javascript)] {
        let first = outputs(runner, language, code, json!({})).await;
        let second = outputs(runner, language, code, json!({})).await;
        let of = |value: &Value| value["a"].as_array().unwrap().clone();
        assert!(of(&first).iter().zip(of(&second)).all(|(a, b)| *a != b), "{first} {second}");
    }
}

/// A clock of whole milliseconds cannot time a neighbour.
async fn clocks_are_coarse(runner: &dyn Runner) {
    let python = "import time\ndef main():\n    \
        return {'odd': [t for t in [time.perf_counter_ns(), time.monotonic_ns(), time.time_ns()] if t % 10**6]}";
    assert_eq!(outputs(runner, Python, python, json!({})).await, json!({ "odd": [] }));
    let javascript = "function main() { const seen = new Set(); const end = Date.now() + 5;\n  \
        while (Date.now() < end) seen.add(performance.now()); return { few: seen.size < 12 } }";
    assert_eq!(outputs(runner, JavaScript, javascript, json!({})).await, json!({ "few": true }));
}
