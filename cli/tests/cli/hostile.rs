//! Files that are made to hurt, through the binary: each ends in a code, soon, and with little memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    process::Command,
};

use super::harness::Folder;

/// What the binary may use, in KiB: far less than the files that it is given would take.
const MEMORY: u64 = 2 << 20;

/// Runs the binary with little memory, and gives its exit code and what it said. One that hangs fails the test.
fn run(folder: &Folder, args: &[&str]) -> (i32, String) {
    const LIMITED: &str = "ulimit -v \"$1\"; shift; exec timeout 60 \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", LIMITED, "sh", &MEMORY.to_string(), env!("CARGO_BIN_EXE_liteagent")]).args(args);
    let output = command.current_dir(folder.path(".")).env("LITEAGENT_MIN_FREE", "0B").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked") && said.len() < 100_000, "{args:?}: {said}");
    (output.status.code().unwrap_or(-1), said)
}

fn write(folder: &Folder, name: &str, bytes: &[u8]) {
    fs::write(folder.path(name), bytes).unwrap();
}

/// A file of 100 MB that begins with a text.
fn write_large(folder: &Folder, name: &str, begin: &str) {
    let mut file = File::create(folder.path(name)).unwrap();
    file.write_all(begin.as_bytes()).unwrap();
    file.set_len(100 << 20).unwrap();
}

fn laughs() -> String {
    let mut text = "nodes: {}\nx-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("x-a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    text
}

fn merges() -> String {
    let mut text = "nodes: {}\nx-m0: &m0 { a: 1 }\n".to_owned();
    for level in 1..64 {
        let last = level - 1;
        text.push_str(&format!("x-m{level}: &m{level}\n  <<: *m{last}\n  k{level}: *m{last}\n"));
    }
    text
}

