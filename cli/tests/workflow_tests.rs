//! `liteagent test`: the tests of the library pass, and what goes wrong in a test is said well.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn liteagent(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liteagent"));
    // However full the disk of the tests is.
    command.args(args).current_dir(folder).env("LITEAGENT_MIN_FREE", "0B").output().expect("the binary was built")
}

fn definitions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../definitions")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A project with one workflow and these tests.
fn project(tests: &str) -> tempfile::TempDir {
    const WORKFLOW: &str = "\
inputs: { order: string }
secrets: [TOKEN]
nodes:
  fetch:
    type: http-request
    url: https://shop.example.org/orders/{{ inputs.order }}
    auth: { bearer: \"{{ secrets.TOKEN }}\" }
    retry: { attempts: 2, backoff: 30s }
  each:
    type: iteration
    items: [1, 2]
    nodes:
      send: { type: http-request, method: POST, url: https://shop.example.org/, json: \"{{ item }}\" }
    output: \"{{ send.status }}\"
outputs: { sent: \"{{ each.output }}\", total: \"{{ fetch.json.total }}\" }
";
    let folder = tempfile::tempdir().expect("there is room");
    for (name, text) in [("liteagent.toml", ""), ("order.yaml", WORKFLOW), ("order.test.yaml", tests)] {
        fs::write(folder.path().join(name), text).expect("there is room");
    }
    folder
}

#[test]
fn the_tests_of_the_library_pass() {
    let output = liteagent(&definitions(), &["test"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn failures_say_what_was_expected_and_found_and_what_the_nodes_did() {
    let folder = project(
        "\
defaults: { secrets: { TOKEN: test-token } }
tests:
  - name: nothing is faked
    inputs: { order: a }
  - name: too few fakes, and wrong expectations
    inputs: { order: a }
    fakes:
      fetch: { fail: { class: timeout, times: 1 }, outputs: { json: { total: 4 } } }
      each.send: [{ outputs: { status: 201 } }]
    expect: { outputs: { total: 5 }, calls: { fetch: 1 }, skipped: [fetch] }
  - name: one frame has a fake of its own
    inputs: { order: a }
    fakes:
      fetch: { outputs: { json: { total: 4 } } }
      each.send: { outputs: { status: 201 } }
      each[1].send: { outputs: { status: 202 } }
    crash: { after: \"each[0].send\" }
    expect: { outputs: { sent: [201, 202], total: 4 }, calls: { each.send: 2, fetch: 1 } }
",
    );
    let output = liteagent(folder.path(), &["test", "--junit", "report.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    insta::assert_snapshot!("failures", text(&output.stdout));
    assert_eq!(text(&output.stderr).trim(), "1 passed, 2 failed");
    let junit = fs::read_to_string(folder.path().join("report.xml")).unwrap();
    assert!(junit.contains("<testsuite name=\"order\" tests=\"3\" failures=\"2\">"), "{junit}");

    let output = liteagent(folder.path(), &["test", "--filter", "one frame"]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 1));
}

#[test]
fn update_writes_what_was_found_and_leaves_the_rest_of_the_file_alone() {
    let folder = project(
        "\
defaults:
  secrets: { TOKEN: test-token }
  fakes: { fetch: { outputs: { json: { total: 4 } } }, each.send: { outputs: { status: 201 } } }
tests:
  - name: changes   # of the shop
    inputs: { order: a }
    expect:
      outputs: { total: 5, sent: [{ matches: \"^2\" }, 201] }   # what was found
",
    );
    let output = liteagent(folder.path(), &["test", "--update"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let tests = fs::read_to_string(folder.path().join("order.test.yaml")).unwrap();
    let written = r#"outputs: { total: 4, sent: [{ matches: "^2" }, 201] }   # what was found"#;
    assert!(tests.contains(written) && tests.contains("# of the shop"), "{tests}");
}

#[test]
fn test_files_that_cannot_be_right_are_refused_with_their_places() {
    let folder = project(
        "\
tests:
  - name: wrong names
    inputs: { order: a }
    fakes:
      fecth: { outputs: {} }
      each.sent: { outputs: {} }
      fetch: { outputs: { status: many, jsn: {} }, port: done }
    expect: { outputs: { totl: 5 }, ran: [each.send.more] }
  - name: wrong names
    trigger: nightly
    turns: [{ say: hello }]
  - name: unknown field
    expects: {}
",
    );
    let output = liteagent(folder.path(), &["test"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("shape", text(&output.stderr));

    let file = folder.path().join("order.test.yaml");
    let tests = fs::read_to_string(&file).unwrap();
    fs::write(&file, tests.split("  - name: unknown").next().unwrap()).unwrap();
    let output = liteagent(folder.path(), &["test"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!("names", text(&output.stderr));
}

#[test]
fn time_passes_by_itself_where_nobody_is_waited_for() {
    let folder = project("");
    let workflow = "\
inputs: { given: { type: string, default: x } }
durability: end
nodes:
  fetch:
    type: http-request
    url: https://shop.example.org/
    retry: { attempts: 3, backoff: 30s }
  slow: { type: template-transform, template: \"{{ inputs.given }}\", timeout: 5s, on_error: { outputs: { text: late } } }
outputs: { status: \"{{ fetch.status }}\", text: \"{{ slow.text }}\" }
";
    let tests = "\
tests:
  - name: a run that is only in memory tries again
    inputs: {}
    fakes:
      fetch: { fail: { class: timeout, times: 2 }, outputs: { status: 200 } }
    expect: { outputs: { status: 200, text: x }, attempts: { fetch: 3 } }
  - name: a timeout stops what takes too long
    inputs: {}
    fakes:
      fetch: { delay: 2h, outputs: { status: 200 } }
      slow: { delay: 6s, outputs: { text: never } }
    expect: { outputs: { text: late } }
";
    fs::write(folder.path().join("quick.yaml"), workflow).unwrap();
    fs::write(folder.path().join("quick.test.yaml"), tests).unwrap();
    let output = liteagent(folder.path(), &["test", "quick.test.yaml"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_test_made_from_a_run_passes() {
    let folder = project("");
    let workflow = "\
inputs: { folder: { type: string, default: notes } }
nodes:
  list: { type: file-list, path: \"{{ inputs.folder }}\" }
  each:
    type: iteration
    items: \"{{ list.files }}\"
    nodes:
      read: { type: file-read, path: \"{{ item.path }}\" }
    output: \"{{ read.text | trim }}\"
outputs: { notes: \"{{ each.output }}\" }
";
    fs::write(folder.path().join("notes.yaml"), workflow).unwrap();
    fs::create_dir(folder.path().join("notes")).unwrap();
    fs::write(folder.path().join("notes/a.txt"), "a: \"1\"\n").unwrap();
    fs::write(folder.path().join("notes/b.txt"), "b\n").unwrap();
    for args in [
        ["run", "notes.yaml", "--json"].as_slice(),
        &["new", "--test", "notes.test.yaml", "--from-run", "last"],
        &["test", "notes.test.yaml"],
    ] {
        let output = liteagent(folder.path(), args);
        assert!(output.status.success(), "{args:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    let test = fs::read_to_string(folder.path().join("notes.test.yaml")).unwrap();
    assert!(test.contains("\"each[1].read\": {\"outputs\":{\"text\":\"b\\n\""), "{test}");
}
