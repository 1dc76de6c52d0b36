//! What code can do, and what the sandbox says when it cannot.

mod common;

use common::{call, config, outputs, script};
use liteagent_sandbox::{
    Config, Sandbox,
    protocol::{Class, Failure, Kind, Language, Limit, Limits, Request},
};
use rstest::rstest;
use serde_json::{Value, json};

use Language::{JavaScript, Python};

const MIB: u64 = 1024 * 1024;

async fn fails(language: Language, code: &str) -> Box<Failure> {
    call(language, code, json!({}), Limits::default()).await.map(|success| success.outputs).expect_err(code)
}

#[rstest]
#[case(Python, "def main(a, b=2):\n    return {'sum': a + b, 'text': 'ä'}")]
#[case(
    Python,
    "import asyncio\nasync def main(a, b=2):\n    await asyncio.sleep(0.001)\n    return {'sum': a + b, 'text': 'ä'}"
)]
#[case(JavaScript, "function main({ a, b = 2 }) { return { sum: a + b, text: 'ä' } }")]
#[case(
    JavaScript,
    "const main = async ({ a, b = 2 }) => { await new Promise((done) => setTimeout(done, 1)); return { sum: a + b, text: 'ä' } }"
)]
#[case(JavaScript, "export async function main({ a, b = 2 }) { return { sum: a + b, text: 'ä' } }")]
#[tokio::test]
async fn main_is_called_with_the_inputs(#[case] language: Language, #[case] code: &str) {
    assert_eq!(outputs(language, code, json!({ "a": 1 })).await, json!({ "sum": 3, "text": "ä" }));
}

#[tokio::test]
async fn what_is_printed_is_kept_apart_from_the_outputs() {
    let python = "import sys\ndef main():\n    print('out', end='')\n    print('err', file=sys.stderr)";
    let reply = call(Python, python, json!({}), Limits::default()).await.unwrap();
    assert_eq!((reply.stdout.as_str(), reply.stderr.as_str(), reply.outputs.get()), ("out", "err\n", "{}"));
    let javascript = "function main() { console.log('%s is', 'it', { a: [1, 'x', null], m: new Map([[1, 2]]) }); console.error('err') }";
    let reply = call(JavaScript, javascript, json!({}), Limits::default()).await.unwrap();
    assert_eq!(reply.stdout, "it is { a: [ 1, 'x', null ], m: Map(1) { 1 => 2 } }\n");
    assert_eq!((reply.stderr.as_str(), reply.outputs.get()), ("err\n", "{}"));
    assert!(reply.usage.wall_us > 0 && reply.usage.cpu_us > 0 && reply.usage.memory > MIB);
}

#[tokio::test]
async fn a_failure_shows_the_frames_of_the_code_and_what_it_printed() {
    let python = "import json\ndef inner():\n    json.loads('{')\ndef main():\n    print('before')\n    inner()";
    let failure = fails(Python, python).await;
    assert_eq!(
        (failure.error.kind, failure.error.class, failure.error.line),
        (Kind::Exception, Class::Invalid, Some(3))
    );
    assert_eq!(failure.stdout, "before\n");
    assert_eq!(
        failure.error.traceback.as_deref(),
        Some(concat!(
            "Traceback (most recent call last):\n",
            "  File \"<code>\", line 6, in main\n    inner()\n    ~~~~~^^\n",
            "  File \"<code>\", line 3, in inner\n    json.loads('{')\n    ~~~~~~~~~~^^^^^\n",
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
        ))
    );
    let javascript = "function main() {\n  console.log('before');\n  [1].map(() => { throw new TypeError('no') });\n}";
    let failure = fails(JavaScript, javascript).await;
    assert_eq!(failure.to_string(), "LA2301: TypeError: no (line 3)");
    assert_eq!(failure.stdout, "before\n");
    let traceback = failure.error.traceback.as_deref().unwrap();
    assert!(traceback.lines().skip(1).all(|line| line.contains("<code>:3:")), "{traceback}");
}

