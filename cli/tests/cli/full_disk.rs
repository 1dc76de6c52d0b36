//! Disks that are full, and folders that cannot be written, through the binary.
//!
//! A really full disk is a small file system in memory, in a mount namespace of its own. Where that is not permitted,
//! a limit on the size of files stands in for it. Whatever was used is printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::harness::Folder;

/// Three effects outside of the small disk, and large records between them.
const EFFECTS: &str = "\
name: effects
nodes:
  a: { type: file-write, path: out/a, mode: append, content: x }
  b: { type: template-transform, template: \"{{ 'b' * 30000 }}{{ a.file.size }}\" }
  c: { type: file-write, path: out/c, mode: append, content: x, needs: [b] }
  d: { type: template-transform, template: \"{{ 'd' * 60000 }}{{ c.file.size }}\" }
  e: { type: file-write, path: out/e, mode: append, content: x, needs: [d] }
outputs: { done: \"{{ e.file.name }}\" }
";

/// What is done with a data folder on a disk of `$1` KiB by the binary `$2`. `$3` is the scarcity.
const SCRIPT: &str = r#"
mkdir -p data
export LITEAGENT_DATA=data
case "$3" in
    limit) (trap '' XFSZ; ulimit -f "$(($1 * 2))"; exec "$2" run effects) >run.out 2>run.err; echo $? >run.code ;;
    *)
        mount -t tmpfs -o "size=${1}k" none data || exit 9
        "$2" run effects >run.out 2>run.err; echo $? >run.code
        mount -o remount,size=64m data || exit 9 ;;
esac
"$2" runs resume --all >resume.out 2>resume.err; echo $? >resume.code
"$2" runs list --json >list.out
"$2" runs show last --journal >journal.out 2>/dev/null
! grep -q '"status": "failed"' list.out || "$2" runs restart last --from a >restart.out 2>restart.err
echo $? >restart.code
"#;

/// How a disk is made small.
#[derive(Clone, Copy, Debug)]
enum Scarcity {
    /// A file system in memory.
    Mount(&'static [&'static str]),
    /// No file may be larger.
    Limit,
}

