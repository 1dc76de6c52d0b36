//! The service, as it is started: the promises of runners over HTTP, its key, and how it stops.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use liteagent_sandbox_client::Remote;
use liteagent_sandbox_protocol::{
    Class, Kind, Language,
    Language::JavaScript,
    Request, Runner,
    testing::{PLACES, QUEUE, attacks, conformance, forever, still_serves},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A service in a folder of its own, killed when it is dropped.
struct Served {
    process: Child,
    address: String,
    metrics: String,
    key: String,
    _folder: TempDir,
}

impl Served {
    fn start(production: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (places, queue) = (PLACES.to_string(), QUEUE.to_string());
        let mut process = Command::new(env!("CARGO_BIN_EXE_liteagent"))
            .args(["sandbox", "--port", "0", "--metrics-port", "0", "--threads", "2"])
            .args(["--concurrency", &places, "--queue", &queue])
            .env("LITEAGENT_ENV", if production { "production" } else { "development" })
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(&mut process, 3);
        let word = |line: &str, before: &str| {
            let (_, rest) = line.split_once(before).unwrap_or_else(|| panic!("{said:?}"));
            rest.split([';', ' ']).next().unwrap().to_owned()
        };
        let place = if production { "code runs in 2 child processes" } else { "code runs in this process" };
        assert!(said[0].contains(place), "{said:?}");
        Self {
            address: word(&said[0], "sandbox: "),
            metrics: word(&said[1], "metrics: "),
            key: fs::read_to_string(folder.path().join(word(&said[2], "key: "))).unwrap().trim().to_owned(),
            process,
            _folder: folder,
        }
    }

    fn remote(&self) -> Remote {
        Remote::new(&self.address, &self.key, Duration::from_secs(30)).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process.id().cast_signed()).unwrap(), signal).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// The first lines that a process says on stderr.
pub(super) fn lines(process: &mut Child, count: usize) -> Vec<String> {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let said: Vec<String> = lines.by_ref().take(count).map(Result::unwrap).collect();
    // The rest is read too: nobody shall wait for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    said
}

#[tokio::test]
async fn it_keeps_the_contract_of_runners() {
    conformance::all(&Served::start(false).remote()).await;
}

/// Through everything: HTTP, and child processes behind it.
#[tokio::test]
async fn every_attack_fails() {
    attacks::all(&Served::start(true).remote()).await;
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_and_answers_what_runs() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(false);
        let remote = served.remote();
        let slow = "import time\ndef main():\n    time.sleep(0.5)\n    return {'done': True}";
        let call = remote.run(Request::new(Language::Python, slow));
        let stop = async {
            // It has begun when the service says so.
            while !metrics(&served.metrics).await.contains("sandbox_in_flight 1") {}
            served.signal(signal);
        };
        let (reply, ()) = tokio::join!(call, stop);
        assert_eq!(reply.unwrap().outputs.get(), r#"{"done":true}"#);
        assert_eq!(served.process.wait().unwrap().code(), Some(0));
        let fault = remote.run(forever(JavaScript)).await.unwrap_err().error;
        assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Unavailable));
        assert!(fault.message.contains("it cannot be reached"), "{fault}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut served = Served::start(false);
    let remote = served.remote();
    let call = remote.run(forever(JavaScript));
    let stop = async {
        while !metrics(&served.metrics).await.contains("sandbox_in_flight 1") {}
        served.signal(Signal::INT);
        // It drains now: who asks anew is not let in.
        while metrics(&served.address).await != "" {}
        served.signal(Signal::INT);
    };
    let (reply, ()) = tokio::join!(call, stop);
    assert_eq!(reply.unwrap_err().error.class, Class::Unavailable);
    let status = served.process.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
}

/// What an address answers to a plain request; nothing when it is not there.
async fn metrics(address: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = address.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let Ok(mut stream) = tokio::net::TcpStream::connect(&host).await else { return String::new() };
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        // A connection that breaks answers nothing.
        let _ = stream.read_to_string(&mut answer).await;
    }
    answer
}

#[tokio::test]
async fn a_wrong_key_is_told_apart_from_a_sandbox_that_is_away() {
    let served = Served::start(false);
    let wrong = Remote::new(&served.address, "another-key-0123456789", Duration::from_secs(1)).unwrap();
    let fault = wrong.ready().await.unwrap_err();
    assert_eq!((fault.kind, fault.class), (Kind::Sandbox, Class::Forbidden));
    assert!(fault.message.ends_with("it does not take the key"), "{fault}");
    still_serves(&served.remote(), JavaScript).await;
}

#[test]
fn it_does_not_start_as_it_should_not() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], Option<&str>, i32, &str); 5] = [
        (&[], Some("dify-sandbox"), 2, "LA3120"),
        (&[], Some("too-short"), 2, "LA3120"),
        (&["--host", "0.0.0.0"], None, 2, "LA3121"),
        (&["--port", &port], None, 3, "LA3123"),
        (&["--threads", "0"], None, 2, "LA3004"),
    ];
    for (flags, key, exit, code) in cases {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_liteagent"));
        command.arg("sandbox").args(flags).current_dir(folder.path()).env_remove("SANDBOX_API_KEY");
        if let Some(key) = key {
            command.env("SANDBOX_API_KEY", key);
        }
        let said = command.output().unwrap();
        let text = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(exit), "{flags:?} {key:?}: {text}");
        assert!(text.contains(code) && text.contains("= help: "), "{text}");
    }
}
