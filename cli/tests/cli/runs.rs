//! Runs from their start to their end, by way of the command line alone.

use super::harness::{Folder, looks_like};

pub(super) const APPROVAL: &str = "\
name: approval
inputs: { what: { type: string, default: a chair } }
nodes:
  ask:
    type: human-input
    message: Shall we buy {{ inputs.what }}?
    form: { note: string, price: { type: number, optional: true } }
    actions: { approve: Approve, reject: Reject }
    timeout: 2d
  approved: { type: template-transform, needs: [ask.approve], template: \"bought: {{ ask.form.note }}\" }
  rejected: { type: template-transform, needs: [ask.reject], template: \"not bought: {{ ask.form.note }}\" }
  late: { type: fail, needs: [ask.timeout], message: Nobody answered. }
outputs: { text: \"{{ approved.text if approved else rejected.text if rejected else '' }}\" }
";

#[test]
fn what_a_run_says_stands_once_on_stdout() {
    let nodes = "nodes:\n  hello: { type: answer, text: Hello. }\n  bye: { type: answer, needs: [hello], text: \"Bye, {{ inputs.who }}.\" }\n";
    let head = "name: talk\ninputs: { who: { type: string, default: Ada } }\n";
    let folder = Folder::new()
        .with("talk.yaml", &format!("{head}{nodes}"))
        .with("same.yaml", &format!("{head}{nodes}outputs: {{ text: \"{{{{ hello.text }}}}\\nBye, Ada.\" }}\n"))
        .with("more.yaml", &format!("{head}{nodes}outputs: {{ n: 1 }}\n"));
    for name in ["talk.yaml", "same.yaml"] {
        let said = folder.run(&format!("run {name}"));
        assert_eq!((said.code, said.out.as_str()), (0, "Hello.\nBye, Ada.\n"), "{name}: {}", said.err);
    }
    assert_eq!(folder.run("run more.yaml").out, "Hello.\nBye, Ada.\n{\n  \"n\": 1\n}\n");
    let json: serde_json::Value = serde_json::from_str(&folder.run("run more.yaml --json").out).unwrap();
    assert_eq!((&json["answer"], &json["outputs"]["n"]), (&"Hello.\nBye, Ada.".into(), &1.into()));
}

#[test]
fn a_run_says_for_which_run_it_waits_and_goes_on_after_it() {
    let workflow = "name: one\nconcurrency: { key: \"{{ inputs.who }}\" }\ninputs: { who: string, ask: { type: boolean, default: false } }\nnodes:\n  ask: { type: human-input, when: \"{{ inputs.ask }}\", message: \"{{ inputs.who }}?\", actions: { go: Go } }\noutputs: { who: \"{{ inputs.who }}\" }\n";
    let folder = Folder::new().with("one.yaml", workflow);
    assert_eq!(folder.run("run one.yaml -i who=ann -i ask=true").code, 4);
    let first = folder.newest();
    let second = folder.run("run one.yaml -i who=ann");
    assert_eq!(second.code, 4);
    assert!(second.err.contains(&format!("waits for {first} to end")), "{}", second.err);
    let queued = folder.newest();
    assert!(folder.run("runs show last").out.contains(&format!("waits     for {first} to end")));
    assert_eq!(folder.run("run one.yaml -i who=bob").code, 0);
    assert_eq!(folder.run_args(&["runs", "signal", &first, "ask", "--action", "go"]).code, 0);
    let resumed = folder.run_args(&["runs", "resume", &queued]);
    assert_eq!((resumed.code, resumed.out.as_str()), (0, "ann\n"), "{}", resumed.err);
}

#[test]
fn a_subject_is_forgotten_with_its_forks_and_children_once_all_have_ended() {
    let child = "name: child\nnodes:\n  ask: { type: human-input, message: Go?, actions: { go: Go } }\n";
    let parent = "name: parent\nnodes:\n  begin: { type: workflow, workflow: ./child.yaml }\n";
    let folder = Folder::new().with("child.yaml", child).with("parent.yaml", parent);
    assert_eq!(folder.run("run parent.yaml --subject ann").code, 4);
    assert!(folder.run("runs show last").out.contains("about     ann"));
    let refused = folder.run("forget --subject ann");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("nothing was forgotten") && refused.err.contains("have not ended"), "{}", refused.err);
    let child = folder.newest();
    assert_eq!(folder.run_args(&["runs", "signal", &child, "ask", "--action", "go"]).code, 0);
    assert_eq!(folder.run("runs resume --all").code, 0);
    assert_eq!(folder.run("runs restart last --from ask").code, 4);
    assert_eq!(folder.run("runs cancel last").code, 0);
    assert_eq!(folder.run("run child.yaml --subject bob").code, 4);

    let said = folder.run("forget --subject ann");
    assert!(said.code == 0 && said.err.contains("forgot 3 runs"), "{}", said.err);
    let left: serde_json::Value = serde_json::from_str(&folder.run("runs list --json").out).unwrap();
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_does_not_wait_is_refused_and_one_that_replaces_stops_the_other() {
    let workflow = |when_full: &str| {
        format!(
            "name: one\nconcurrency: {{ when_full: {when_full} }}\nnodes:\n  ask: {{ type: human-input, message: Go?, actions: {{ go: Go }} }}\n"
        )
    };
    let folder = Folder::new().with("one.yaml", &workflow("reject"));
    assert_eq!(folder.run("run one.yaml").code, 4);
    let first = folder.newest();
    let refused = folder.run("run one.yaml");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("LA2013") && refused.err.contains(&first), "{}", refused.err);
    let folder = folder.with("one.yaml", &workflow("replace"));
    assert_eq!(folder.run("run one.yaml").code, 4);
    assert_ne!(folder.newest(), first);
    assert!(folder.run_args(&["runs", "show", &first]).out.contains("cancelled"));
}

#[test]
fn a_run_shows_its_nodes_and_prints_its_outputs() {
    let folder = Folder::new().with(
        "each.yaml",
        "name: each\ninputs: { names: \"string[]\" }\nnodes:\n  each:\n    type: iteration\n    items: \"{{ inputs.names }}\"\n    nodes: { greet: { type: template-transform, template: \"Hello, {{ item }}!\" } }\n    output: \"{{ greet.text }}\"\noutputs: { lines: \"{{ each.output }}\", count: \"{{ each.output | length }}\" }\n",
    );
    looks_like!(folder.run(r#"run each -i names=["Ada","Grace"]"#).whole(), @r#"
    {
      "lines": [
        "Hello, Ada!",
        "Hello, Grace!"
      ],
      "count": 2
    }
    ---- stderr (0)
      ✓ each                     2 items, [took]
    succeeded: [run]
    "#);
    looks_like!(folder.run(r#"run each -v -i names=["Ada"]"#).err, @r"
        ✓ each[0].greet
      ✓ each                     1 item, [took]
    succeeded: [run]
    ");
    let json: serde_json::Value = serde_json::from_str(&folder.run("run each --json -i names=[]").out).unwrap();
    assert_eq!(json["outputs"], serde_json::json!({ "lines": [], "count": 0 }));
    assert_eq!(json["status"], "succeeded");
}

#[test]
fn a_run_waits_for_a_person_is_answered_and_is_shown() {
    let folder = Folder::new().with("approval.yaml", APPROVAL);
    let said = folder.run("run approval");
    assert_eq!(said.code, 4);
    looks_like!(said.whole(), @r"
    ---- stderr (4)
      … ask                      waits for an answer, until [time]
    waiting: [run]
      `ask` waits for an answer, until [time]. To go on:
        liteagent runs signal [run] ask --action approve --form note=...
        liteagent runs signal [run] ask --action reject --form note=...
    ");

    looks_like!(folder.run("runs signal last ask").whole(), @r"
    ---- stderr (2)
    error[LA3002]: `ask` waits for one of `approve`, `reject`
      = help: say which with `--action`
    ");
    let wrong = folder.run("runs signal last ask --action approve");
    assert_eq!(wrong.code, 4, "{}", wrong.err);

    let answered = folder.run("runs signal last ask --action approve --form note=fine");
    looks_like!(answered.whole(), @r"
    bought: fine
    ---- stderr (0)
      signal received
      ✓ ask                      port `approve`
      · late                     skipped: `ask.timeout` was not taken
      · rejected                 skipped: `ask.reject` was not taken
      ✓ approved
    succeeded: [run]
    ");
    assert!(folder.run("runs list").out.contains("succeeded"));
    looks_like!(folder.run("runs show last").out, @r#"
    run       [run]
    workflow  approval ([digest])
    status    succeeded
    started   [time] by cli

     [took]  … ask                      waits for an answer, until [time]
     [took]  signal received
     [took]  … ask                      waits for an answer, after one that was refused (`note`: missing `note`: expected a string), until [time]
     [took]  signal received
     [took]  ✓ ask                      port `approve`
     [took]  · late                     skipped: `ask.timeout` was not taken
     [took]  · rejected                 skipped: `ask.reject` was not taken
     [took]  ✓ approved

    outputs {
      "text": "bought: fine"
    }
    "#);
}

#[test]
fn a_waiting_run_is_cancelled() {
    let folder = Folder::new().with("approval.yaml", APPROVAL);
    assert_eq!(folder.run("run approval").code, 4);
    assert_eq!(folder.run("runs cancel last").code, 0);
    assert!(folder.run("runs list --status cancelled").out.contains("approval"));
    let again = folder.run("runs cancel last");
    assert_eq!(again.code, 2);
    assert!(again.err.contains("error[LA3009]"), "{}", again.err);
}

#[test]
fn a_failed_run_is_forked_with_a_mended_definition() {
    let broken = "name: two\nnodes:\n  first: { type: template-transform, template: one }\n  second: { type: fail, message: \"{{ first.text }} is broken\" }\n";
    let folder = Folder::new().with("two.yaml", broken);
    let failed = folder.run("run two");
    assert_eq!(failed.code, 1);
    looks_like!(failed.whole(), @r"
    ---- stderr (1)
      ✓ first
      ✗ second                   LA2100: one is broken
    error[LA2100]: `second`: one is broken
    failed: [run]; `liteagent runs show [run]` tells more
    ");

    let id = folder.newest();
    let restarted = folder.run(&format!("runs restart {id} --from second"));
    assert_eq!(restarted.code, 1);
    assert!(restarted.err.contains("keeps 1 settled node of "), "{}", restarted.err);

    let folder = folder.with("two.yaml", &broken.replace("fail, message:", "template-transform, template:"));
    let forked = folder.run(&format!("runs fork {id} two"));
    looks_like!(forked.err, @r"
    [run] keeps 1 settled node of [run]
      ✓ second
    succeeded: [run]
    ");
    assert_eq!(forked.code, 0);
}

#[test]
fn files_are_inputs_by_content_and_as_files() {
    let workflow = "name: letter\ninputs: { text: string, scan: file }\nnodes: { read: { type: file-read, file: \"{{ inputs.scan }}\" } }\noutputs: { all: \"{{ inputs.text }}{{ inputs.scan.name }} {{ inputs.scan.size }} {{ read.text }}\" }\n";
    let folder = Folder::new().with("letter.yaml", workflow).with("a.txt", "abc\n").with("in/b.md", "# b");
    let said = folder.run("run letter -i text=@a.txt -i scan=@in/b.md");
    assert_eq!((said.out.as_str(), said.code), ("abc\nb.md 3 # b\n", 0), "{}", said.err);
}

#[test]
fn a_run_is_exported_with_its_definition_and_old_runs_are_pruned() {
    let folder = Folder::new().with(
        "hi.yaml",
        "name: hi\nnodes: { a: { type: template-transform, template: hi } }\noutputs: { text: \"{{ a.text }}\" }\n",
    );
    assert_eq!(folder.run("run hi").out, "hi\n");
    let export: serde_json::Value = serde_json::from_str(&folder.run("runs export last").out).unwrap();
    assert_eq!(export["bundle"]["entry"], "hi");
    assert_eq!(export["records"][0]["type"], "run_started");
    assert_eq!(folder.run("runs show last --journal").out.lines().count(), export["records"].as_array().unwrap().len());
    assert_eq!(folder.run("runs prune --older-than 0s").err, "deleted 1 run and 0 blobs\n");
    assert_eq!(folder.run("runs list").err, "no runs here yet; `liteagent run NAME` starts one\n");
}

#[test]
fn ctrl_c_cancels_the_run() {
    let folder = Folder::new().with("slow.yaml", "name: slow\nnodes: { rest: { type: wait, for: 8s } }\n");
    let mut child = folder.command(&["run", "slow"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("rest") && first.contains("waits"), "{first}");
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(folder.run("runs list").out.contains("cancelled"));
}
