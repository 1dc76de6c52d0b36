//! Everything that untrusted code must not do, tried. Each attack ends with a clear error in its time, and the next call is
//! served.

mod common;

use common::{call, outputs, still_serves};
use liteagent_sandbox::protocol::{Failure, Kind, Language, Limit, Limits};
use rstest::rstest;
use serde_json::{Value, json};

use Language::{JavaScript, Python};

const WALL_MS: u64 = 1_500;
const CPU_MS: u64 = 400;
const MIB: u64 = 1024 * 1024;

fn limits() -> Limits {
    Limits {
        wall_ms: Some(WALL_MS),
        cpu_ms: Some(CPU_MS),
        memory: Some(96 * MIB),
        output: Some(MIB),
        log: Some(MIB / 16),
    }
}

/// Runs an attack, which must fail in its time.
async fn attack(language: Language, code: &str) -> Box<Failure> {
    let reply = call(language, code, json!({}), limits()).await;
    let failure = reply.map(|success| success.outputs).expect_err(code);
    // 1.2 times the limit and 20 ms on a quiet machine, which the benchmarks measure; tests share theirs with others.
    assert!(failure.usage.wall_us < WALL_MS * 1_200 + 1_000_000, "{failure}: {:?}", failure.usage);
    assert!(failure.usage.cpu_us < CPU_MS * 1_200 + 100_000, "{failure}: {:?}", failure.usage);
    assert!(failure.usage.memory <= 96 * MIB, "{failure}: {:?}", failure.usage);
    still_serves(language).await;
    failure
}

/// Attacks that raise an error, which `main` may catch as any other.
#[rstest]
#[case::read_a_file("open('/etc/passwd')", "FileNotFoundError")]
#[case::write_a_file("open('/tmp/x', 'w')", "FileNotFoundError")]
#[case::open_a_descriptor("__import__('os').open('/', 0)", "Error: [Errno")]
#[case::list_a_folder("__import__('os').listdir('/')", "FileNotFoundError")]
#[case::make_a_temporary_file("__import__('tempfile').TemporaryFile()", "FileNotFoundError")]
#[case::open_a_database("__import__('sqlite3').connect('/tmp/x.db')", "OperationalError")]
#[case::connect("__import__('socket').create_connection(('1.1.1.1', 80))", "PermissionError")]
#[case::connect_to_loopback("__import__('socket').create_connection(('127.0.0.1', 80))", "PermissionError")]
#[case::send_a_datagram("__import__('socket').socket(type=__import__('socket').SOCK_DGRAM)", "PermissionError")]
#[case::listen("__import__('socket').create_server(('127.0.0.1', 0))", "PermissionError")]
#[case::resolve_a_name("__import__('socket').getaddrinfo('example.com', 80)", "PermissionError")]
#[case::fetch_a_page("__import__('urllib.request').request.urlopen('http://example.com')", "URLError")]
#[case::run_a_program("__import__('subprocess').run(['ls'])", "OSError")]
#[case::run_a_shell("__import__('os').system('ls')", "AttributeError")]
#[case::become_another_program("__import__('os').execv('/bin/sh', ['sh'])", "AttributeError")]
#[case::fork("[__import__('os').fork() for _ in range(10**6)]", "AttributeError")]
#[case::kill("__import__('os').kill(1, 9)", "AttributeError")]
#[case::start_a_thread("__import__('threading').Thread(target=print).start()", "RuntimeError: can't start new thread")]
#[case::start_many_threads(
    "list(__import__('concurrent.futures').futures.ThreadPoolExecutor().map(print, [1]))",
    "RuntimeError"
)]
#[case::recurse("(lambda f: f(f))(lambda f: f(f))", "RecursionError")]
#[case::parse_deep_code("eval('(' * 10**5)", "MemoryError: Parser stack overflowed")]
#[case::print_a_huge_integer("str(1 << 10**6)", "ValueError: Exceeds the limit")]
#[case::allocate_a_huge_text("'a' * 10**10", "OverflowError")]
#[tokio::test]
async fn python_raises(#[case] expression: &str, #[case] error: &str) {
    let failure = attack(Python, &format!("def main():\n    {expression}")).await;
    assert_eq!(failure.error.kind, Kind::Exception, "{failure}");
    assert!(failure.error.message.contains(error), "{failure}");
    assert_eq!(failure.error.line, Some(2), "{failure}");
    let caught = format!(
        "def main():\n    try:\n        {expression}\n    except Exception:\n        return {{'caught': True}}"
    );
    assert_eq!(outputs(Python, &caught, json!({})).await, json!({ "caught": true }));
}