#[rstest]
#[case(Python, "def main(:", Kind::Syntax, "SyntaxError: invalid syntax (line 1)")]
#[case(Python, "def main():\n    return 1 +", Kind::Syntax, "SyntaxError: invalid syntax (line 2)")]
#[case(Python, "x = 1", Kind::NoMain, "the code defines no function `main`")]
#[case(Python, "def main(): return [1]", Kind::Outputs, "it is a list, and must be an object")]
#[case(Python, "def main(): return {'a': [1, {'b': {1}}]}", Kind::Outputs, "a[1].b is a set, which JSON does not have")]
#[case(Python, "def main(): return {'a': float('nan')}", Kind::Outputs, "a is nan, which JSON does not have")]
#[case(Python, "import left_pad\ndef main(): pass", Kind::MissingModule, "no module `left_pad` (line 1)")]
#[case(Python, "import asyncio\nasync def main(): await asyncio.Event().wait()", Kind::Exception, "can never happen")]
#[case(JavaScript, "function main() {\n  let x = ;\n}", Kind::Syntax, "unexpected token in expression: ';' (line 2)")]
#[case(JavaScript, "let x = 1", Kind::NoMain, "the code defines no function `main`")]
#[case(JavaScript, "function main() { return [1] }", Kind::Outputs, "it is a list, and must be an object")]
#[case(JavaScript, "function main() { return { a: 1n } }", Kind::Outputs, "BigInt")]
#[case(
    JavaScript,
    "import pad from 'left-pad'; export function main() {}",
    Kind::MissingModule,
    "no module `left-pad`"
)]
#[case(JavaScript, "async function main() { await import('left-pad') }", Kind::MissingModule, "no module `left-pad`")]
#[case(JavaScript, "function main() { return new Promise(() => {}) }", Kind::Exception, "never settles")]
#[case(JavaScript, "function main() { Promise.reject(new Error('lost')) }", Kind::Exception, "Error: lost (line 1)")]
#[tokio::test]
async fn a_failure_is_of_a_kind_and_says_why(
    #[case] language: Language,
    #[case] code: &str,
    #[case] kind: Kind,
    #[case] message: &str,
) {
    let failure = fails(language, code).await;
    assert_eq!(failure.error.kind, kind, "{failure}");
    assert!(failure.error.message.contains(message), "{failure}");
}

/// Every package that the documentation names, at work.
#[rstest]
#[case("import yaml\ndef main(): return {'r': yaml.safe_load('a: [1, 2]')}", json!({ "a": [1, 2] }))]
#[case("import jinja2\ndef main(): return {'r': jinja2.Template('Hi {{ n }}').render(n='Ada')}", json!("Hi Ada"))]
#[case("import markdown\ndef main(): return {'r': markdown.markdown('|a|\\n|-|\\n|1|', extensions=['tables'])[:7]}", json!("<table>"))]
#[case("import bs4\ndef main(): return {'r': bs4.BeautifulSoup('<p>x<b>y', 'html.parser').select_one('p b').text}", json!("y"))]
#[case("import jsonschema\ndef main(): return {'r': [e.message for e in jsonschema.Draft202012Validator({'type': 'string'}).iter_errors(1)]}", json!(["1 is not of type 'string'"]))]
#[case("import tabulate\ndef main(): return {'r': tabulate.tabulate([[1]], headers=['a'])}", json!("  a\n---\n  1"))]
#[case("import dateutil.parser, dateutil.tz\ndef main(): return {'r': dateutil.parser.parse('3 May 2026 10:00').replace(tzinfo=dateutil.tz.gettz('Europe/Berlin')).isoformat()}", json!("2026-05-03T10:00:00+02:00"))]
#[case("import openpyxl, io\ndef main():\n    book, file = openpyxl.Workbook(), io.BytesIO()\n    book.active.append([1, 'a'])\n    book.save(file)\n    return {'r': [[c.value for c in row] for row in openpyxl.load_workbook(file).active.rows]}", json!([[1, "a"]]))]
#[case("import zoneinfo, datetime\ndef main(): return {'r': str(datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Asia/Tokyo')).utcoffset())}", json!("9:00:00"))]
#[case("import sqlite3\ndef main(): return {'r': sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()[0]}", json!(2))]
#[case("import unittest, doctest, pdb, xmlrpc.client, smtplib, wsgiref.util, imaplib, dis, symtable\ndef main(): return {'r': 1}", json!(1))]
#[case("import importlib.metadata\ndef main(): return {'r': importlib.metadata.version('PyYAML')}", json!("6.0.4"))]
#[tokio::test]
async fn python_has_its_standard_library_and_some_packages(#[case] code: &str, #[case] result: Value) {
    assert_eq!(outputs(Python, code, json!({})).await, json!({ "r": result }));
}