impl Scarcity {
    /// What this machine permits.
    fn here(folder: &Folder) -> Self {
        let ways = [["unshare", "-m"].as_slice(), &["unshare", "-r", "-m"]];
        let works = |way: &&&'static [&str]| {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args([
                "sh",
                "-c",
                "mount -t tmpfs -o size=64k none . && mount -o remount,size=1m .",
            ]);
            command.current_dir(folder.path(".")).output().is_ok_and(|output| output.status.success())
        };
        ways.iter().find(works).map_or(Self::Limit, |way| Self::Mount(way))
    }

    /// Runs the script in a folder.
    fn play(self, folder: &Folder, kib: u32) {
        let (mut words, name) = match self {
            Self::Mount(way) => (way.to_vec(), "mount"),
            Self::Limit => (Vec::new(), "limit"),
        };
        let kib = kib.to_string();
        words.extend(["sh", "-c", SCRIPT, "sh", &kib, env!("CARGO_BIN_EXE_liteagent"), name]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(folder.path(".")).env("LITEAGENT_MIN_FREE", "0B");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_full_disk_stops_a_run_with_a_code_and_loses_nothing() {
    let scarcity = Scarcity::here(&Folder::new());
    println!("a full disk is made by {scarcity:?}");
    let mut stopped_between = 0;
    // How much a run takes changes with every table of the database.
    for kib in [8, 24, 60, 120].into_iter().chain((180..720).step_by(14)) {
        let folder = Folder::new().with("effects.yaml", EFFECTS);
        scarcity.play(&folder, kib);
        let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
        let whole = format!("{kib} KiB, {scarcity:?}\n{}{}", read("run.err"), read("resume.err"));

        let code = read("run.code").trim().to_owned();
        if code != "0" {
            // A quota is no full disk for SQLite.
            let is_told = whole.contains("error[LA5002]")
                || matches!(scarcity, Scarcity::Limit) && whole.contains("error[LA5001]");
            assert!(["1", "3"].contains(&&*code) && is_told && whole.contains("= help:"), "{whole}");
        }
        assert_eq!(read("resume.code").trim(), "0", "{whole}");

        let runs: Vec<Value> = serde_json::from_str(&read("list.out")).unwrap();
        let Some(run) = runs.first() else {
            assert!(!read("run.err").contains('✓'), "what was shown is lost: {whole}");
            continue;
        };
        match run["status"].as_str() {
            Some("succeeded") => {}
            // A node could not store its file: the run has failed, and is done again from there.
            Some("failed") => assert_eq!(read("restart.code").trim(), "0", "{whole}{}", read("restart.err")),
            _ => panic!("the run was not finished: {whole}"),
        }
        stopped_between += u32::from(code == "3" && read("run.err").contains('✓'));
        for node in ["a", "b", "c", "d", "e"] {
            let done = format!("✓ {node} ");
            assert!(!(read("run.err").contains(&done) && read("resume.err").contains(&done)), "again: {whole}");
        }
        if run["status"] == "succeeded" {
            let losses = losses(&read("journal.out"));
            for node in ["a", "c", "e"] {
                let times = fs::metadata(folder.path(&format!("out/{node}"))).unwrap().len();
                let lost = losses.get(node).copied().unwrap_or_default();
                assert!((1..=1 + lost).contains(&times), "{node} acted {times} times: {whole}");
            }
        }
    }
    assert!(stopped_between >= 2, "no disk was full in the middle of a run");
}

const HELLO: &str = "\
name: hello
nodes: { a: { type: template-transform, template: \"{{ 'x' * 50000 }}\" } }
outputs: { text: \"{{ a.text }}\" }
";

/// Runs the binary where the data folder cannot be written: it lies on a disk that is mounted so, or belongs to another
/// user.
#[expect(clippy::print_stdout, reason = "which way was used belongs to the result of the test")]
fn run_frozen(folder: &Folder, args: &[&str]) -> Output {
    const FREEZE: &str = "mount --bind data data && mount -o remount,bind,ro data && exec \"$@\"";
    let binary = env!("CARGO_BIN_EXE_liteagent");
    let mut command = match Scarcity::here(&Folder::new()) {
        Scarcity::Mount(way) => {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args(["sh", "-c", FREEZE, "sh", binary]);
            command
        }
        Scarcity::Limit => {
            let mut command = Command::new(binary);
            let no_writing = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            no_writing(&folder.path("."), 0o755);
            for entry in walkdir::WalkDir::new(folder.path("data")) {
                let entry = entry.unwrap();
                no_writing(entry.path(), if entry.file_type().is_dir() { 0o555 } else { 0o444 });
            }
            if fs::metadata("/proc/self").unwrap().uid() == 0 {
                command.uid(65_534);
            }
            command
        }
    };
    println!("a folder cannot be written by {command:?}");
    command.args(args).current_dir(folder.path(".")).env("LITEAGENT_DATA", "data");
    command.env("LITEAGENT_MIN_FREE", "0B").output().unwrap()
}

#[test]
fn runs_in_a_folder_that_cannot_be_written_are_shown_and_nothing_else() {
    let folder = Folder::new().with("hello.yaml", HELLO).with("data/keep", "");
    let run = folder.command(&["run", "hello"]).env("LITEAGENT_DATA", "data").output().unwrap();
    assert_eq!(run.status.code(), Some(0));

    let shown: [(&[&str], &str); 4] = [
        (&["runs", "list"], "hello"),
        (&["runs", "show", "last"], "xxxx"),
        (&["runs", "show", "last", "--journal"], "run_ended"),
        (&["runs", "export", "last"], "run_ended"),
    ];
    for (args, expected) in shown {
        let output = run_frozen(&folder, args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code() == Some(0) && out.contains(expected), "{args:?}: {out}{err}");
    }
    for args in [["run", "hello"].as_slice(), &["runs", "resume", "--all"], &["runs", "prune", "--older-than", "0s"]] {
        let output = run_frozen(&folder, args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {err}");
        assert!(err.contains("error[LA5003]") && err.contains("LITEAGENT_DATA"), "{args:?}: {err}");
    }
    let doctor = run_frozen(&folder, &["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.code() == Some(1) && said.contains("BAD   data folder"), "{said}");
}

/// How often the process that ran a node died, by node.
fn losses(journal: &str) -> BTreeMap<String, u64> {
    let mut losses = BTreeMap::new();
    for record in journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if record["type"] == "node_lost" {
            *losses.entry(record["node"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    losses
}

#[test]
fn a_disk_with_too_little_room_takes_no_new_runs_and_says_what_to_change() {
    let folder = Folder::new().with("effects.yaml", EFFECTS);
    let with = |args: &[&str], free: &str| folder.command(args).env("LITEAGENT_MIN_FREE", free).output().unwrap();
    let refused = with(&["run", "effects"], "9000000GiB");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("error[LA5002]") && said.contains("doctor"), "{said}");
    let doctor = with(&["doctor"], "9000000GiB");
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        doctor.status.code() == Some(1) && said.contains("BAD   disk space") && said.contains("min_free"),
        "{said}"
    );
    assert_eq!(with(&["run", "effects"], "ten").status.code(), Some(2));
    let folder = folder.with("liteagent.toml", "[storage]\nmin_free = \"0B\"\n");
    let said = folder.command(&["run", "effects"]).env_remove("LITEAGENT_MIN_FREE").output().unwrap();
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
}
