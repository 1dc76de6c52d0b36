//! Node types that a project makes of nodes, and calls of tools, by way of the command line alone.

use super::harness::Folder;

const GREET: &str = "\
composite: greet
description: Greets someone.
fields: { name: { type: string, description: Whom to greet. } }
nodes:
  upper: { type: json, value: \"{{ inputs.name | upper }}\" }
  text: { type: template-transform, template: \"Hello {{ upper.value }}\" }
outputs: { text: { type: string, description: The greeting., value: \"{{ text.text }}\" } }
";
const HELLO: &str = "\
name: hello
nodes:
  greet: { type: greet, name: Ada }
outputs: { text: \"{{ greet.text }}\" }
";

#[test]
fn a_composite_of_the_project_is_a_node_type_like_any_other() {
    let folder = Folder::new().with("composites/greet.yaml", GREET).with("hello.yaml", HELLO);
    let checked = folder.run("check");
    assert_eq!((checked.code, checked.out.as_str()), (0, ""), "{}", checked.err);
    assert_eq!(folder.run("run hello.yaml").out, "Hello ADA\n");
    let shown = folder.run("runs show last").out;
    assert!(shown.contains("greet.upper") && shown.contains("greet.text"), "{shown}");

    let page = folder.run("nodes show greet").out;
    assert!(page.contains("| `name` | template | required | Whom to greet. |"), "{page}");
    assert!(folder.run("nodes").out.contains("greet"));
    assert!(folder.run("schema --project").out.contains("new greet (required fields)"));
    assert!(!folder.run("schema").out.contains("new greet (required fields)"));

    let closed = folder.run("graph hello.yaml").out;
    let open = folder.run("graph hello.yaml --open").out;
    assert!(!closed.contains("upper") && open.contains("greet__upper --> greet__text"), "{open}");

    let run = folder.run("run composites/greet.yaml");
    assert!(run.code == 2 && run.err.contains("makes the node type `greet`"), "{}", run.err);
    let wrong = Folder::new().with("composites/greet.yaml", &GREET.replace("upper.value", "uper.value"));
    let wrong = wrong.with("hello.yaml", HELLO).run("check hello.yaml");
    assert!(wrong.code == 1 && wrong.out.contains("composites/greet.yaml:6:"), "{}", wrong.out);
}

const CALLS: &str = "\
name: calls
inputs: { asked: any }
nodes:
  calls:
    type: tool-calls
    calls: \"{{ inputs.asked }}\"
    tools:
      lookup: { workflow: ./lookup.yaml }
      pay: { workflow: ./pay.yaml, approval: { to: billing, timeout: 1d } }
outputs: { texts: \"{{ calls.results | map(attribute='text') | list }}\" }
";
const LOOKUP: &str = "\
name: lookup
description: Finds an order.
inputs: { order: string }
nodes:
  fetch: { type: http-request, url: \"https://shop.test/{{ inputs.order }}\" }
outputs: { text: \"{{ inputs.order }} is {{ fetch.body }}\" }
";
const PAY: &str = "\
name: pay
description: Pays.
inputs: { amount: number }
nodes:
  send: { type: http-request, method: POST, url: https://bank.test, json: \"{{ inputs.amount }}\" }
outputs: { status: \"{{ send.status }}\" }
";
const TESTS: &str = "\
workflow: calls
tests:
  - name: what a tool calls stands below the name of the tool
    inputs:
      asked:
        - { id: a, name: lookup, arguments: { order: '7' } }
        - { id: b, name: pay, arguments: { amount: 80 } }
    crash: { after: calls.lookup.fetch }
    fakes:
      calls.lookup.fetch: { outputs: { status: 200, body: shipped } }
      calls.pay.send: { outputs: { status: 201 } }
    signal: { reject: { note: too much } }
    expect:
      outputs:
        texts: [7 is shipped, 'A person refused this call; it was not made. They say: too much']
      calls: { calls.lookup.fetch: 1, calls.pay.send: 0 }
      not_run: [pay]
  - name: a person is asked
    inputs: { asked: [{ id: b, name: pay, arguments: { amount: 80 } }] }
    fakes: { calls.pay.send: { outputs: { status: 201 } } }
    expect: { status: waiting, waiting_for: { node: calls.pay.approval, to: billing } }
";

#[test]
fn workflow_tests_reach_into_the_calls_of_tools() {
    let folder = Folder::new().with("calls.yaml", CALLS).with("lookup.yaml", LOOKUP).with("pay.yaml", PAY);
    let tested = folder.with("calls.test.yaml", TESTS).run("test");
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
}
