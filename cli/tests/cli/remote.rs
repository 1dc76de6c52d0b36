//! The command line against a server: real processes, on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said},
    serve::Serving,
    service::{Reply, Service},
    terminal::Terminal,
};

const EMAIL: &str = "ci@example.org";
const PASSWORD: &str = "correct horse battery staple";

const HELLO: &str = "name: hello\ninputs: { who: string }\n\
    nodes: { say: { type: template-transform, template: { file: prompts/hello.md } } }\n\
    outputs: { text: \"{{ say.text }}\" }\n";
const ASK: &str = "name: team/ask\ndescription: Asks a person. # for now\n\
    nodes:\n  ask: { type: human-input, message: Sure?, form: { note: string }, actions: { yes: \"Yes\" } }\n\
    \x20 done: { type: answer, needs: [ask.yes], text: \"noted: {{ ask.form.note }}\" }\n";

/// A server without workflows, and who calls it.
struct Remote {
    serving: Serving,
    _folder: Folder,
}

impl Remote {
    fn start() -> Self {
        let folder = Folder::new().with("liteagent.toml", "");
        let admin = [("LITEAGENT_ADMIN_EMAIL", EMAIL), ("LITEAGENT_ADMIN_PASSWORD", PASSWORD)];
        Self { serving: Serving::start_with(&folder, &[], &admin), _folder: folder }
    }

