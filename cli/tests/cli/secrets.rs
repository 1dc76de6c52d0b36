//! The vault on the command line.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::harness::{Folder, Said};

const KEYS: [&str; 2] = ["one-0123456789-abcdefghijklmnopqrstuvw", "two-0123456789-abcdefghijklmnopqrstuvw"];

/// Runs a command with settings, and something on stdin.
fn run(folder: &Folder, line: &str, settings: &[(&str, &str)], input: &str) -> Said {
    let mut command: Command = folder.command(&line.split(' ').collect::<Vec<_>>());
    command.envs(settings.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its settings does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Said::of(child.wait_with_output().unwrap())
}

#[test]
fn a_secret_is_set_from_stdin_used_by_a_run_and_never_shown() {
    let workflow = "name: call\nsecrets: [TOKEN]\nnodes:\n  fetch:\n    type: http-request\n    \
                    url: https://a.invalid/\n    auth: { bearer: \"{{ secrets.TOKEN }}\" }\n";
    let folder = Folder::new().with("call.yaml", workflow);
    assert!(folder.run("run call").err.contains("LA3010"));
    let said = run(&folder, "secrets set TOKEN --host b.invalid", &[], "hush-hush-hush\n");
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    // The run has it now, and sends it nowhere but to its host.
    let said = folder.run("run call");
    assert!(said.err.contains("LA2212"), "{}", said.err);
    for line in ["secrets list", "secrets list --json", "doctor"] {
        let said = folder.run(line);
        let whole = said.out + &said.err;
        assert!(whole.contains("TOKEN") && whole.contains("b.invalid") && !whole.contains("hush"), "{line}: {whole}");
    }
    let said = folder.run("secrets set TOKEN --keep-value --host a.invalid");
    assert!(said.err.contains("LA4304") && said.code == 2, "{}", said.err);

    let folder = folder.with(".env", "LITEAGENT_SECRET_TOKEN=other\n");
    let said = run(&folder, "secrets set TOKEN --any-host", &[], "hush-hush-hush");
    assert!(said.err.contains("`.env` wins"), "{}", said.err);
    assert!(folder.run("secrets list").out.contains(".env, not the vault"));
    assert_eq!(folder.run("secrets delete TOKEN").code, 0);
    assert!(folder.run("secrets delete TOKEN").err.contains("LA4301"));
}

#[test]
fn production_needs_a_key_which_can_be_replaced() {
    let folder = Folder::new();
    let production = ("LITEAGENT_ENV", "production");
    let one = [production, ("SECRET_KEY", KEYS[0])];
    let two = [production, ("SECRET_KEY", KEYS[1])];
    let both = [two[0], two[1], ("SECRET_KEY_PREVIOUS", KEYS[0])];
    for weak in [&[production][..], &[production, ("SECRET_KEY", "changeme")]] {
        let said = run(&folder, "secrets set TOKEN", weak, "hush-hush-hush");
        assert!(said.err.contains("LA4115") && said.err.contains("openssl rand -hex 32"), "{}", said.err);
    }
    assert_eq!(run(&folder, "secrets set TOKEN", &one, "hush-hush-hush").code, 0);
    let said = run(&folder, "secrets rotate", &two, "");
    assert!(said.err.contains("LA4302") && said.err.contains("SECRET_KEY_PREVIOUS"), "{}", said.err);
    let said = run(&folder, "secrets rotate", &both, "");
    assert!(said.err.contains("sealed 1 of 1 secret"), "{}", said.err);
    let said = run(&folder, "secrets rotate", &both, "");
    assert!(said.err.contains("sealed 0 of 1 secret"), "{}", said.err);
    assert!(!run(&folder, "secrets list", &two, "").err.contains("cannot be read"));
    assert!(run(&folder, "secrets list", &one, "").err.contains("`TOKEN` of the vault cannot be read"));
}