#[rstest]
#[case("new URL('../b?q=1#h', 'https://user@Example.com:443/x/a').href", "https://user@example.com/b?q=1#h")]
#[case("new URL('http://0x7f.1/%7Ea b').href", "http://127.0.0.1/%7Ea%20b")]
#[case("new URL('mailto:a@b.c').pathname", "a@b.c")]
#[case("String(URL.canParse('//x'))", "false")]
#[case(
    "(() => { const url = new URL('https://a.b/c'); url.searchParams.set('q', 'ä &'); url.port = '8080'; return url.href })()",
    "https://a.b:8080/c?q=%C3%A4+%26"
)]
#[case("new URLSearchParams({ a: '1', b: 'x y' }).toString()", "a=1&b=x+y")]
#[case("[...new TextEncoder().encode('ä')].join()", "195,164")]
#[case("new TextDecoder().decode(new Uint8Array([0xe2, 0x82, 0xac]))", "€")]
#[case(
    "(() => { try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff])) } catch (e) { return e.name } })()",
    "TypeError"
)]
#[case("atob(btoa('hi'))", "hi")]
#[case(
    "(() => { const a = { d: new Date(0), s: new Set([1]) }; a.self = a; const b = structuredClone(a); return String(b.self === b && b !== a && b.d.getTime() === 0 && b.s.has(1)) })()",
    "true"
)]
#[case("Buffer.from('aGk=', 'base64').toString('utf-8') + Buffer.from('hi').toString('hex')", "hi6869")]
#[case(
    "[3, 1, 2].toSorted().join() + Object.keys(Object.groupBy([1, 2], (x) => x % 2 ? 'odd' : 'even')).join()",
    "1,2,3odd,even"
)]
#[case(
    "(() => { class A { #x = 2n ** 64n; get x() { return this.#x } } return String(new A().x) })()",
    "18446744073709551616"
)]
#[tokio::test]
async fn javascript_has_the_language_and_a_little_of_the_web(#[case] expression: &str, #[case] result: &str) {
    let code = format!("function main() {{ return {{ r: {expression} }} }}");
    assert_eq!(outputs(JavaScript, &code, json!({})).await, json!({ "r": result }));
}

#[tokio::test]
async fn timers_fire_in_order_and_can_be_cleared() {
    let code = "async function main() { const seen = []; setTimeout(() => seen.push('late'), 4); setTimeout(() => seen.push('soon'), 1); \
        const id = setTimeout(() => seen.push('never'), 2); clearTimeout(id); queueMicrotask(() => seen.push('first')); \
        await new Promise((done) => setTimeout(done, 8)); return { seen } }";
    assert_eq!(outputs(JavaScript, code, json!({})).await, json!({ "seen": ["first", "soon", "late"] }));
}

#[tokio::test]
async fn a_script_is_run_whole() {
    let python = "import base64, json\ninputs = json.loads(base64.b64decode('eyJhIjogMX0=').decode('utf-8'))\n\
        print(f\"<<RESULT>>{json.dumps({'r': inputs['a'] + 1})}<<RESULT>>\")";
    assert_eq!(script(Python, python).await.unwrap().stdout, "<<RESULT>>{\"r\": 2}<<RESULT>>\n");
    let javascript = "var inputs = JSON.parse(Buffer.from('eyJhIjogMX0=', 'base64').toString('utf-8'));\n\
        setTimeout(() => console.log(`<<RESULT>>${JSON.stringify({ r: inputs.a + 1 })}<<RESULT>>`), 1)";
    assert_eq!(script(JavaScript, javascript).await.unwrap().stdout, "<<RESULT>>{\"r\":2}<<RESULT>>\n");
    assert_eq!(script(Python, "import sys\nprint('x')\nsys.exit()").await.unwrap().stdout, "x\n");
    let failure = script(Python, "import sys\nprint('x')\nsys.exit(3)").await.unwrap_err();
    assert_eq!((failure.error.kind, failure.error.exit_code, failure.stdout.as_str()), (Kind::Exited, Some(3), "x\n"));
}

#[tokio::test]
async fn a_request_that_cannot_be_served_is_refused_before_it_runs() {
    let refused = async |request: Request| common::sandbox().run(request).await.map(|_| ()).unwrap_err().error;
    let code = "def main(**inputs): return inputs";
    let list = refused(Request::new(Python, code).with_inputs(&json!([1])).unwrap()).await;
    assert_eq!(list.to_string(), "LA2309: the inputs cannot be passed: it is a list, and must be an object");
    let small = Limits { memory: Some(MIB), ..Limits::default() };
    let small = refused(Request::new(Python, code).with_limits(small)).await;
    assert_eq!((small.kind, small.limit), (Kind::Request, Some(Limit::Memory)));
    assert!(small.message.starts_with("the limit `memory` is 1MiB; python needs "), "{small}");
    let large = refused(Request::new(Python, "#".repeat(65 << 20))).await;
    assert_eq!((large.kind, large.limit), (Kind::Limit, Some(Limit::Input)));
}