#[rstest]
#[case::read_a_file("require('fs').readFileSync('/etc/passwd')", "no module `fs`")]
#[case::open_a_socket("require('net').connect(80)", "no module `net`")]
#[case::run_a_program("require('child_process').execSync('ls')", "no module `child_process`")]
#[case::use_the_interpreters_own_library("std.open('/etc/passwd')", "ReferenceError: std is not defined")]
#[case::use_its_system_calls("os.exec(['ls'])", "ReferenceError: os is not defined")]
#[case::fetch_a_page("fetch('http://example.com')", "ReferenceError: fetch is not defined")]
#[case::open_a_web_socket("new WebSocket('ws://example.com')", "ReferenceError: WebSocket is not defined")]
#[case::read_the_environment("process.env", "ReferenceError: process is not defined")]
#[case::end_the_process("process.exit(0)", "ReferenceError: process is not defined")]
#[case::start_a_thread("new Worker('x')", "ReferenceError: Worker is not defined")]
#[case::block("Atomics.wait(new Int32Array(4), 0, 0)", "ReferenceError: Atomics is not defined")]
#[case::recurse("(function f() { return f() + 1 })()", "RangeError: Maximum call stack size exceeded")]
#[case::parse_deep_json("JSON.parse('['.repeat(1e6))", "Error")]
#[case::parse_deep_code("eval('('.repeat(1e5))", "Error")]
#[case::allocate_a_huge_integer("2n ** (2n ** 40n)", "RangeError")]
#[case::allocate_a_huge_text("'a'.repeat(2 ** 31)", "Error")]
#[case::clone_a_function("structuredClone(() => 1)", "DataCloneError")]
#[tokio::test]
async fn javascript_throws(#[case] expression: &str, #[case] error: &str) {
    let failure = attack(JavaScript, &format!("function main() {{\n  {expression} }}")).await;
    assert!(matches!(failure.error.kind, Kind::Exception | Kind::MissingModule), "{failure}");
    assert!(failure.error.message.contains(error), "{failure}");
    let caught = format!("function main() {{ try {{ {expression} }} catch {{ return {{ caught: true }} }} }}");
    assert_eq!(outputs(JavaScript, &caught, json!({})).await, json!({ "caught": true }));
}

/// Attacks that only a limit ends: which one.
#[rstest]
#[case::loop_in_bytecode("while True: pass", Limit::Cpu)]
#[case::loop_that_swallows_everything(
    "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    Limit::Cpu
)]
#[case::loop_in_c("sum(__import__('itertools').repeat(0))", Limit::Cpu)]
#[case::loop_in_a_regex("__import__('re').match(r'(a+)+$', 'a' * 64 + 'b')", Limit::Cpu)]
#[case::huge_integer("x = 7 ** (10 ** 7)", Limit::Cpu)]
#[case::sleep("__import__('time').sleep(3600)", Limit::Wall)]
#[case::sleep_in_the_loop("__import__('asyncio').run(__import__('asyncio').sleep(3600))", Limit::Wall)]
#[case::sleep_again_and_again("while True: __import__('time').sleep(0.001)", Limit::Wall)]
#[case::memory_by_list("a = []\n    while True: a.append([0] * 10**5)", Limit::Memory)]
#[case::memory_by_text("a = 'x' * 2**20\n    while True: a += a", Limit::Memory)]
#[case::memory_at_once("bytearray(10**9)", Limit::Memory)]
#[case::memory_by_recursion("f = lambda a: f(a + [bytes(10**6)])\n    f([])", Limit::Memory)]
#[case::zip_bomb(
    "import zlib\n    one = zlib.compress(bytes(10**7))\n    return {'x': [zlib.decompress(one) for _ in range(100)]}",
    Limit::Memory
)]
#[case::random_flood("__import__('os').urandom(10**9)", Limit::Memory)]
#[case::output_flood("return {'x': 'y' * 2 * 10**6}", Limit::Output)]
#[case::log_flood("while True: print('x' * 100)", Limit::Log)]
#[case::log_flood_in_one("print('x' * 10**6)", Limit::Log)]
#[case::log_flood_on_stderr("import sys\n    while True: print('x' * 100, file=sys.stderr)", Limit::Log)]
#[case::log_flood_by_descriptor("import os\n    while True: os.write(1, b'x' * 100)", Limit::Log)]
#[tokio::test]
async fn python_meets_a_limit(#[case] body: &str, #[case] limit: Limit) {
    let failure = attack(Python, &format!("def main():\n    {body}")).await;
    assert_eq!((failure.error.kind, failure.error.limit), (Kind::Limit, Some(limit)), "{failure}");
    assert!(failure.error.message.contains(&format!("the limit `{limit}`")), "{failure}");
    assert!(failure.stdout.len() as u64 + failure.stderr.len() as u64 <= MIB / 16);
}