    fn url(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    /// A command with the development key.
    fn run(&self, folder: &Folder, line: &str) -> Said {
        self.by_key(folder, &line.split(' ').collect::<Vec<_>>(), &self.url())
    }

    fn by_key(&self, folder: &Folder, args: &[&str], url: &str) -> Said {
        let mut command = folder.command(args);
        command.env("LITEAGENT_SERVER", url).env("LITEAGENT_API_KEY", self.serving.key());
        Said::of(command.output().unwrap())
    }
}

/// A command with something on standard input.
fn typed(folder: &Folder, line: &str, input: &str) -> Said {
    let mut command = folder.command(&line.split(' ').collect::<Vec<_>>());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Said::of(child.wait_with_output().unwrap())
}

/// Ends well, and says this.
#[track_caller]
fn says(said: &Said, code: i32, texts: &[&str]) {
    let whole = said.whole();
    assert_eq!(said.code, code, "{whole}");
    for text in texts {
        assert!(whole.contains(text), "`{text}` is not in\n{whole}");
    }
}

fn definitions() -> Folder {
    Folder::new()
        .with("liteagent.toml", "")
        .with("hello.yaml", HELLO)
        .with("team/ask.yaml", ASK)
        .with("prompts/hello.md", "Hello {{ inputs.who }}")
}

#[test]
fn what_is_deployed_comes_back_the_same() {
    let (server, here) = (Remote::start(), definitions());
    says(
        &server.run(&here, "deploy --dry-run"),
        0,
        &["new        hello\n", "new        team/ask\n", "nothing was changed"],
    );
    says(&server.run(&here, "diff"), 1, &["--- /dev/null\n+++ here/hello.yaml", "error[LA4708]: 2 workflows differ"]);
    says(
        &server.run(&here, "deploy --note first"),
        0,
        &["new        hello (version 1)", "new        team/ask (version 1)"],
    );
    says(&server.run(&here, "deploy"), 0, &["unchanged  hello\nunchanged  team/ask\n", "2 unchanged: http://"]);
    says(&server.run(&here, "diff"), 0, &["has what the folder has"]);
    says(&server.run(&here, "run hello --input who=Ada"), 0, &["Hello Ada\n", "succeeded: run_"]);

    let there = Folder::new().with("liteagent.toml", "");
    says(&server.run(&there, "pull"), 0, &["new        hello", "new        team/ask", "2 new: "]);
    for file in ["hello.yaml", "team/ask.yaml", "prompts/hello.md"] {
        assert_eq!(fs::read(there.path(file)).unwrap(), fs::read(here.path(file)).unwrap(), "{file}");
    }
    says(&server.run(&there, "diff"), 0, &[]);

    // Drift, and a change that both have.
    fs::write(here.path("prompts/hello.md"), "Good day {{ inputs.who }}").unwrap();
    let drift = server.run(&here, "diff");
    says(
        &drift,
        1,
        &["--- server/prompts/hello.md\n+++ here/prompts/hello.md", "+Good day {{ inputs.who }}", "1 workflow differs"],
    );
    assert!(!drift.out.contains("team/ask"), "{}", drift.out);
    says(&server.run(&here, "deploy"), 0, &["changed    hello (version 2)", "unchanged  team/ask"]);
    says(&server.run(&there, "pull"), 0, &["changed    hello", "unchanged  team/ask"]);
    says(&server.run(&there, "run hello --input who=Ada"), 0, &["Good day Ada"]);

    // What was changed in the folder is not lost.
    fs::write(there.path("prompts/hello.md"), "Mine").unwrap();
    says(&server.run(&there, "pull"), 1, &["refused    hello: it was changed here", "error[LA4709]", "--force"]);
    assert_eq!(fs::read_to_string(there.path("prompts/hello.md")).unwrap(), "Mine");
    says(&server.run(&there, "pull --force"), 0, &["changed    hello"]);

    // One that has errors is refused, and the others are deployed.
    fs::write(here.path("hello.yaml"), HELLO.replace("inputs.who", "x").replace("say.text", "said.text")).unwrap();
    fs::write(here.path("more.yaml"), "name: more\nnodes: { say: { type: answer, text: hi } }\n").unwrap();
    let refused = server.run(&here, "deploy");
    says(
        &refused,
        1,
        &["refused    hello.yaml: it has errors", "new        more (version 1)", "error[LA4707]", "said"],
    );
    says(&server.run(&there, "run hello --input who=Ada"), 0, &["Good day Ada"]);
    fs::remove_file(here.path("team/ask.yaml")).unwrap();
    fs::remove_file(here.path("hello.yaml")).unwrap();
    says(&server.run(&here, "deploy --prune --dry-run"), 0, &["removed    hello", "removed    team/ask"]);
    says(&server.run(&here, "deploy --prune"), 0, &["removed    hello", "removed    team/ask", "unchanged  more"]);
    says(
        &server.run(&here, "run hello --input who=Ada"),
        2,
        &["error[LA3001]: there is no published workflow `hello`"],
    );
}

#[test]
fn a_session_is_kept_goes_on_and_ends() {
    let (server, folder) = (Remote::start(), Folder::new());
    let url = server.url();
    let wrong = typed(&folder, &format!("--server {url} login --email {EMAIL}"), "wrong\n");
    says(&wrong, 2, &["error[LA4103]"]);
    says(&folder.run("whoami"), 2, &["error[LA4701]"]);
    let login = typed(&folder, &format!("login --server {url} --email {EMAIL}"), &format!("{PASSWORD}\n"));
    says(&login, 0, &[&format!("signed in at {url} as {EMAIL} (owner)")]);
    says(&folder.run("whoami"), 0, &[&format!("{EMAIL} (owner) at {url}\n")]);
    let kept = folder.path(".config/liteagent/servers.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);

    // The access token is too old: many commands at once go on with the session, each token is used once.
    let change = |access: &str, refresh: Option<&str>| {
        let mut sessions: Json = serde_json::from_str(&fs::read_to_string(&kept).unwrap()).unwrap();
        let session = &mut sessions["servers"][&url]["session"];
        session["access"] = json!(access);
        if let Some(refresh) = refresh {
            session["refresh"] = json!(refresh);
        }
        fs::write(&kept, sessions.to_string()).unwrap();
    };
    change("too.old.token", None);
    thread::scope(|scope| {
        let commands: Vec<_> = (0..4).map(|_| scope.spawn(|| folder.run("whoami"))).collect();
        for command in commands {
            says(&command.join().unwrap(), 0, &[EMAIL]);
        }
    });

    change("too.old.token", Some("rt_that_nobody_has"));
    says(&folder.run("whoami"), 2, &["error[LA4705]", "the session at", "has ended", "liteagent login --server"]);
    says(&folder.run("whoami"), 2, &["error[LA4705]: nobody is signed in at"]);
    says(&folder.run(&format!("--server {url} runs list")), 2, &["error[LA4705]: nobody is signed in at"]);

    let key = typed(&folder, &format!("login --server {url} --key"), server.serving.key());
    says(&key, 0, &["as developer (owner)"]);
    says(&folder.run("logout"), 0, &["signed out of"]);
    says(&folder.run(&format!("logout --server {url}")), 0, &["nobody was signed in"]);
}

#[test]
fn runs_of_a_server_are_started_answered_and_listed_from_here() {
    let (server, folder) = (Remote::start(), definitions());
    says(&server.run(&folder, "deploy"), 0, &[]);
    says(&server.run(&folder, "run hello"), 2, &["error[LA3002]", "`inputs.who`"]);
    let waiting = server.run(&folder, "run team/ask");
    says(
        &waiting,
        4,
        &["waiting: run_", &format!("liteagent --server {} runs signal run_", server.url()), "--action yes"],
    );
    says(&server.run(&folder, "runs list --status waiting"), 0, &["team/ask"]);
    says(
        &server.run(&folder, "runs signal last ask --action yes --form note=fine"),
        0,
        &["noted: fine", "succeeded: run_"],
    );
    says(&server.run(&folder, "runs show last"), 0, &["status    succeeded", "ask"]);
    says(&server.run(&folder, "logs last"), 0, &["ask", "succeeded: run_"]);
    let json = server.run(&folder, "run hello --input who=Ada --json");
    let json: Json = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["status"], &json["outputs"]), (&json!("succeeded"), &json!({ "text": "Hello Ada" })));