#[tokio::test]
async fn a_guest_that_is_not_there_is_named_with_the_way_to_it() {
    let sandbox = Sandbox::new(Config { guests: "/nowhere".into(), ..config() }).unwrap();
    let failure = sandbox.run(Request::new(Python, "")).await.unwrap_err();
    assert_eq!((failure.error.kind, failure.error.class), (Kind::Sandbox, Class::Unavailable));
    assert_eq!(failure.error.message, "the Python guest is not there: expected `/nowhere/python.wasm`");
}

/// Two run, two wait, and the fifth is told so; when one ends the next is served. A call that is dropped gives its place back.
#[tokio::test]
async fn the_queue_is_not_endless() {
    let sandbox = Sandbox::new(Config { concurrency: 2, queue: 2, ..config() }).unwrap();
    sandbox.prepare(JavaScript).await.unwrap();
    let forever = Request::new(JavaScript, "function main() { return new Promise((done) => setTimeout(done, 1e6)) }");
    let mut calls: Vec<_> = (0..4).map(|_| Box::pin(sandbox.run(forever.clone()))).collect();
    for call in &mut calls {
        assert!(futures::poll!(call).is_pending());
    }
    assert_eq!(sandbox.waiting(), 2);
    let refused = sandbox.run(forever.clone()).await.unwrap_err();
    assert_eq!((refused.error.kind, refused.error.class), (Kind::Busy, Class::RateLimited));
    assert_eq!(refused.error.message, "too many requests: 2 calls wait already");

    drop(calls);
    assert_eq!(sandbox.waiting(), 0);
    let quick = Request::new(JavaScript, "function main() { return { a: 1 } }");
    assert_eq!(sandbox.run(quick).await.unwrap().outputs.get(), r#"{"a":1}"#);
}

/// The sum of what calls in flight may use is bounded too.
#[tokio::test]
async fn memory_in_flight_is_bounded() {
    let sandbox = Sandbox::new(Config { memory_in_flight: 100 * MIB, queue: 0, ..config() }).unwrap();
    sandbox.prepare(JavaScript).await.unwrap();
    let limits = Limits { memory: Some(64 * MIB), ..Limits::default() };
    let forever = Request::new(JavaScript, "function main() { return new Promise((done) => setTimeout(done, 1e6)) }");
    let mut first = Box::pin(sandbox.run(forever.clone().with_limits(limits)));
    assert!(futures::poll!(&mut first).is_pending());
    assert_eq!(sandbox.run(forever.clone().with_limits(limits)).await.unwrap_err().error.kind, Kind::Busy);
    let smaller = Limits { memory: Some(16 * MIB), ..Limits::default() };
    let quick = Request::new(JavaScript, "function main() {}").with_limits(smaller);
    assert!(sandbox.run(quick).await.is_ok());
}

/// Sixty-four at once, more than there are threads, none of them first.
#[tokio::test]
async fn many_calls_share_the_threads() {
    let code = "def main(n):\n    total = 0\n    for i in range(20_000): total += i % n\n    return {'n': n}";
    let calls = (1..=64).map(|n| async move { (n, outputs(Python, code, json!({ "n": n })).await) });
    for (n, reply) in futures::future::join_all(calls).await {
        assert_eq!(reply, json!({ "n": n }));
    }
}

/// Memory of calls that used much is given back.
#[tokio::test]
async fn memory_returns_to_where_it_was() {
    let greedy = "def main():\n    a = bytearray(80_000_000)\n    a[::4096] = b'x' * len(a[::4096])\n    return {}";
    outputs(Python, "def main(): return {}", json!({})).await;
    let before = resident();
    for _ in 0..8 {
        outputs(Python, greedy, json!({})).await;
    }
    let calls = (0..8).map(|_| outputs(Python, greedy, json!({})));
    futures::future::join_all(calls).await;
    let after = resident();
    assert!(after < before + 128 * MIB, "{before} -> {after}");
}

/// The resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("it is the second number");
    pages * 4096
}
