//! Code nodes: they run isolated, and what they print reaches people.

use super::harness::{Folder, looks_like};

const CHAIN: &str = r#"
name: chain
inputs: { names: { type: "string[]", default: [ada, grace] } }
nodes:
  greet:
    type: code
    language: python
    inputs: { names: "{{ inputs.names }}" }
    returns: { lines: "string[]" }
    code: |
      import sys
      def main(names):
          print("greeting", len(names), "people")
          print("\x1b[2Jcareful", file=sys.stderr)
          return {"lines": [f"Hello, {name.title()}!" for name in names]}
  count:
    type: code
    language: javascript
    inputs: { lines: "{{ greet.lines }}" }
    returns: { letters: integer }
    file: code/count.js
outputs:
  letters: "{{ count.letters }}"
"#;

#[test]
fn code_runs_and_what_it_prints_is_shown_and_kept() {
    let folder = Folder::new()
        .with("chain.yaml", CHAIN)
        .with("code/count.js", "export async function main({ lines }) { return { letters: lines.join('').length } }\n");
    looks_like!(folder.run("run chain.yaml").whole(), @r#"
    {
      "letters": 24
    }
    ---- stderr (0)
      ✓ greet
        │ greeting 2 people
        │ [2Jcareful
      ✓ count
    succeeded: [run]
    "#);
    let run = folder.newest();
    looks_like!(folder.run(&format!("runs show {run}")).out, @r#"
    run       [run]
    workflow  chain ([digest])
    status    succeeded
    started   [time] by cli

     [took]  ✓ greet
                  │ greeting 2 people
                  │ [2Jcareful
     [took]  ✓ count

    outputs {
      "letters": 24
    }
    "#);
    let journal = folder.run(&format!("runs show --journal {run}")).out;
    assert!(journal.contains(r#""log":"greeting 2 people\n\u001b[2Jcareful\n""#), "{journal}");
}

#[test]
fn a_failure_has_its_code_its_hint_and_the_frames_of_the_code() {
    let folder = Folder::new().with(
        "fails.yaml",
        r#"
name: fails
nodes:
  parse:
    type: code
    language: python
    returns: { n: integer }
    code: |
      def inner(text):
          return int(text)

      def main():
          print("parsing")
          return {"n": inner("seven")}
"#,
    );
    looks_like!(folder.run("run fails.yaml").whole(), @r#"
    ---- stderr (1)
      ✗ parse                    LA2301: ValueError: invalid literal for int() with base 10: 'seven' (line 2)
        │ parsing
        │ Traceback (most recent call last):
        │   File "<code>", line 6, in main
        │     return {"n": inner("seven")}
        │                  ~~~~~^^^^^^^^^
        │   File "<code>", line 2, in inner
        │     return int(text)
        │ ValueError: invalid literal for int() with base 10: 'seven'
    error[LA2301]: `parse`: ValueError: invalid literal for int() with base 10: 'seven' (line 2)
    failed: [run]; `liteagent runs show [run]` tells more
    "#);
}

#[test]
fn without_interpreters_the_node_says_how_to_get_them() {
    let folder = Folder::new().with("chain.yaml", CHAIN).with("code/count.js", "function main() { return {} }");
    let empty = folder.path("empty");
    let output = folder.command(&["run", "chain.yaml"]).env("LITEAGENT_CACHE", &empty).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap().replace(&*empty.to_string_lossy(), "[cache]");
    looks_like!(said, @"
      ✗ greet                    LA2311: the Python guest is not there: expected `[cache]/guests/python.wasm`
    error[LA2311]: `greet`: the Python guest is not there: expected `[cache]/guests/python.wasm`
      = help: `liteagent sandbox build` builds it
    failed: [run]; `liteagent runs show [run]` tells more
    ");
    assert_eq!(output.status.code(), Some(1));
    let check = folder.command(&["check", "chain.yaml"]).env("LITEAGENT_CACHE", &empty).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "a check needs no sandbox");
}

#[test]
fn code_runs_in_tests_and_takes_no_time_of_theirs() {
    let folder = Folder::new()
        .with(
            "slow.yaml",
            r#"
name: slow
nodes:
  work:
    type: code
    language: javascript
    timeout: 1m
    returns: { n: integer }
    code: |
      const main = () => { let n = 0; while (n < 2000000) n += 1; return { n } };
  later: { type: wait, for: 2h }
  after:
    type: code
    language: python
    inputs: { n: "{{ work.n }}", at: "{{ later.at }}" }
    returns: { n: integer, at: string }
    code: |
      def main(n, at):
          print("n is", n)
          return {"n": n, "at": at}
outputs: { n: "{{ after.n }}", at: "{{ after.at }}" }
"#,
        )
        .with(
            "slow.test.yaml",
            r#"
defaults: { clock: "2026-03-01T09:00:00Z" }
tests:
  - name: it is two hours later, however slow the machine is
    expect: { status: succeeded, outputs: { n: 2000000, at: "2026-03-01T11:00:00.000Z" } }
  - name: code can be faked
    fakes: { work: { outputs: { n: 7 } } }
    expect: { outputs: { n: 7 } }
  - name: a failed test shows what code printed
    fakes: { work: { outputs: { n: 7 } } }
    expect: { outputs: { n: 8 } }
"#,
        );
    looks_like!(folder.run("test").whole(), @"
    pass slow › it is two hours later, however slow the machine is
    pass slow › code can be faked
    FAIL slow › a failed test shows what code printed  slow.test.yaml:9
      outputs.n
        expected: 8
        found:    7
      nodes
        work   succeeded
        later  succeeded
        after  succeeded
          │ n is 7
    ---- stderr (1)
    2 passed, 1 failed
    ");
}
