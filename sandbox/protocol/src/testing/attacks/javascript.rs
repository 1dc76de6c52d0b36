//! Attacks in JavaScript.

use super::{Attack, End};
use crate::{Kind, Limit};

/// An expression that throws an error: what it is, and a part of the error.
const THROW: &[(&str, &str, &str)] = &[
    ("read a file", "require('fs').readFileSync('/etc/passwd')", "no module `fs`"),
    ("open a socket", "require('net').connect(80)", "no module `net`"),
    ("run a program", "require('child_process').execSync('ls')", "no module `child_process`"),
    ("use the interpreter's own library", "std.open('/etc/passwd')", "ReferenceError: std is not defined"),
    ("use its system calls", "os.exec(['ls'])", "ReferenceError: os is not defined"),
    ("fetch a page", "fetch('http://example.com')", "ReferenceError: fetch is not defined"),
    ("open a web socket", "new WebSocket('ws://example.com')", "ReferenceError: WebSocket is not defined"),
    ("read the environment", "process.env", "ReferenceError: process is not defined"),
    ("end the process", "process.exit(0)", "ReferenceError: process is not defined"),
    ("start a thread", "new Worker('x')", "ReferenceError: Worker is not defined"),
    ("block", "Atomics.wait(new Int32Array(4), 0, 0)", "ReferenceError: Atomics is not defined"),
    ("recurse", "(function f() { return f() + 1 })()", "RangeError: Maximum call stack size exceeded"),
    ("parse deep JSON", "JSON.parse('['.repeat(1e6))", "Error"),
    ("parse deep code", "eval('('.repeat(1e5))", "Error"),
    ("allocate a huge integer", "2n ** (2n ** 40n)", "RangeError"),
    ("allocate a huge text", "'a'.repeat(2 ** 31)", "Error"),
    ("clone a function", "structuredClone(() => 1)", "DataCloneError"),
];

/// The body of a `main` that only a limit ends.
const EXCEED: &[(&str, &str, Limit)] = &[
    ("loop in bytecode", "for (;;);", Limit::Cpu),
    ("loop that swallows everything", "for (;;) { try { for (;;); } catch {} finally { continue } }", Limit::Cpu),
    ("loop in C", "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)", Limit::Cpu),
    ("loop in a regex", "/(a+)+$/.test('a'.repeat(64) + 'b')", Limit::Cpu),
    (
        "loop in microtasks",
        "const again = () => queueMicrotask(again); again(); return new Promise(() => {})",
        Limit::Cpu,
    ),
    ("sleep", "return new Promise((done) => setTimeout(done, 3600e3))", Limit::Wall),
    ("sleep again and again", "setInterval(() => {}, 1); return new Promise(() => {})", Limit::Wall),
    ("memory by list", "const a = []; for (;;) a.push(new Array(1e5).fill(0))", Limit::Memory),
    ("memory by text", "let a = 'x'.repeat(2 ** 20); for (;;) { a += a; a.charCodeAt(1) }", Limit::Memory),
    ("memory by buffer", "const a = []; for (;;) a.push(new ArrayBuffer(1e7))", Limit::Memory),
    ("output flood", "return { x: 'y'.repeat(2e6) }", Limit::Output),
    ("log flood", "for (;;) console.log('x'.repeat(100))", Limit::Log),
    ("log flood in one", "console.log('x'.repeat(1e6))", Limit::Log),
    ("log flood on stderr", "for (;;) console.error('x'.repeat(100))", Limit::Log),
];

/// Every attack.
pub(super) fn attacks() -> Vec<Attack> {
    let throw = THROW.iter().map(|(name, expression, error)| Attack {
        name,
        code: format!("function main() {{\n  {expression} }}"),
        ends: End::Raises(error, catching),
    });
    let exceed = EXCEED.iter().map(|(name, body, limit)| Attack {
        name,
        code: format!("function main() {{ {body} }}"),
        ends: End::Limit(*limit),
    });
    let deep = Attack {
        name: "deep outputs",
        code: "function main() { let a = []; for (let i = 0; i < 200; i++) a = [a]; return { a } }".to_owned(),
        ends: End::Kinds(&[Kind::Outputs]),
    };
    throw.chain(exceed).chain([deep]).collect()
}

fn catching(code: &str) -> String {
    let expression = code.lines().last().unwrap_or_default().trim_end_matches('}');
    format!("function main() {{ try {{ {expression} }} catch {{ return {{ caught: true }} }} }}")
}