#[rstest]
#[case::loop_in_bytecode("for (;;);", Limit::Cpu)]
#[case::loop_that_swallows_everything("for (;;) { try { for (;;); } catch {} finally { continue } }", Limit::Cpu)]
#[case::loop_in_c("Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)", Limit::Cpu)]
#[case::loop_in_a_regex("/(a+)+$/.test('a'.repeat(64) + 'b')", Limit::Cpu)]
#[case::loop_in_microtasks(
    "const again = () => queueMicrotask(again); again(); return new Promise(() => {})",
    Limit::Cpu
)]
#[case::sleep("return new Promise((done) => setTimeout(done, 3600e3))", Limit::Wall)]
#[case::sleep_again_and_again("setInterval(() => {}, 1); return new Promise(() => {})", Limit::Wall)]
#[case::memory_by_list("const a = []; for (;;) a.push(new Array(1e5).fill(0))", Limit::Memory)]
#[case::memory_by_text("let a = 'x'.repeat(2 ** 20); for (;;) { a += a; a.charCodeAt(1) }", Limit::Memory)]
#[case::memory_by_buffer("const a = []; for (;;) a.push(new ArrayBuffer(1e7))", Limit::Memory)]
#[case::output_flood("return { x: 'y'.repeat(2e6) }", Limit::Output)]
#[case::log_flood("for (;;) console.log('x'.repeat(100))", Limit::Log)]
#[case::log_flood_in_one("console.log('x'.repeat(1e6))", Limit::Log)]
#[case::log_flood_on_stderr("for (;;) console.error('x'.repeat(100))", Limit::Log)]
#[tokio::test]
async fn javascript_meets_a_limit(#[case] body: &str, #[case] limit: Limit) {
    let failure = attack(JavaScript, &format!("function main() {{ {body} }}")).await;
    assert_eq!((failure.error.kind, failure.error.limit), (Kind::Limit, Some(limit)), "{failure}");
    assert!(failure.error.message.contains(&format!("the limit `{limit}`")), "{failure}");
    assert!(failure.stdout.len() as u64 + failure.stderr.len() as u64 <= MIB / 16);
}

#[rstest]
#[case::exit("import os\ndef main(): os._exit(3)")]
#[case::abort("import os\ndef main(): os.abort()")]
#[case::polite_exit("import sys\ndef main(): sys.exit(3)")]
#[case::exit_while_loading("raise SystemExit(3)")]
#[tokio::test]
async fn ending_the_process_ends_the_call_alone(#[case] code: &str) {
    let failure = attack(Python, code).await;
    assert_eq!(failure.error.kind, Kind::Exited, "{failure}");
}

#[rstest]
#[case::ctypes("ctypes")]
#[case::ssl("ssl")]
#[case::numpy("numpy")]
#[tokio::test]
async fn a_module_with_code_for_machines_is_missing(#[case] module: &str) {
    let failure = attack(Python, &format!("import {module}\ndef main(): pass")).await;
    assert_eq!(failure.error.kind, Kind::MissingModule, "{failure}");
    assert!(failure.error.module.as_deref().is_some_and(|name| name.trim_start_matches('_') == module), "{failure}");
    assert!(failure.error.hint.is_some());
}

/// Recursion that the interpreter does not count fills the stack of the instance, and ends it, but nothing else.
#[rstest]
#[case::without_a_limit("import sys\nsys.setrecursionlimit(2**30)\nf = lambda: f()\ndef main(): f()")]
#[case::in_a_parser("import json\ndef main(): json.loads('[' * 10**6)")]
#[case::in_the_outputs("def main():\n    a = []\n    for _ in range(10**5): a = [a]\n    return {'a': a}")]
#[tokio::test]
async fn a_full_stack_ends_the_call_alone(#[case] code: &str) {
    let failure = attack(Python, code).await;
    assert!(matches!(failure.error.kind, Kind::Exception | Kind::Limit | Kind::Outputs), "{failure}");
}

#[tokio::test]
async fn deep_outputs_are_refused() {
    let python = "def main():\n    a = []\n    for _ in range(200): a = [a]\n    return {'a': a}";
    assert_eq!(attack(Python, python).await.error.kind, Kind::Outputs);
    let javascript = "function main() { let a = []; for (let i = 0; i < 200; i++) a = [a]; return { a } }";
    assert_eq!(attack(JavaScript, javascript).await.error.kind, Kind::Outputs);
}

