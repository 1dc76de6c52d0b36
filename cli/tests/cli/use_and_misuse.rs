//! Doing things wrong: each ends in a message with a code, a hint and the right exit code.

use std::process::Stdio;

use super::harness::{Folder, looks_like};

const ECHO: &str = "\
name: tools/echo
inputs: { text: string, times: { type: integer, default: 1 } }
nodes: { echo: { type: template-transform, template: \"{{ inputs.text * inputs.times }}\" } }
outputs: { text: \"{{ echo.text }}\" }
";

#[test]
fn wrong_use_says_what_to_do() {
    let folder = Folder::new().with("echo.yaml", ECHO);
    let lines = [
        "run nothing",
        "run tools/ecko -i text=x",
        "run tools/echo",
        "run tools/echo -i text=x -i times=many",
        "run tools/echo -i txt=x",
        "run tools/echo -i text",
        "run tools/echo -i text=@missing.txt",
        "run tools/echo --inputs echo.yaml",
        "run tools/echo -i text=x --trigger daily",
        "runs show last",
        "runs show run_00000000000000000000000000",
        "runs resume nope",
        "nodes show http-requst",
    ];
    let said: Vec<String> = lines
        .iter()
        .map(|line| {
            let said = folder.run(line);
            format!("$ liteagent {line}\n{}{}[exit {}]", said.out, said.err, said.code)
        })
        .collect();
    looks_like!(said.join("\n\n"), @r#"
    $ liteagent run nothing
    error[LA3001]: there is no file and no workflow `nothing`
      = help: the workflows of this folder are `tools/echo`
    [exit 2]

    $ liteagent run tools/ecko -i text=x
    error[LA3001]: there is no file and no workflow `tools/ecko`
      = help: did you mean `tools/echo`?
    [exit 2]

    $ liteagent run tools/echo
    error[LA3002]: missing `text`: expected a string
      = help: give inputs with `--input name=value`
    [exit 2]

    $ liteagent run tools/echo -i text=x -i times=many
    error[LA3002]: `times`: expected an integer, found the string `many`
      = help: give inputs with `--input name=value`
    [exit 2]

    $ liteagent run tools/echo -i txt=x
    error[LA3002]: unknown name `txt`; missing `text`: expected a string
      = help: did you mean `text`?
    [exit 2]

    $ liteagent run tools/echo -i text
    error[LA3002]: expected `name=value` after `--input`, found `text`
      = help: write `--input text=...`, or `--input text=@file`
    [exit 2]

    $ liteagent run tools/echo -i text=@missing.txt
    error[LA3003]: cannot read `missing.txt`: No such file or directory (os error 2)
      = help: give the path, from the current folder, of a file that this user may read
    [exit 2]

    $ liteagent run tools/echo --inputs echo.yaml
    error[LA3003]: `echo.yaml` is not JSON that can be read: expected ident at line 1 column 2
      = help: write the inputs as one JSON object: {"name": "value"}
    [exit 2]

    $ liteagent run tools/echo -i text=x --trigger daily
    error[LA3006]: the workflow has no trigger `daily`
      = help: look under `triggers` in the workflow
    [exit 2]

    $ liteagent runs show last
    error[LA3005]: there is no run `last`
      = help: run `liteagent runs list`
    [exit 2]

    $ liteagent runs show [run]
    error[LA3005]: there is no run `[run]`
      = help: run `liteagent runs list`
    [exit 2]

    $ liteagent runs resume nope
    error[LA3005]: there is no run `nope`
      = help: run `liteagent runs list`
    [exit 2]

    $ liteagent nodes show http-requst
    error[LA3006]: there is no node type `http-requst`
      = help: did you mean `http-request`?
    [exit 2]
    "#);
}

#[test]
fn unknown_arguments_and_no_arguments_are_wrong_use() {
    let folder = Folder::new();
    assert_eq!(
        [folder.run("frobnicate").code, folder.run("run").code, folder.run("check --formt json").code],
        [2, 2, 2]
    );
    assert_eq!(folder.run_args(&[]).code, 2);
    assert_eq!(folder.run("--version").code, 0);
}

#[test]
fn what_does_not_exist_is_not_passed_over() {
    let folder = Folder::new().with("echo.yaml", ECHO).with("empty/keep", "");
    let cases = [
        ("check empty", 2, "error[LA3001]: there is no workflow here"),
        ("runs list --status failed", 0, "no such runs; leave out"),
        ("runs list --limit 0", 2, "invalid value '0'"),
        ("init echo.yaml", 2, "error[LA3007]: `echo.yaml` is a file"),
        ("runs resume", 2, "<RUN|--all>"),
    ];
    for (line, exit, expected) in cases {
        let said = folder.run(line);
        assert!(said.code == exit && said.err.contains(expected), "{line}: {}: {}", said.code, said.err);
    }
    assert_eq!(folder.run("check --format github").out, "");
    for (name, wrong) in [("LITEAGENT_LOG", "info"), ("LITEAGENT_LOG_LEVEL", "a=b=c")] {
        let log = folder.command(&["check"]).env(name, wrong).output().unwrap();
        assert_eq!(log.status.code(), Some(2), "{}", String::from_utf8_lossy(&log.stderr));
    }
    let run = |form: &str| {
        let mut run = folder.command(&["run", "tools/echo", "-i", "text=x"]);
        let log = run.env("LITEAGENT_LOG", form).env("LITEAGENT_LOG_LEVEL", "debug").output().unwrap();
        String::from_utf8(log.stderr).unwrap()
    };
    let text = run("text");
    assert!(text.contains("DEBUG") && !text.contains('\x1b'), "logs have no colours off a terminal: {text}");
    let json = run("json");
    let line = json.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON in {json}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "DEBUG");
}

#[test]
fn fmt_says_what_it_cannot_tidy_and_goes_on() {
    let folder =
        Folder::new().with("a.yaml", "nodes: [\n").with("b.yaml", "nodes:\n    a: { type: fail, message: x }   \n");
    let said = folder.run("fmt");
    assert_eq!((said.code, said.out.as_str()), (1, "b.yaml\n"));
    assert!(said.err.contains("`a.yaml` is left as it is") && said.err.contains("tidied: 1 file"), "{}", said.err);
}

#[test]
fn a_workflow_with_errors_does_not_run() {
    let folder = Folder::new().with("bad.yaml", "nodes: { a: { type: template-transform } }\n");
    let said = folder.run("run bad.yaml");
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("error[LA3012]: `bad.yaml` has 1 error"), "{}", said.err);
}

#[test]
fn a_wrong_configuration_is_named_with_its_key() {
    let folder = Folder::new().with("liteagent.toml", "[htp]\nallow = []\n").with("echo.yaml", ECHO);
    let said = folder.run("run echo.yaml -i text=x");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("unknown key `htp`") && said.err.contains("did you mean `http`?"), "{}", said.err);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_a_failure_of_the_platform() {
    let folder = Folder::new().with("echo.yaml", ECHO).with("file", "");
    let output =
        folder.command(&["run", "echo.yaml", "-i", "text=x"]).env("LITEAGENT_DATA", "file/data").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("LITEAGENT_DATA"));
}

#[test]
fn a_missing_secret_stops_the_run_and_names_where_it_may_stand() {
    let workflow = "name: s\nsecrets: [TOKEN]\nnodes:\n  get: { type: http-request, url: https://example.org/, auth: { bearer: \"{{ secrets.TOKEN }}\" } }\n";
    let folder = Folder::new().with("s.yaml", workflow);
    let said = folder.run("run s.yaml");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("LITEAGENT_SECRET_TOKEN") && said.err.contains(".env"), "{}", said.err);
}

