//! `liteagent eval`: a workflow over a data set, for several models, with assertions and a judge.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use liteagent_providers::testing::Call;
use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said, looks_like},
    service::{Reply, Service, question},
};

const SUM: &str = "\
name: sum
inputs: { a: integer, b: integer }
nodes:
  reply: { type: llm, messages: [{ user: \"{{ inputs.a }} + {{ inputs.b }}\" }] }
outputs: { text: \"{{ reply.text }}\" }
";

const CASES: &str = r#"{"inputs": {"a": 1, "b": 2}, "expect": {"outputs": {"text": "3"}}}

{"name": "large", "inputs": {"a": 40, "b": 2}, "expect": {"matches": {"text": "^42"}}, "judge": "It is a number."}
"#;

/// `big` calculates, `small` says 3; a judge looks for a 4.
fn answer(call: &Call) -> Reply {
    let asked = question(call);
    if asked.contains("Criteria:") {
        let passes = asked.contains("\"42\"");
        return Reply::Says(json!({ "reason": "It is 42 or not.", "passes": passes }).to_string());
    }
    let sum: i64 = asked.split(" + ").map(|part| part.parse::<i64>().unwrap()).sum();
    Reply::Says(if call.body["model"] == "big" { sum.to_string() } else { "3".to_owned() })
}

fn folder(provider: &Service) -> Folder {
    Folder::new().with("liteagent.toml", &provider.config()).with("sum.yaml", SUM).with("cases.jsonl", CASES)
}

fn eval(folder: &Folder, args: &[&str]) -> Said {
    let args: Vec<_> = ["eval", "sum", "cases.jsonl"].iter().chain(args).copied().collect();
    Said::of(folder.command(&args).env("LITEAGENT_SECRET_WORK", "sk").output().unwrap())
}

#[test]
fn models_are_compared_by_what_they_pass_cost_and_take() {
    let provider = Service::start(answer);
    let folder = folder(&provider);
    let said = eval(&folder, &["--model", "work/big,work/small", "--judge", "work/big", "--concurrency", "3"]);
    looks_like!(said.whole(), @r#"
    MODEL       PASSED  RATE   COST      TOKENS  P50
    work/big    2 of 2  100 %  4.00 USD  3,000 [took]
    work/small  1 of 2  50 %   0.04 USD  3,000 [took]
    FAIL work/small › large  cases.jsonl:3
      outputs.text
        expected: something that matches /^42/
        found:    "3"
      nodes
        reply  succeeded
    ---- stderr (1)
    judged by work/big: 1,500 tokens in 1 call, 2.00 USD
    "#);

    let said = eval(&folder, &["--model", "work/big,work/small", "--judge", "work/big", "--json"]);
    let report: Json = serde_json::from_str(&said.out).unwrap();
    let [big, small] = [&report["models"][0], &report["models"][1]];
    assert_eq!((said.code, &big["pass_rate"], &small["pass_rate"]), (1, &json!(1.0), &json!(0.5)));
    assert_eq!((&big["usage"]["tokens"], &big["usage"]["cost"]), (&json!(3000), &json!(4.0)));
    let failed = &small["outcomes"][1];
    assert_eq!(
        (&failed["name"], &failed["line"], &failed["result"]),
        (&json!("large"), &json!(3), &json!({ "text": "3" }))
    );
    assert_eq!(failed["failures"][0]["field"], "outputs.text");
    assert_eq!(big["outcomes"][1]["judge_usage"]["calls"], 1);

    let said = eval(&folder, &["--judge", "work/small"]);
    assert!(said.code == 0 && said.out.contains("default  2 of 2"), "{}", said.whole());
    assert!(folder.run("runs list --json").out.starts_with("[]"), "runs of an evaluation are kept nowhere");
}

#[test]
fn the_judge_gives_its_reason() {
    let provider = Service::start(answer);
    let cases = r#"{"inputs": {"a": 1, "b": 2}, "judge": "It is 42."}"#;
    let folder = folder(&provider).with("cases.jsonl", cases);
    let said = eval(&folder, &["--model", "work/big", "--judge", "work/big"]);
    looks_like!(said.whole(), @r"
    MODEL     PASSED  RATE  COST      TOKENS  P50
    work/big  0 of 1  0 %   2.00 USD  1,500 [took]
    FAIL work/big › line 1  cases.jsonl:1
      judge
        expected: It is 42.
        found:    It is 42 or not.
      nodes
        reply  succeeded
    ---- stderr (1)
    judged by work/big: 1,500 tokens in 1 call, 2.00 USD
    ");
    let said = eval(&folder, &["--model", "work/big"]);
    assert!(
        said.code == 2 && said.err.contains("error[LA3119]: `line 1` of `cases.jsonl` has criteria"),
        "{}",
        said.err
    );
}

#[test]
fn every_wrong_line_is_named_before_anything_runs() {
    let provider = Service::start(answer);
    let cases = [
        r#"{"inputs": {"a": 1, "b": 2}}"#,
        r#"{"inputs": {"a": 1, "b": 2}"#,
        r#"{"inputs": {"a": "one", "b": 2}}"#,
        r#"{"input": {"a": 1, "b": 2}}"#,
        r#"{"inputs": {"a": 1, "b": 2}, "expect": {"outputs": {"txt": "3"}, "calls": {"reply": 1}}}"#,
        r#"{"message": "Hi", "inputs": {"a": 1, "b": 2}}"#,
    ];
    let folder = folder(&provider).with("cases.jsonl", &cases.join("\n"));
    let said = eval(&folder, &["--model", "work/big"]);
    looks_like!(said.whole(), @r#"
    ---- stderr (2)
    error[LA0001]: this is not valid JSON: EOF while parsing an object
     --> cases.jsonl:2:27
      |
    2 | {"inputs": {"a": 1, "b": 2}
      |                           ^
    error[LA3118]: expected an integer, found the string `one`
     --> cases.jsonl:3:18
      |
    3 | {"inputs": {"a": "one", "b": 2}}
      |                  ^^^^^
    error[LA0101]: unknown field `input` in `case`
     --> cases.jsonl:4:2
      |
    4 | {"input": {"a": 1, "b": 2}}
      |  ^^^^^^^ no such field
      |
      = help: did you mean `inputs`?
    error[LA3103]: the workflow `sum` has no output `txt` here
     --> cases.jsonl:5:53
      |
    5 | {"inputs": {"a": 1, "b": 2}, "expect": {"outputs": {"txt": "3"}, "calls": {"reply": 1}}}
      |                                                     ^^^^^
      |
      = help: did you mean `text`?
    error[LA3118]: an evaluation does not see `calls`
     --> cases.jsonl:5:75
      |
    5 | {"inputs": {"a": 1, "b": 2}, "expect": {"outputs": {"txt": "3"}, "calls": {"reply": 1}}}
      |                                                                           ^^^^^^^^^^^^
      |
      = help: look at it in a test, with fakes or a cassette
    error[LA3118]: `sum` is no chat workflow, so nobody can say something to it
     --> cases.jsonl:6:13
      |
    6 | {"message": "Hi", "inputs": {"a": 1, "b": 2}}
      |             ^^^^
      |
      = help: pass `inputs` instead
    error[LA3118]: `cases.jsonl` has 6 findings
      = help: mend the lines; nothing was run
    "#);
    assert!(provider.asked().is_empty());
    let folder = folder.with("cases.jsonl", "\n");
    assert!(eval(&folder, &[]).err.contains("expected a case on each line, found none"));
}

#[test]
fn what_cannot_be_compared_is_told_before_anything_runs() {
    let provider = Service::start(answer);
    let fixed = SUM.replace("type: llm,", "type: llm, model: work/big,");
    let cases = CASES.lines().next().unwrap();
    let of = |workflow: &str| folder(&provider).with("cases.jsonl", cases).with("sum.yaml", workflow);
    let said = eval(&of(&fixed), &["--model", "work/big,work/small"]);
    assert!(
        said.code == 2 && said.err.contains("error[LA3119]: no node of `sum` takes the default model"),
        "{}",
        said.err
    );
    let said = eval(&of(SUM), &["--model", "nobody/x"]);
    assert!(said.code == 2 && said.err.contains("error[LA2"), "{}", said.err);
    assert!(provider.asked().is_empty());
}