    for _ in 0..3 {
        says(&server.run(&folder, "run team/ask"), 4, &[]);
    }
    says(&server.run(&folder, "runs cancel --all --status waiting --dry-run"), 0, &["3 runs would be cancelled"]);
    let cancelled = server.run(&folder, "runs cancel --all --workflow team/ask");
    says(&cancelled, 0, &["cancelled: 3 runs"]);
    assert_eq!(cancelled.out.lines().count(), 3);
    says(&server.run(&folder, "runs prune --older-than 1d"), 0, &["deleted 0 runs and 0 blobs"]);
    let export: Json = serde_json::from_str(&server.run(&folder, "runs export last").out).unwrap();
    let kinds: Vec<&Json> = export["records"].as_array().unwrap().iter().map(|record| &record["type"]).collect();
    assert!(export["run"]["workflow"] == "team/ask" && kinds.contains(&&json!("run_started")), "{export:#}");
    says(&server.run(&folder, "runs usage"), 0, &["no run that ended in these days used a model"]);
    says(&server.run(&folder, "runs prune --older-than 0s"), 0, &["deleted 5 runs"]);
    says(&server.run(&folder, "runs list"), 0, &["no runs here yet"]);

    says(&server.run(&folder, "schema"), 0, &["http://json-schema.org/draft-07/schema#", "AfterTrigger"]);

    // A key of a workflow does what it is for.
    let made = server.serving.ask("POST", "/api/keys", &json!({ "name": "ci", "scope": { "workflow": "hello" } }));
    let made: Json = serde_json::from_str(&made.unwrap().1).unwrap();
    let mut command = folder.command(&["--server", &server.url(), "run", "hello", "--input", "who=Bob"]);
    says(
        &Said::of(command.env("LITEAGENT_API_KEY", made["key"].as_str().unwrap()).output().unwrap()),
        0,
        &["Hello Bob"],
    );
    let mut command = folder.command(&["--server", &server.url(), "whoami"]);
    says(
        &Said::of(command.env("LITEAGENT_API_KEY", made["key"].as_str().unwrap()).output().unwrap()),
        0,
        &["the API key ci (workflow hello)"],
    );
    let mut command = folder.command(&["--server", &server.url(), "deploy"]);
    says(
        &Said::of(command.env("LITEAGENT_API_KEY", made["key"].as_str().unwrap()).output().unwrap()),
        2,
        &["error[LA4102]"],
    );
}

#[test]
fn a_person_answers_a_run_of_a_server_on_the_terminal() {
    let (server, folder) = (Remote::start(), definitions());
    says(&server.run(&folder, "deploy"), 0, &[]);
    let url = server.url();
    says(&typed(&folder, &format!("login --server {url} --key"), server.serving.key()), 0, &[]);
    let mut terminal = Terminal::run(&folder, &format!("--server {url} run team/ask"));
    terminal.answer("note: ", "fine\n");
    terminal.answer("[1-1]: ", "1\n");
    let (exit, shown) = terminal.end();
    assert!(exit == 0 && shown.contains("Sure?") && shown.matches("noted: fine").count() == 1, "{exit}: {shown}");
}