#[test]
fn every_hostile_workflow_file_is_a_finding() {
    let folder = Folder::new();
    write_large(&folder, "large.yaml", "nodes:\n  a: { type: fail, message: x }\n");
    write_large(&folder, "large.json", "{\n  \"nodes\": {}");
    write(&folder, "deep.yaml", format!("nodes: {}", "[".repeat(100_000)).as_bytes());
    write(&folder, "deep.json", format!("{{\n  \"nodes\": {}", "[".repeat(100_000)).as_bytes());
    write(&folder, "laughs.yaml", laughs().as_bytes());
    write(&folder, "merges.yaml", merges().as_bytes());
    write(&folder, "latin.yaml", b"nodes:\n  a: { type: fail, message: \"Gr\xf6\xdfe\" }\n");
    write(&folder, "utf16.yaml", b"\xff\xfen\0o\0d\0e\0s\0:\0\n\0");
    write(&folder, "nul.yaml", b"nodes:\n  a: { type: fail, message: \"x\0y\" }\n");
    symlink("loop.yaml", folder.path("loop.yaml")).unwrap();
    symlink("/dev/zero", folder.path("zero.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("pipe.yaml")).status().unwrap().success());
    let cases = [
        ("large.yaml", "LA0003"),
        ("large.json", "LA0003"),
        ("deep.yaml", "LA0005"),
        ("deep.json", "LA0005"),
        ("laughs.yaml", "LA0006"),
        ("merges.yaml", "LA0006"),
        ("latin.yaml", "LA0004"),
        ("utf16.yaml", "LA0004"),
        ("nul.yaml", "LA0001"),
        ("loop.yaml", "LA0002"),
        ("zero.yaml", "LA0002"),
        ("pipe.yaml", "LA0002"),
    ];
    for (name, code) in cases {
        for verb in ["check", "run", "graph"] {
            let (exit, said) = run(&folder, &[verb, name]);
            assert!(exit == 1 && said.contains(&format!("error[{code}]")), "{verb} {name}: {exit}: {said}");
            assert!(said.contains("= help:"), "{verb} {name}: {said}");
        }
        let (exit, said) = run(&folder, &["fmt", name]);
        assert!(exit == 1 && said.contains("tidied: 0 files"), "fmt {name}: {exit}: {said}");
    }
    for (name, what) in [("utf16.yaml", "UTF-16"), ("nul.yaml", "U+0000")] {
        assert!(run(&folder, &["check", name]).1.contains(what), "{name}");
    }
    // Those that a search finds are reported, links and pipes are none of them, and nothing is left out.
    let (exit, said) = run(&folder, &["check"]);
    assert!(exit == 1 && said.contains("checked 8 workflows: 8 errors"), "{said}");
}

#[test]
fn hostile_inputs_are_refused() {
    const ECHO: &str = "name: echo\ninputs: { a: any }\nnodes:\n  t: { type: template-transform, template: \"{{ inputs.a }}\" }\noutputs: { t: \"{{ t.text }}\" }\n";
    let folder = Folder::new().with("echo.yaml", ECHO).with("deep.json", &"{\"a\":".repeat(100_000));
    write_large(&folder, "large.json", "{\"a\": \"");
    write(&folder, "latin.txt", b"Gr\xf6\xdfe");
    write(&folder, "marked.json", b"\xef\xbb\xbf{\"a\": \"good\"}");
    let cases: [(&[&str], &str); 7] = [
        (&["--inputs", "large.json"], "larger than 64MiB"),
        (&["--inputs", "deep.json"], "at most 128 deep"),
        (&["--inputs", "latin.txt"], "not UTF-8"),
        (&["--inputs", "."], "cannot read"),
        (&["-i", "a=@/dev/zero"], "larger than 64MiB"),
        (&["-i", "a=@latin.txt"], "not UTF-8"),
        (&["-i", "a=@missing"], "cannot read"),
    ];
    for (args, expected) in cases {
        let (exit, said) = run(&folder, &[&["run", "echo"], args].concat());
        assert_eq!(exit, 2, "{args:?}: {said}");
        let is_told = said.contains("error[LA3003]") && said.contains(expected) && said.contains("= help:");
        assert!(is_told, "{args:?}: {said}");
    }
    let (exit, said) = run(&folder, &["run", "echo", "--inputs", "marked.json"]);
    assert!(exit == 0 && said.contains("good"), "{said}");
}

#[test]
fn hostile_configuration_is_named() {
    let folder = Folder::new().with("hello.yaml", "name: hello\nnodes: { a: { type: fail, message: x } }\n");
    for name in ["liteagent.toml", ".env"] {
        let reset = || fs::remove_file(folder.path(name)).unwrap();
        for bytes in [b"\xff\xfe".as_slice(), b"no sign of equality"] {
            write(&folder, name, bytes);
            let (exit, said) = run(&folder, &["run", "hello"]);
            assert!(exit == 2 && said.contains("error[LA3004]"), "{name}: {exit}: {said}");
            reset();
        }
        write_large(&folder, name, "# ");
        let (exit, said) = run(&folder, &["run", "hello"]);
        assert!(exit == 2 && said.contains("error[LA3004]"), "{name}: {exit}: {said}");
        reset();
        assert!(Command::new("mkfifo").arg(folder.path(name)).status().unwrap().success());
        let (exit, said) = run(&folder, &["run", "hello"]);
        assert!(exit == 2 && said.contains("error[LA3004]"), "{name}: {exit}: {said}");
        reset();
    }
}

#[test]
fn templates_without_end_are_stopped() {
    let endless = [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}", "LA2002"),
        ("{{ 'x' * 99999999999 }}", "LA2002"),
        ("{{ ('x' * 9999999) | replace('x', 'yyyyyyyyyyyyyyyyyy') }}", "LA2002"),
        ("{{ range(100000) | map('string') | join('x' * 100000) }}", "LA2002"),
        (
            "{% set all = namespace(x='ab') %}{% for a in range(99) %}{% set all.x = all.x ~ all.x %}{% endfor %}{{ all.x }}",
            "LA2002",
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "LA2002"),
        ("{{ range(999999999) | list }}", "LA2001"),
        ("{{ [1] * 99999999999 }}", "LA2001"),
    ];
    for (template, code) in endless {
        let yaml = format!(
            "name: t\nnodes:\n  t:\n    type: template-transform\n    template: |-\n      {template}\noutputs: {{ t: \"{{{{ t.text }}}}\" }}\n"
        );
        let folder = Folder::new().with("t.yaml", &yaml);
        let (exit, said) = run(&folder, &["run", "t"]);
        assert!(exit == 1 && said.contains(&format!("error[{code}]")), "{template}: {exit}: {said}");
    }
}
