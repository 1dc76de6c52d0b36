//! Completion, documentation and findings in workflows.

use std::collections::BTreeSet;

use liteagent_engine::node::NodeSpec;

use super::server::Server;

const MODELINE: &str = "# yaml-language-server: $schema=.liteagent/workflow.schema.json";
const DURATION: &str = "expected a duration such as 500ms, 30s, 15m, 2h or 1d";

fn types() -> Vec<NodeSpec> {
    liteagent_nodes::registry().iter().cloned().collect()
}

/// The completion that inserts a node with its required fields.
fn new(spec: &NodeSpec) -> String {
    format!("new {} (required fields)", spec.type_name)
}

fn required(spec: &NodeSpec) -> Vec<String> {
    let fields = spec.config_schema.get("required").and_then(|fields| fields.as_array());
    fields.into_iter().flatten().filter_map(|field| Some(field.as_str()?.to_owned())).collect()
}

#[test]
fn an_empty_node_offers_every_node_type_wherever_it_stands() {
    let Some(mut server) = Server::start() else { return };
    let places = [
        "nodes:\n  a:\n    ¦",
        "on_failure:\n  a:\n    ¦",
        "finally:\n  a:\n    ¦",
        "nodes:\n  a:\n    type: iteration\n    nodes:\n      b:\n        ¦",
        "nodes:\n  a:\n    type: loop\n    nodes:\n      b:\n        type: iteration\n        nodes:\n          c:\n            ¦",
    ];
    for place in places {
        let offered = server.completions(&format!("{MODELINE}\n{place}\n"));
        for spec in types() {
            let text = offered.get(&new(&spec)).unwrap_or_else(|| panic!("no {} in {offered:?}", spec.type_name));
            assert!(text.starts_with(&format!("type: {}", spec.type_name)), "{text}");
            for field in required(&spec) {
                assert!(text.contains(&format!("\n{field}:")), "no `{field}` in {text}");
            }
        }
        assert!(offered.contains_key("type") && offered.contains_key("needs"), "{offered:?}");
        assert!(!offered.contains_key("url"), "fields of types that were not chosen are noise");
    }
    let offered = server.labels(&format!("{MODELINE}\nnodes:\n  a:\n    type: ¦\n"));
    assert_eq!(offered, types().iter().map(|spec| spec.type_name.to_owned()).collect());
}

#[test]
fn a_node_offers_the_fields_of_its_type_and_explains_it() {
    let Some(mut server) = Server::start() else { return };
    for spec in types() {
        let node = |rest: &str| format!("{MODELINE}\nnodes:\n  a:\n    type: {rest}\n");
        let offered = server.completions(&node(&format!("{}\n    ¦", spec.type_name)));
        let fields = spec.config_schema.get("properties").and_then(|fields| fields.as_object());
        for field in fields.into_iter().flatten().map(|(field, _)| field.as_str()).chain(["needs", "when", "retry"]) {
            let text = offered.get(field).unwrap_or_else(|| panic!("no `{field}` of {}", spec.type_name));
            assert!(text.starts_with(&format!("{field}:")), "{text}");
        }
        let whole = offered.get(&new(&spec)).map(String::as_str).unwrap_or_default();
        for field in required(&spec) {
            assert!(whole.contains(&format!("{field}:")), "no `{field}` of {} in {whole:?}", spec.type_name);
        }
        let (first, rest) = spec.type_name.split_at(1);
        let said = server.hover(&node(&format!("{first}¦{rest}")));
        let description = spec.config_schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let paragraph = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        assert!(!paragraph.is_empty() && said.contains(&paragraph), "{}: {said}", spec.type_name);
    }
}