#[test]
fn beside_a_server_of_the_same_folder_runs_are_steered_through_it() {
    let folder = Folder::new().with("liteagent.toml", "").with("team/ask.yaml", ASK);
    let serving = Serving::start(&folder);
    let waiting = folder.run("run team/ask");
    says(&waiting, 4, &["    liteagent runs signal run_", "--action yes"]);
    says(&folder.run("runs signal last ask --action yes --form note=fine"), 0, &["noted: fine", "succeeded: run_"]);
    says(&folder.run("logs last"), 0, &["succeeded: run_"]);
    says(&folder.run("run team/ask"), 4, &[]);
    says(&folder.run("runs cancel last"), 0, &["cancelled: run_"]);
    says(&folder.run("runs cancel last"), 2, &["has ended"]);
    let mode = fs::metadata(folder.path(".liteagent/server.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What a killed server left means nothing.
    drop(serving);
    assert!(folder.path(".liteagent/server.json").exists());
    says(&folder.run("run team/ask"), 4, &[]);
    says(&folder.run("runs signal last ask --action yes --form note=alone"), 0, &["noted: alone"]);
    for _ in 0..2 {
        says(&folder.run("run team/ask"), 4, &[]);
    }
    says(&folder.run("runs cancel --all --status waiting --dry-run"), 0, &["2 runs would be cancelled"]);
    says(&folder.run("runs cancel --all --workflow team/ask"), 0, &["cancelled: 2 runs"]);
    says(&folder.run("runs cancel --all"), 0, &["cancelled: 0 runs"]);
}

/// Passes connections on to a server, and breaks each that follows a run after a while, `times` times.
fn unreliable(server: SocketAddr, times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let broken = AtomicUsize::new(0);
        thread::scope(|scope| {
            for client in listener.incoming() {
                let broken = &broken;
                scope.spawn(move || {
                    let _ = pass(client.unwrap(), server, broken, times);
                });
            }
        });
    });
    address
}

fn pass(mut client: TcpStream, server: SocketAddr, broken: &AtomicUsize, times: usize) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(server)?;
    let mut head = [0; 4096];
    let count = client.read(&mut head)?;
    let follows = String::from_utf8_lossy(&head[..count]).contains("/events");
    upstream.write_all(&head[..count])?;
    let (mut from, mut to) = (client.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    if follows && broken.fetch_add(1, Ordering::SeqCst) < times {
        // The head and the first events, cut somewhere.
        let mut bytes = [0; 700];
        let count = upstream.read(&mut bytes)?;
        client.write_all(&bytes[..count])?;
        upstream.shutdown(Shutdown::Both)?;
        return client.shutdown(Shutdown::Both);
    }
    std::io::copy(&mut upstream, &mut client).map(drop)
}

#[test]
fn a_run_is_followed_over_connections_that_break() {
    let slow = "name: slow\nnodes:\n  first: { type: template-transform, template: one }\n\
        \x20 rest: { type: wait, needs: [first], for: 400ms }\n\
        \x20 last: { type: answer, needs: [rest], text: \"{{ first.text }}, two\" }\n";
    let (server, folder) = (Remote::start(), Folder::new().with("liteagent.toml", "").with("slow.yaml", slow));
    says(&server.run(&folder, "deploy"), 0, &[]);
    let url = format!("http://{}", unreliable(server.serving.address, 2));
    let said = server.by_key(&folder, &["run", "slow", "--verbose"], &url);
    says(&said, 0, &["one, two\n", "succeeded: run_"]);
    for node in ["first", "last"] {
        assert_eq!(said.err.matches(&format!("✓ {node}")).count(), 1, "{}", said.err);
    }
    // It began once.
    assert_eq!(server.run(&folder, "runs list").out.matches("slow").count(), 1);
}

#[test]
fn what_is_no_server_is_told_so() {
    let folder = Folder::new();
    says(
        &folder.run("--server http://127.0.0.1:9 whoami"),
        3,
        &["error[LA4703]: http://127.0.0.1:9 cannot be reached"],
    );
    says(&folder.run("--server localhost:8000 whoami"), 2, &["error[LA4702]"]);
    says(&folder.run("--server http://127.0.0.1:9 check"), 2, &["error[LA4711]"]);
    let other =
        Service::start(|_| Reply::Answers(404, vec![("content-type", "text/html")], "<h1>nothing</h1>".to_owned()));
    says(&folder.run(&format!("--server http://{} whoami", other.address)), 3, &["error[LA4704]", "the status 404"]);
    let moved = Service::start(|_| Reply::Answers(301, vec![("location", "https://example.org/")], String::new()));
    says(&folder.run(&format!("--server http://{} whoami", moved.address)), 2, &["leads on to https://example.org/"]);
    let tls = format!("--server https://{} whoami", other.address);
    says(&folder.run(&tls), 3, &["error[LA4703]"]);
}
