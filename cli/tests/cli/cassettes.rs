//! Cassettes: real answers are recorded once, without secrets, and played ever after, without a network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use liteagent_providers::testing::Call;
use serde_json::json;

use super::{
    harness::{Folder, Said, looks_like},
    service::{Reply, Service, question},
};

const TESTS: &str = "\
defaults: { secrets: { SHOP_TOKEN: test-token } }
tests:
  - name: an order is on its way
    cassette: true
    inputs: { order: \"7\" }
    expect:
      outputs: { text: It left on Monday., status: shipped, tokens: 1500 }
      prompts: { reply: { 1: { contains: \"Is shipped good?\" } } }
  - name: another one is faked
    inputs: { order: \"8\" }
    fakes: { fetch: { outputs: { json: { status: lost } } }, reply: [{ text: Sorry. }] }
    expect: { outputs: { text: Sorry. } }
";

/// A shop that repeats the token it is sent, and a model that always says the same.
fn shop(call: &Call) -> Reply {
    if call.method == "GET" {
        let token = call.header("authorization").unwrap_or("nothing");
        let body = format!("{{ \"status\": \"shipped\",\n  \"seen\": \"{token}\", \"total\": 40.5 }}");
        let headers = vec![("content-type", "application/json"), ("set-cookie", "id=c00kie-value"), ("etag", "\"1\"")];
        return Reply::Answers(200, headers, body);
    }
    Reply::Says("It left on Monday.".to_owned())
}

fn workflow(provider: &Service, prompt: &str) -> String {
    format!(
        "name: ask
inputs: {{ order: string }}
secrets: [SHOP_TOKEN]
nodes:
  fetch:
    type: http-request
    url: http://{}/orders/{{{{ inputs.order }}}}
    auth: {{ bearer: \"{{{{ secrets.SHOP_TOKEN }}}}\" }}
  reply:
    type: llm
    messages:
      - system: |
          Answer shortly.
          Say when.
      - user: \"{prompt}\"
outputs: {{ text: \"{{{{ reply.text }}}}\", status: \"{{{{ fetch.json.status }}}}\", tokens: \"{{{{ reply.usage.tokens }}}}\" }}
",
        provider.address
    )
}

const PROMPT: &str = "Order {{ inputs.order }}. Is {{ fetch.json.status }} good?";

fn folder(provider: &Service, tests: &str) -> Folder {
    Folder::new()
        .with("liteagent.toml", &provider.config())
        .with("ask.yaml", &workflow(provider, PROMPT))
        .with("ask.test.yaml", tests)
}

/// Runs with the keys of a machine that has some.
fn record(folder: &Folder, key: &str) -> Said {
    let mut command = folder.command(&["test", "--record"]);
    command.env("LITEAGENT_SECRET_WORK", key).env("LITEAGENT_SECRET_SHOP_TOKEN", "real-token-1234");
    Said::of(command.output().unwrap())
}

fn cassette(folder: &Folder) -> String {
    fs::read_to_string(folder.path("ask.cassette.yaml")).unwrap()
}

#[test]
fn real_answers_are_recorded_without_secrets_and_played_without_a_network() {
    let provider = Service::start(shop);
    let folder = folder(&provider, TESTS);
    let said = record(&folder, "sk-real-key");
    looks_like!(said.whole(), @r"
    pass ask › an order is on its way
    ---- stderr (0)
    recorded 2 calls in ask.cassette.yaml
    1 passed, 0 failed
    ");
    let recorded = cassette(&folder);
    for secret in ["sk-real-key", "real-token-1234", "test-token", "c00kie-value"] {
        assert!(!recorded.contains(secret), "{recorded}");
    }
    let address = provider.address.to_string();
    insta::with_settings!({ filters => vec![(address.as_str(), "[shop]"), ("digest: [0-9a-f]{16}", "digest: [digest]")] }, {
        insta::assert_snapshot!("a_cassette", recorded);
    });

    let asked = provider.asked().len();
    looks_like!(folder.run("test").whole(), @r"
    pass ask › an order is on its way
    pass ask › another one is faked
    ---- stderr (0)
    2 passed, 0 failed
    ");
    assert_eq!(provider.asked().len(), asked, "nobody is asked while a cassette is played");
    assert_eq!(record(&folder, "sk-real-key").code, 0);
    assert_eq!(cassette(&folder), recorded, "the same is recorded the same way");
    assert!(folder.run("check").err.contains("checked 1 workflow"), "a cassette is no workflow");
}

#[test]
fn a_request_that_changed_fails_with_what_is_different_and_how_to_record_again() {
    let provider = Service::start(shop);
    let folder = folder(&provider, TESTS);
    assert_eq!(record(&folder, "sk").code, 0);
    fs::write(folder.path("ask.yaml"), workflow(&provider, "Is {{ fetch.json.status }} bad?")).unwrap();
    let said = folder.run("test");
    looks_like!(said.whole(), @r#"
    FAIL ask › an order is on its way  ask.test.yaml:3
      reply
        expected: call 1 as in `ask.cassette.yaml` (LA3114); to record it: `liteagent test ask.test.yaml --record --filter 'an order is on its way'`
        found:    another request (- recorded, + now)
                        Say when.
                  - - user: Order 7. Is shipped good?
                  + - user: Is shipped bad?
      status
        expected: succeeded
        found:    failed at `reply` with LA3114: call 1 of `reply` is not the one that was recorded in `ask.cassette.yaml`
      outputs.text
        expected: "It left on Monday."
        found:    nothing
      outputs.status
        expected: "shipped"
        found:    nothing
      outputs.tokens
        expected: 1500
        found:    nothing
      prompts.reply.1
        expected: something that contains "Is shipped good?"
        found:    "system: Answer shortly.\nSay when.\n\n\nuser: Is shipped bad?"
      nodes
        fetch  succeeded
        reply  failed in attempt 1 with LA3114: call 1 of `reply` is not the one that was recorded in `ask.cassette.yaml`
    pass ask › another one is faked
    ---- stderr (1)
    1 passed, 1 failed
    "#);
    assert_eq!(provider.asked().len(), 2);
}

#[test]
fn a_call_that_is_missing_or_left_over_fails_the_test() {
    let provider = Service::start(shop);
    let folder = folder(&provider, TESTS);
    assert_eq!(record(&folder, "sk").code, 0);
    let more = workflow(&provider, PROMPT).replace(
        "  reply:",
        "  more: { type: llm, messages: [{ user: More? }] }\n  note: { type: kv-set, key: a, value: 1 }\n  reply:",
    );
    fs::write(folder.path("ask.yaml"), &more).unwrap();
    let said = folder.run("test --filter way");
    assert_eq!(said.code, 1, "{}", said.whole());
    assert!(said.out.contains("call 1 in `ask.cassette.yaml` (LA3113); to record it: `liteagent test ask.test.yaml --record --filter 'an order is on its way'`"), "{}", said.out);
    assert!(
        said.out.contains("`note` (kv-set) acts on the outside and is not faked"),
        "only models and HTTP are played: {}",
        said.out
    );

    let fake = TESTS.replace(
        "    expect:\n",
        "    fakes: { reply: { outputs: { text: It left on Monday., usage: { tokens: 1500 } } } }\n    expect:\n",
    );
    let fake = fake.replace("      prompts: { reply: { 1: { contains: \"Is shipped good?\" } } }\n", "");
    fs::write(folder.path("ask.yaml"), workflow(&provider, PROMPT)).unwrap();
    fs::write(folder.path("ask.test.yaml"), fake).unwrap();
    looks_like!(folder.run("test --filter way").out, @r"
    FAIL ask › an order is on its way  ask.test.yaml:3
      reply
        expected: 1 call as in `ask.cassette.yaml` (LA3115); to record it: `liteagent test ask.test.yaml --record --filter 'an order is on its way'`
        found:    0 calls
      nodes
        fetch  succeeded
        reply  succeeded
    ");
}

#[test]
fn a_cassette_that_was_edited_or_belongs_to_no_test_is_a_finding() {
    let provider = Service::start(shop);
    let folder = folder(&provider, TESTS);
    assert_eq!(record(&folder, "sk").code, 0);
    let recorded = cassette(&folder);
    let edited = recorded.replace("Say when.", "Say why.").replace("tests:\n", "tests:\n  gone: { calls: [] }\n");
    fs::write(folder.path("ask.cassette.yaml"), edited).unwrap();
    let said = folder.run("test");
    assert_eq!(said.code, 2);
    for part in [
        "error[LA3115]: there is no test `gone`\n --> ask.cassette.yaml:4:3",
        "error[LA3116]: the request of `reply` is not the one that was recorded: it was edited",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    fs::write(folder.path("ask.cassette.yaml"), recorded.replace("cassette: 1", "cassette: 2")).unwrap();
    assert!(folder.run("test").err.contains("error[LA3116]: expected a cassette of the form 1, found 2"));
    fs::write(folder.path("ask.cassette.yaml"), recorded.replace("    calls:", "    cals:")).unwrap();
    assert!(folder.run("test").err.contains("did you mean `calls`?"));
    fs::remove_file(folder.path("ask.cassette.yaml")).unwrap();
    assert_eq!(record(&folder, "sk").code, 0);
    assert_eq!(cassette(&folder), recorded);
}

#[test]
fn what_cannot_be_recorded_leaves_the_cassette_as_it_was() {
    let provider = Service::start(|call| match call.header("authorization") {
        Some("Bearer sk-wrong-key") => Reply::Answers(401, vec![], r#"{"error":{"message":"Incorrect"}}"#.to_owned()),
        _ => shop(call),
    });
    let folder = folder(&provider, TESTS);
    assert_eq!(record(&folder, "sk").code, 0);
    let before = cassette(&folder);
    let said = record(&folder, "sk-wrong-key");
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("expected: an answer to record (LA3117)") && said.out.contains("found:    LA2403"),
        "{}",
        said.out
    );
    assert_eq!(cassette(&folder), before);

    let none = TESTS.replace("    cassette: true\n", "");
    fs::write(folder.path("ask.test.yaml"), &none).unwrap();
    let said = record(&folder, "sk");
    assert!(said.code == 2 && said.err.contains("error[LA3117]: no test here uses a cassette"), "{}", said.err);
}

#[test]
fn the_tools_of_an_agent_are_played_call_by_call() {
    let provider = Service::start(|call| {
        if call.method == "GET" {
            return Reply::Answers(200, vec![("content-type", "text/plain")], "shipped\non Monday".to_owned());
        }
        let messages = call.body["messages"].as_array().unwrap();
        if messages.iter().any(|message| message["role"] == "tool") {
            Reply::Says(format!("Told: {}", question(call)))
        } else {
            Reply::Calls("status", json!({ "order": "7" }))
        }
    });
    let address = provider.address;
    let status = format!(
        "name: status\ndescription: Where an order is.\ninputs: {{ order: string }}\nnodes:\n  fetch: {{ type: http-request, url: \"http://{address}/{{{{ inputs.order }}}}\" }}\noutputs: {{ text: \"{{{{ fetch.body }}}}\" }}\n"
    );
    let agent = "name: helper\nnodes:\n  agent:\n    type: agent\n    messages: [{ user: Where is order 7? }]\n    tools: { status: { workflow: status, approval: none } }\noutputs: { text: \"{{ agent.text }}\" }\n";
    let tests = "tests:\n  - name: it looks the order up\n    cassette: true\n    crash: { after: agent.tools.status.fetch }\n    expect:\n      outputs: { text: { contains: on Monday } }\n      tools: [{ status: { order: \"7\" } }]\n";
    let folder = Folder::new()
        .with("liteagent.toml", &provider.config())
        .with("status.yaml", &status)
        .with("helper.yaml", agent)
        .with("helper.test.yaml", tests);
    let said = record(&folder, "sk");
    assert!(said.code == 0 && said.err.contains("recorded 3 calls in helper.cassette.yaml"), "{}", said.whole());
    let said = folder.run("test");
    assert_eq!((said.code, provider.asked().len()), (0, 3), "{}", said.whole());
}

#[test]
fn a_call_of_an_mcp_server_fails_the_test_though_models_are_played() {
    let provider = Service::start(|_| Reply::Says("Hello.".to_owned()));
    let agent = "name: helper\nnodes:\n  agent:\n    type: agent\n    messages: [{ user: Hi }]\n    tools: { desk: { mcp: helpdesk, approval: none } }\n    on_error: { outputs: { text: nothing } }\noutputs: { text: \"{{ agent.text }}\" }\n";
    let tests = "tests:\n  - name: a desk\n    cassette: true\n    inputs: {}\n";
    let toml = format!("{}[mcp.helpdesk]\nurl = \"http://{}/mcp\"\n", provider.config(), provider.address);
    let folder = Folder::new().with("liteagent.toml", &toml).with("helper.yaml", agent).with("helper.test.yaml", tests);
    let said = record(&folder, "sk");
    assert!(said.code == 1 && said.out.contains("calls of MCP servers are not recorded (LA3110)"), "{}", said.whole());
    assert!(!folder.path("helper.cassette.yaml").exists());
}
