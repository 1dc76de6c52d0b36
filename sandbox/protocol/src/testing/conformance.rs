//! The contract of [`Runner`], sentence by sentence.

use futures::future::{Either, join_all, select, select_all};
use serde_json::json;

use super::{PLACES, QUEUE, call, fails, forever, outputs, script, still_serves};
use crate::{
    Class, Kind,
    Language::{self, JavaScript, Python},
    Limit, Limits, Load, Request, Runner,
};

const MIB: u64 = 1024 * 1024;

/// Checks every sentence.
pub async fn all(runner: &dyn Runner) {
    runner.ready().await.unwrap();
    assert!(!runner.describe().is_empty());
    replies_are_whole(runner).await;
    failures_are_whole(runner).await;
    values_arrive_as_they_were_written(runner).await;
    what_cannot_be_served_is_refused_by_name(runner).await;
    limits_are_kept(runner).await;
    nothing_is_left_of_a_call(runner).await;
    every_call_has_its_own_reply(runner).await;
    a_dropped_call_gives_its_place_back(runner).await;
    the_queue_is_not_endless(runner).await;
    rests(runner).await;
}

async fn replies_are_whole(runner: &dyn Runner) {
    let python = "import sys\ndef main(a):\n    print('out ä', end='')\n    print('err', file=sys.stderr)\n    return {'b': a + 1}";
    let javascript = "function main({ a }) { console.log('out ä'.trim()); console.error('err'); return { b: a + 1 } }";
    for (language, code) in [(Python, python), (JavaScript, javascript)] {
        let reply = call(runner, language, code, json!({ "a": 1 }), Limits::default()).await.unwrap();
        assert_eq!((reply.outputs.get(), reply.stdout.trim(), reply.stderr.as_str()), (r#"{"b":2}"#, "out ä", "err\n"));
        assert!(reply.usage.wall_us > 0 && reply.usage.cpu_us > 0 && reply.usage.memory > MIB, "{:?}", reply.usage);
    }
    assert_eq!(script(runner, Python, "print(1)").await.unwrap().stdout, "1\n");
    assert_eq!(script(runner, JavaScript, "console.log(1)").await.unwrap().stdout, "1\n");
    let exited = script(runner, Python, "print('x')\nraise SystemExit(3)").await.unwrap_err();
    assert_eq!((exited.error.kind, exited.error.exit_code, exited.stdout.as_str()), (Kind::Exited, Some(3), "x\n"));
}

async fn failures_are_whole(runner: &dyn Runner) {
    let raised = fails(runner, Python, "def main():\n    print('before')\n    return 1 / 0").await;
    assert_eq!(raised.to_string(), "LA2301: ZeroDivisionError: division by zero (line 3)");
    assert_eq!((raised.error.class, raised.error.line), (Class::Invalid, Some(3)));
    assert_eq!(raised.stdout, "before\n");
    assert!(raised.error.traceback.as_deref().is_some_and(|text| text.contains("return 1 / 0")), "{raised:?}");
    let missing = fails(runner, Python, "import numpy").await;
    assert_eq!((missing.error.kind, missing.error.module.as_deref()), (Kind::MissingModule, Some("numpy")));
    assert!(missing.error.hint.is_some());
    assert_eq!(fails(runner, JavaScript, "function main( {").await.error.kind, Kind::Syntax);
    assert_eq!(fails(runner, JavaScript, "let x = 1").await.error.kind, Kind::NoMain);
}

async fn values_arrive_as_they_were_written(runner: &dyn Runner) {
    let odd = json!({
        "text": "\0\u{1}\u{7f}\"\\/\u{2028}😀é\r\n\t",
        "numbers": [0, -1, 9_007_199_254_740_991_i64, 1.5, 1e300],
        "nested": [[[[{ "": null, "true": true }]]]],
        "long": "x".repeat(1_000_000),
    });
    for (language, code) in [
        (Python, "def main(value): return {'value': value}"),
        (JavaScript, "function main({ value }) { return { value } }"),
    ] {
        let back = outputs(runner, language, code, json!({ "value": odd })).await;
        assert_eq!(back["value"], odd);
    }
    let code = "# \0 ä \"quoted\" \\ \ndef main(**inputs): return {'n': len(inputs)}".replace('\0', "\u{1}");
    assert_eq!(outputs(runner, Python, &code, json!({ "a": 1 })).await, json!({ "n": 1 }));
}

async fn what_cannot_be_served_is_refused_by_name(runner: &dyn Runner) {
    let refused = async |request: Request| runner.run(request).await.map(|_| ()).unwrap_err().error;
    let list = refused(Request::new(Python, "").with_inputs(&json!([1])).unwrap()).await;
    assert_eq!((list.kind, list.class, list.code.as_ref()), (Kind::Request, Class::Invalid, "LA2309"));
    let wall = refused(forever(Python).with_limits(Limits { wall_ms: Some(1 << 40), ..Limits::default() })).await;
    assert_eq!((wall.kind, wall.limit), (Kind::Request, Some(Limit::Wall)));
    assert!(wall.hint.is_some());
    let large = refused(Request::new(Python, "#".repeat(65 << 20))).await;
    assert_eq!((large.kind, large.class, large.limit), (Kind::Limit, Class::LimitExceeded, Some(Limit::Input)));
}

async fn limits_are_kept(runner: &dyn Runner) {
    let limits = Limits { wall_ms: Some(200), ..Limits::default() };
    for language in Language::ALL {
        let failure = runner.run(forever(language).with_limits(limits)).await.unwrap_err();
        assert_eq!((failure.error.kind, failure.error.class), (Kind::Limit, Class::Timeout), "{failure}");
        assert_eq!(failure.error.limit, Some(Limit::Wall), "{failure}");
        assert!(failure.usage.wall_us >= 200_000, "{:?}", failure.usage);
        still_serves(runner, language).await;
    }
}

async fn nothing_is_left_of_a_call(runner: &dyn Runner) {
    let code = "function main() { const seen = globalThis.mark ?? null; globalThis.mark = 1; return { seen } }";
    for _ in 0..2 * PLACES {
        assert_eq!(outputs(runner, JavaScript, code, json!({})).await, json!({ "seen": null }));
    }
}

/// More at once than there are places and room to wait, in turns.
async fn every_call_has_its_own_reply(runner: &dyn Runner) {
    for _ in 0..4 {
        let calls = (0..PLACES + QUEUE).map(|n| async move {
            let (language, code) = match n % 2 {
                0 => (Python, "def main(n): return {'n': n}"),
                _ => (JavaScript, "function main({ n }) { return { n } }"),
            };
            assert_eq!(outputs(runner, language, code, json!({ "n": n })).await, json!({ "n": n }));
        });
        join_all(calls).await;
    }
}

/// Calls that take all places but one are dropped again and again: were a place lost, the call after them would wait.
async fn a_dropped_call_gives_its_place_back(runner: &dyn Runner) {
    let limits = Limits { wall_ms: Some(20_000), ..Limits::default() };
    for _ in 0..3 {
        // A call that is dropped ends a little later.
        rests(runner).await;
        let mut calls: Vec<_> = (1..PLACES).map(|_| runner.run(forever(JavaScript).with_limits(limits))).collect();
        let one = call(runner, JavaScript, "function main() {}", json!({}), Limits::default());
        let usage = match select(select_all(&mut calls), Box::pin(one)).await {
            Either::Left(((reply, ..), _)) => panic!("it ended: {reply:?}"),
            Either::Right((reply, _)) => reply.unwrap().usage,
        };
        assert!(usage.wait_us < 10_000_000, "{usage:?}");
        drop(calls);
    }
}

/// One more than there are places and room to wait: it is told so, and nothing else ends.
async fn the_queue_is_not_endless(runner: &dyn Runner) {
    rests(runner).await;
    let calls = (0..=PLACES + QUEUE).map(|_| runner.run(forever(JavaScript)));
    let (first, _, others) = select_all(calls).await;
    let busy = first.unwrap_err().error;
    assert_eq!((busy.kind, busy.class, busy.code.as_ref()), (Kind::Busy, Class::RateLimited, "LA2310"));
    assert!(busy.message.starts_with("too many requests"), "{busy}");
    drop(others);
    rests(runner).await;
}

/// Waits until nothing runs, and calls of JavaScript find a place again. Python, of which nothing runs, passes the time.
async fn rests(runner: &dyn Runner) {
    loop {
        still_serves(runner, Python).await;
        let one = call(runner, JavaScript, "function main() {}", json!({}), Limits::default()).await;
        match one.map_err(|failure| failure.error.kind) {
            Ok(_) if runner.load().await == Load::default() => return,
            Ok(_) | Err(Kind::Busy) => {}
            Err(kind) => panic!("{kind:?}"),
        }
    }
}