#[test]
fn words_and_fields_are_offered_and_explained() {
    let Some(mut server) = Server::start() else { return };
    let node = |rest: &str| format!("{MODELINE}\nnodes:\n  a:\n{rest}\n");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let offered = server.labels(&node("    type: iteration\n    on_item_error: ¦"));
    assert_eq!(offered, words(&["drop", "fail", "keep"]));
    let offered = server.labels(&node("    type: fail\n    retry:\n      ¦"));
    assert_eq!(offered, words(&["attempts", "backoff", "classes", "factor", "jitter", "max"]));
    let offered = server.labels(&format!("{MODELINE}\n¦\n"));
    assert!(offered.contains("nodes") && offered.contains("inputs") && !offered.contains("type"), "{offered:?}");

    let said = server.hover(&node("    type: http-request\n    u¦rl: https://example.org/"));
    assert!(said.contains("Where to send the request.") && !said.contains("required fields"), "{said}");
    let said = server.hover(&node("    type: template-transform\n    temp¦late: x"));
    assert!(said.contains("The template.") && !said.contains("required fields"), "{said}");
    let said = server.hover(&node("    type: fail\n    message: x\n    time¦out: 5s"));
    assert!(said.contains("How long one attempt may take"), "{said}");
}

#[test]
fn mistakes_are_found_where_they_are_with_our_words() {
    let Some(mut server) = Server::start() else { return };
    let mut found = |rest: &str| server.findings(&format!("{MODELINE}\n{rest}\n"));
    let is = |line: u64, message: &str| vec![(line, message.to_owned())];

    let fail = "nodes:\n  a:\n    type: fail\n    message: x\n    ";
    assert_eq!(found(&format!("{fail}timeout: 5 minutes")), is(5, DURATION));
    assert_eq!(found(&format!("{fail}timeout: 5")), is(5, DURATION));
    assert_eq!(found(&format!("{fail}titel: x")), is(5, "Property titel is not allowed."));
    let condition = "expected a boolean, or a template such as {{ inputs.name }}";
    assert_eq!(found(&format!("{fail}when: sometimes")), is(5, condition));
    assert_eq!(found("nodes:\n  a:\n    type: fail"), is(2, "Missing property \"message\"."));
    assert_eq!(found("nodes:\n  a:\n    title: x"), is(2, "Missing property \"type\"."));
    assert_eq!(found("nodes:\n  a:"), is(2, "expected a node: a map with `type`"));
    let id = "expected an id: lower-case letters, digits and `_`, beginning with a letter";
    assert_eq!(found("nodes:\n  Say-it: { type: fail, message: x }"), is(2, id));
    let size = "expected a size such as 64KiB, 10MiB or 1GiB";
    assert_eq!(found("nodes:\n  a: { type: http-request, url: x, max_size: 5 }"), is(2, size));
    let kind = "expected a type such as `string`, `integer[]` or `\"number?\"`";
    assert_eq!(found("inputs: { a: strng }\nnodes:\n  a: { type: fail, message: x }"), is(1, kind));
    let unknown = found("nodes:\n  a: { type: fial, message: x }");
    assert!(matches!(unknown.as_slice(), [(2, message)] if message.contains("\"fail\"")), "{unknown:?}");
    let inside =
        "nodes:\n  a:\n    type: iteration\n    items: []\n    output: x\n    nodes:\n      b:\n        type: fail";
    assert_eq!(found(inside), is(7, "Missing property \"message\"."));
}

#[test]
fn anchors_merges_templates_and_files_are_no_findings() {
    let Some(mut server) = Server::start() else { return };
    let text = "\
x-policy: &policy { timeout: 5s, retry: { attempts: 2 } }
x-nodes: &nodes
  last: { type: fail, message: x }
inputs: { go: boolean, list: { type: \"integer[]\", default: [] } }
nodes:
  <<: *nodes
  fetch:
    <<: *policy
    type: http-request
    url: https://example.org/{{ inputs.go }}
    when: \"{{ inputs.go }}\"
  text:
    type: template-transform
    needs: [fetch]
    template: { file: prompts/report.md }
  each:
    <<: [*policy]
    type: iteration
    items: \"{{ inputs.list }}\"
    nodes: { one: { type: answer, text: \"{{ item }}\" } }
    output: { one: \"{{ item }}\" }
";
    assert_eq!(server.findings(&format!("{MODELINE}\n{text}")), []);
    let wrong = text.replace("timeout: 5s", "timeout: 5");
    let found = server.findings(&format!("{MODELINE}\n{wrong}"));
    assert!(found.iter().any(|(line, message)| *line == 1 && message == DURATION), "{found:?}");
}
