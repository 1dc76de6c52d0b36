//! Child processes: what they promise, what they have, and what happens when they die.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use liteagent_sandbox::Config;
use liteagent_sandbox_client::{Children, Program};
use liteagent_sandbox_protocol::{
    Class, Kind,
    Language::JavaScript,
    Runner,
    testing::{PLACES, QUEUE, attacks, conformance, forever, still_serves},
};
use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_liteagent");

fn program() -> Program {
    Program { path: BINARY.into(), arguments: vec!["sandbox-child".into()] }
}

fn children(count: usize) -> Children {
    let guests = Config::of_cache(|name| std::env::var(name).ok()).guests;
    assert!(guests.join("python.wasm").is_file(), "no guests in {}: run `cargo xtask guests`", guests.display());
    let whole = Config { concurrency: PLACES as u32, queue: QUEUE, threads: 2, ..Config::new(guests) };
    let (part, count) = whole.divided(count);
    Children::start(program(), &part, count).unwrap()
}

fn kill(id: u32) {
    kill_process(Pid::from_raw(id.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn they_keep_the_contract_of_runners() {
    conformance::all(&children(2)).await;
}

#[tokio::test]
async fn every_attack_fails() {
    attacks::all(&children(2)).await;
}

/// What the kernel says of a child, beside what the child tried before it said that it is ready.
#[tokio::test]
async fn a_child_has_nothing() {
    let children = children(1);
    children.ready().await.unwrap();
    let locked = &children.locked()[0];
    let has_landlock = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    for attempt in [
        "read a file",
        "write a file",
        "look at a file",
        "list a folder",
        "delete a file",
        "make a file in memory",
        "change its folder",
        "connect",
        "listen",
        "send a datagram",
        "make a socket",
        "start a program",
        "start a thread",
        "signal a process",
        "change its limits",
    ] {
        assert!(locked.refused.iter().any(|refused| refused == attempt), "{attempt}: {locked:?}");
    }
    assert!(locked.landlock != "no" || kernel(&has_landlock) < (5, 13), "{locked:?} on {has_landlock}");

    let process = PathBuf::from(format!("/proc/{}", children.ids()[0]));
    // Filter and privileges are those of each thread.
    let threads: Vec<_> = fs::read_dir(process.join("task")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(threads.len() > 2, "{threads:?}");
    for thread in threads {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
            assert!(status.lines().any(|found| found == line), "{line} is not in\n{status}");
        }
    }
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    assert!(
        limits.lines().any(|line| line.split_whitespace().eq(["Max", "core", "file", "size", "0", "0", "bytes"])),
        "{limits}"
    );
    // A process that cannot be dumped shows these only to root.
    match fs::read(process.join("environ")) {
        Ok(environment) => assert_eq!(String::from_utf8_lossy(&environment), ""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
    }
    match descriptors(&process) {
        Ok(descriptors) => only_its_own(&descriptors),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
    }
    still_serves(&children, JavaScript).await;
}

/// The version of a kernel: Landlock is there from 5.13 on.
fn kernel(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

fn descriptors(process: &Path) -> std::io::Result<Vec<(String, String)>> {
    let folder = fs::read_dir(process.join("fd"))?;
    folder
        .map(|entry| {
            let entry = entry?;
            let target = fs::read_link(entry.path())?;
            Ok((entry.file_name().to_string_lossy().into_owned(), target.to_string_lossy().into_owned()))
        })
        .collect()
}

/// The socket, and what it opened itself to run instances: compiled guests, its page map, and what it waits with.
fn only_its_own(descriptors: &[(String, String)]) {
    for (fd, target) in descriptors {
        let expected = match fd.as_str() {
            "0" => target.starts_with("socket:"),
            "1" | "2" => target == "/dev/null",
            _ => {
                target.starts_with("socket:")
                    || target.starts_with("anon_inode:[event")
                    || target.ends_with("/pagemap")
                    || target.ends_with(".cwasm")
                    || target.starts_with("/memfd:")
            }
        };
        assert!(expected, "{fd} -> {target} of {descriptors:?}");
    }
}

#[tokio::test]
async fn a_descriptor_that_this_process_left_open_is_not_inherited() {
    use std::os::fd::AsRawFd as _;
    let open = fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let children = children(1);
    children.ready().await.unwrap();
    assert!(open.as_raw_fd() > 2);
    still_serves(&children, JavaScript).await;
}

/// A call whose child dies fails as unavailable; the next one is served.
#[tokio::test]
async fn a_child_that_dies_is_started_again() {
    let children = children(1);
    children.ready().await.unwrap();
    let first = children.ids();
    let call = children.run(forever(JavaScript));
    let dies = async {
        while children.load().await.running == 0 {
            tokio::task::yield_now().await;
        }
        kill(first[0]);
    };
    let (reply, ()) = tokio::join!(call, dies);
    let fault = reply.unwrap_err().error;
    assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Unavailable));
    assert!(fault.message.ends_with("ended while it ran the call: signal: 9 (SIGKILL)"), "{fault}");
    still_serves(&children, JavaScript).await;
    assert_ne!(children.ids(), first);
}

/// While one child is away, the others serve.
#[tokio::test]
async fn calls_go_to_the_children_that_are_up() {
    let children = children(2);
    children.ready().await.unwrap();
    for _ in 0..4 {
        let ids = children.ids();
        kill(ids[0]);
        // A call may have been on its way to it.
        while children.ids().contains(&ids[0]) {
            tokio::task::yield_now().await;
        }
        still_serves(&children, JavaScript).await;
        children.ready().await.unwrap();
    }
}

#[tokio::test]
async fn children_end_with_their_runner() {
    let children = children(2);
    children.ready().await.unwrap();
    let ids = children.ids();
    drop(children);
    for id in ids {
        gone(id).await;
    }
}

/// A parent that was killed says nothing; its children end because their socket does, also while they compute.
#[tokio::test]
async fn children_end_with_their_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(BINARY)
        .args(["sandbox", "--port", "0", "--metrics-port", "0", "--processes", "2"])
        .env("LITEAGENT_ENV", "production")
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = super::service::lines(&mut parent, 3);
    assert!(said[0].contains("code runs in 2 child processes"), "{said:?}");
    let ids = of_parent(parent.id());
    assert_eq!(ids.len(), 2, "{ids:?}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    for id in ids {
        gone(id).await;
    }
}

/// The processes that a process started.
fn of_parent(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|id| stat(*id).is_some_and(|(_, of)| of == parent)).collect()
}

/// The state of a process and its parent.
fn stat(id: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Waits until a process has ended. One that nobody waited for is a zombie, which is an end too.
async fn gone(id: u32) {
    while stat(id).is_some_and(|(state, _)| state != "Z") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_program_that_is_no_child_is_told() {
    let shell = |script: &str| Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
    let cases = [
        (Program { path: "/nowhere".into(), arguments: Vec::new() }, "No such file or directory"),
        (shell("echo 'why it fails' >&2; exit 3"), "exit status: 3: why it fails"),
        (shell(r"printf '\377\377\377\377' >&0; exec sleep 1000"), "it was killed, because it did not end by itself"),
        (
            shell(r#"printf '\004\000\000\000null' >&0; exec sleep 1000"#),
            "it was killed, because it did not end by itself",
        ),
    ];
    for (program, why) in cases {
        let children = Children::start(program, &Config::new("nowhere"), 1).unwrap();
        let fault = children.ready().await.unwrap_err();
        assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Unavailable));
        assert!(fault.message.contains(why), "{why}: {fault}");
    }
    let children = Children::start(program(), &Config::new("/nowhere"), 2).unwrap();
    let fault = children.run(forever(JavaScript)).await.unwrap_err().error;
    assert_eq!(fault.message, "the Python guest is not there: expected `/nowhere/python.wasm`");
}

#[test]
fn the_hidden_command_is_not_for_people() {
    let said = Command::new(BINARY).arg("sandbox-child").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(3), "{text}");
    assert!(text.contains("this command is for the sandbox itself: use `liteagent sandbox`"), "{text}");
}