#[test]
fn a_secret_goes_only_where_its_owner_said() {
    let workflow = "name: shop/s\nsecrets: [TOKEN]\nnodes:\n  get: { type: http-request, url: https://example.org/, auth: { bearer: \"{{ secrets.TOKEN }}\" } }\n";
    let folder = |rules: &str| {
        let toml = format!("[secrets.TOKEN]\n{rules}\n");
        Folder::new()
            .with("s.yaml", workflow)
            .with(".env", "LITEAGENT_SECRET_TOKEN=hush-hush")
            .with("liteagent.toml", &toml)
    };
    let others = folder("workflows = [\"billing/*\"]").run("run s.yaml");
    assert_eq!(others.code, 2);
    assert!(others.err.contains("LA3013") && others.err.contains("add \"shop/s\""), "{}", others.err);

    let elsewhere = folder("workflows = [\"shop/*\"]\nhosts = [\"api.example.net\"]");
    let said = elsewhere.run("run s.yaml");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("LA2212") && !said.err.contains("hush"), "{}", said.err);

    let doctor = elsewhere.run("doctor").out;
    assert!(doctor.contains("TOKEN (hosts: api.example.net; workflows: shop/*)"), "{doctor}");
    let unset = folder("").with(".env", "");
    assert!(unset.run("doctor").out.contains("about a secret that is not there"));
    assert_eq!(folder("hosts = [\"https://example.org\"]").run("doctor").code, 1);
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let folder = Folder::new();
    let mut child = folder.command(&["explain"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn colours_appear_only_where_they_are_wanted() {
    let folder = Folder::new();
    assert!(!folder.run("explain XX").err.contains('\x1b'));
    assert!(folder.run("--color always explain XX").err.contains('\x1b'));
    let plain = folder.command(&["--color", "auto", "explain", "XX"]).env("NO_COLOR", "1").output().unwrap();
    assert!(!plain.stderr.contains(&0x1b));
}
