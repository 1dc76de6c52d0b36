//! Attacks in Python.

use super::{Attack, End};
use crate::{Kind, Limit};

/// An expression that raises an error: what it is, and a part of the error.
const RAISE: &[(&str, &str, &str)] = &[
    ("read a file", "open('/etc/passwd')", "FileNotFoundError"),
    ("write a file", "open('/tmp/x', 'w')", "FileNotFoundError"),
    ("open a descriptor", "__import__('os').open('/', 0)", "Error: [Errno"),
    ("list a folder", "__import__('os').listdir('/')", "FileNotFoundError"),
    ("make a temporary file", "__import__('tempfile').TemporaryFile()", "FileNotFoundError"),
    ("open a database", "__import__('sqlite3').connect('/tmp/x.db')", "OperationalError"),
    ("connect", "__import__('socket').create_connection(('1.1.1.1', 80))", "PermissionError"),
    ("connect to loopback", "__import__('socket').create_connection(('127.0.0.1', 80))", "PermissionError"),
    ("send a datagram", "__import__('socket').socket(type=__import__('socket').SOCK_DGRAM)", "PermissionError"),
    ("listen", "__import__('socket').create_server(('127.0.0.1', 0))", "PermissionError"),
    ("resolve a name", "__import__('socket').getaddrinfo('example.com', 80)", "PermissionError"),
    ("fetch a page", "__import__('urllib.request').request.urlopen('http://example.com')", "URLError"),
    ("run a program", "__import__('subprocess').run(['ls'])", "OSError"),
    ("run a shell", "__import__('os').system('ls')", "AttributeError"),
    ("become another program", "__import__('os').execv('/bin/sh', ['sh'])", "AttributeError"),
    ("fork", "[__import__('os').fork() for _ in range(10**6)]", "AttributeError"),
    ("kill", "__import__('os').kill(1, 9)", "AttributeError"),
    ("start a thread", "__import__('threading').Thread(target=print).start()", "RuntimeError: can't start new thread"),
    (
        "start many threads",
        "list(__import__('concurrent.futures').futures.ThreadPoolExecutor().map(print, [1]))",
        "RuntimeError",
    ),
    ("recurse", "(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
    ("parse deep code", "eval('(' * 10**5)", "MemoryError: Parser stack overflowed"),
    ("print a huge integer", "str(1 << 10**6)", "ValueError: Exceeds the limit"),
    ("allocate a huge text", "'a' * 10**10", "OverflowError"),
];

/// The body of a `main` that only a limit ends.
const EXCEED: &[(&str, &str, Limit)] = &[
    ("loop in bytecode", "while True: pass", Limit::Cpu),
    (
        "loop that swallows everything",
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        Limit::Cpu,
    ),
    ("loop in C", "sum(__import__('itertools').repeat(0))", Limit::Cpu),
    ("loop in a regex", "__import__('re').match(r'(a+)+$', 'a' * 64 + 'b')", Limit::Cpu),
    ("huge integer", "x = 7 ** (10 ** 7)", Limit::Cpu),
    ("sleep", "__import__('time').sleep(3600)", Limit::Wall),
    ("sleep in the loop", "__import__('asyncio').run(__import__('asyncio').sleep(3600))", Limit::Wall),
    ("sleep again and again", "while True: __import__('time').sleep(0.001)", Limit::Wall),
    ("memory by list", "a = []\n    while True: a.append([0] * 10**5)", Limit::Memory),
    ("memory by text", "a = 'x' * 2**20\n    while True: a += a", Limit::Memory),
    ("memory at once", "bytearray(10**9)", Limit::Memory),
    ("memory by recursion", "f = lambda a: f(a + [bytes(10**6)])\n    f([])", Limit::Memory),
    (
        "zip bomb",
        "import zlib\n    one = zlib.compress(bytes(10**7))\n    return {'x': [zlib.decompress(one) for _ in range(100)]}",
        Limit::Memory,
    ),
    ("random flood", "__import__('os').urandom(10**9)", Limit::Memory),
    ("output flood", "return {'x': 'y' * 2 * 10**6}", Limit::Output),
    ("log flood", "while True: print('x' * 100)", Limit::Log),
    ("log flood in one", "print('x' * 10**6)", Limit::Log),
    ("log flood on stderr", "import sys\n    while True: print('x' * 100, file=sys.stderr)", Limit::Log),
    ("log flood by descriptor", "import os\n    while True: os.write(1, b'x' * 100)", Limit::Log),
];

const EXITED: End = End::Kinds(&[Kind::Exited]);
const MAY_LIE: End = End::Kinds(&[Kind::Exception]);
const OUTPUTS: End = End::Kinds(&[Kind::Outputs]);
/// Recursion that the interpreter does not count fills the stack of the instance, and ends it, but nothing else.
const FULL_STACK: End = End::Kinds(&[Kind::Exception, Kind::Limit, Kind::Outputs]);

/// Whole programs.
const PROGRAMS: &[(&str, &str, End)] = &[
    ("exit", "import os\ndef main(): os._exit(3)", EXITED),
    ("abort", "import os\ndef main(): os.abort()", EXITED),
    ("polite exit", "import sys\ndef main(): sys.exit(3)", EXITED),
    ("exit while loading", "raise SystemExit(3)", EXITED),
    ("ctypes", "import ctypes\ndef main(): pass", End::Missing("ctypes")),
    ("ssl", "import ssl\ndef main(): pass", End::Missing("ssl")),
    ("numpy", "import numpy\ndef main(): pass", End::Missing("numpy")),
    (
        "recursion without a limit",
        "import sys\nsys.setrecursionlimit(2**30)\nf = lambda: f()\ndef main(): f()",
        FULL_STACK,
    ),
    ("recursion in a parser", "import json\ndef main(): json.loads('[' * 10**6)", FULL_STACK),
    (
        "recursion in the outputs",
        "def main():\n    a = []\n    for _ in range(10**5): a = [a]\n    return {'a': a}",
        FULL_STACK,
    ),
    ("deep outputs", "def main():\n    a = []\n    for _ in range(200): a = [a]\n    return {'a': a}", OUTPUTS),
    // What the guest tells is not believed: code that replaces what the guest uses harms its own call.
    (
        "take the streams away",
        "import sys\ndef main():\n    sys.stdout = sys.stderr = None\n    return {}",
        End::Nothing,
    ),
    (
        "lie about an error",
        "import json\njson.dumps = lambda *a, **k: 'no json'\ndef main(): raise ValueError('x')",
        MAY_LIE,
    ),
    (
        "an error that cannot be shown",
        "class Evil(Exception):\n    def __str__(self): raise self\ndef main(): raise Evil",
        MAY_LIE,
    ),
    (
        "outputs that raise",
        "class Evil(dict):\n    def items(self): raise KeyError\ndef main(): return Evil(a=1)",
        OUTPUTS,
    ),
    ("outputs with odd keys", "def main(): return {1j: 2}", OUTPUTS),
];

/// Every attack.
pub(super) fn attacks() -> Vec<Attack> {
    let raise = RAISE.iter().map(|(name, expression, error)| Attack {
        name,
        code: format!("def main():\n    {expression}"),
        ends: End::Raises(error, catching),
    });
    let exceed = EXCEED.iter().map(|(name, body, limit)| Attack {
        name,
        code: format!("def main():\n    {body}"),
        ends: End::Limit(*limit),
    });
    let programs = PROGRAMS.iter().map(|(name, code, ends)| Attack { name, code: (*code).to_owned(), ends: *ends });
    raise.chain(exceed).chain(programs).collect()
}

fn catching(code: &str) -> String {
    let expression = code.lines().last().unwrap_or_default().trim();
    format!("def main():\n    try:\n        {expression}\n    except Exception:\n        return {{'caught': True}}")
}