/// Nothing of the host is in sight, and no call sees another.
#[tokio::test]
async fn a_call_begins_with_nothing() {
    let python = "import os, sys, builtins, json\n\
        def main():\n    \
            seen = {'env': dict(os.environ), 'argv': sys.argv, 'path': sys.path, 'mark': hasattr(builtins, 'mark'), 'len': len([1])}\n    \
            builtins.mark = 1\n    builtins.len = lambda _: 7\n    json.loads = None\n    sys.modules['re'] = None\n    \
            os.environ['MARK'] = '1'\n    return seen";
    let javascript = "function main() {\n  const seen = { mark: globalThis.mark ?? null, polluted: {}.polluted ?? null, parsed: JSON.parse('1') };\n  \
        globalThis.mark = 1;\n  Object.prototype.polluted = 1;\n  JSON.parse = () => 7;\n  Array.prototype.push = null;\n  return seen;\n}";
    for _ in 0..3 {
        assert_eq!(
            outputs(Python, python, json!({})).await,
            json!({ "env": {}, "argv": [""], "path": [], "mark": false, "len": 1 })
        );
        assert_eq!(
            outputs(JavaScript, javascript, json!({})).await,
            json!({ "mark": null, "polluted": null, "parsed": 1 })
        );
    }
}

/// Memory that a call had holds nothing of the call before it.
#[tokio::test]
async fn memory_is_clean() {
    let fill = "function main() { globalThis.a = new Uint8Array(8e6).fill(0xa5); return {} }";
    let look = "function main() { return { found: new Uint8Array(8e6).some((byte) => byte !== 0) } }";
    for _ in 0..4 {
        outputs(JavaScript, fill, json!({})).await;
        assert_eq!(outputs(JavaScript, look, json!({})).await, json!({ "found": false }));
    }
}

/// Randomness differs from call to call although each begins with the same snapshot.
#[tokio::test]
async fn no_two_calls_draw_the_same_numbers() {
    let python = "import random, uuid, secrets, os\ndef main():\n    \
        return {'a': [random.random(), str(uuid.uuid4()), secrets.token_hex(8), os.urandom(8).hex()]}";
    let javascript = "function main() { return { a: [Math.random(), crypto.randomUUID()] } }";
    for (language, code) in [(Python, python), (JavaScript, javascript)] {
        let first = outputs(language, code, json!({})).await;
        let second = outputs(language, code, json!({})).await;
        let of = |value: &Value| value["a"].as_array().unwrap().clone();
        assert!(of(&first).iter().zip(of(&second)).all(|(a, b)| *a != b), "{first} {second}");
    }
}

/// A clock of whole milliseconds cannot time a neighbour.
#[tokio::test]
async fn clocks_are_coarse() {
    let python = "import time\ndef main():\n    \
        return {'odd': [t for t in [time.perf_counter_ns(), time.monotonic_ns(), time.time_ns()] if t % 10**6]}";
    assert_eq!(outputs(Python, python, json!({})).await, json!({ "odd": [] }));
    let javascript = "function main() { const seen = new Set(); const end = Date.now() + 5;\n  \
        while (Date.now() < end) seen.add(performance.now()); return { few: seen.size < 12 } }";
    assert_eq!(outputs(JavaScript, javascript, json!({})).await, json!({ "few": true }));
}

/// What the guest tells is not believed: code that replaces what the guest uses harms its own call.
#[rstest]
#[case("import sys\ndef main():\n    sys.stdout = sys.stderr = None\n    return {}", None)]
#[case("import json\njson.dumps = lambda *a, **k: 'no json'\ndef main(): raise ValueError('x')", Some(Kind::Exception))]
#[case("class Evil(Exception):\n    def __str__(self): raise self\ndef main(): raise Evil", Some(Kind::Exception))]
#[case("class Evil(dict):\n    def items(self): raise KeyError\ndef main(): return Evil(a=1)", Some(Kind::Outputs))]
#[case("def main(): return {1j: 2}", Some(Kind::Outputs))]
#[tokio::test]
async fn a_guest_that_lies_harms_itself(#[case] code: &str, #[case] kind: Option<Kind>) {
    let reply = call(Python, code, json!({}), limits()).await;
    assert_eq!(reply.as_ref().err().map(|failure| failure.error.kind), kind, "{reply:?}");
    still_serves(Python).await;
}
