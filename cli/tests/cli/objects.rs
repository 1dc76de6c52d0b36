//! Large values and files in an object store, as somebody who runs a server with one sees it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use liteagent_backends::testing::ObjectServer;
use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said},
    serve::Serving,
};

/// Passes on a file, and makes a value of 50 kB.
const PASS_ON: &str = "\
name: pass-on
inputs: { document: file }
nodes:
  long: { type: template-transform, template: \"{% for n in range(5000) %}0123456789{% endfor %}\" }
outputs: { document: \"{{ inputs.document }}\", long: \"{{ long.text }}\" }
";

fn serving(folder: &Folder, objects: &ObjectServer) -> Serving {
    let settings = objects.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    Serving::start_with(folder, &[], &settings)
}

fn run(folder: &Folder, objects: &ObjectServer, other: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = folder.command(args);
    command.envs(objects.settings()).envs(other.iter().copied());
    Said::of(command.output().unwrap())
}

/// How it stands with the object store, as `/health/ready` says.
fn standing(serving: &Serving) -> Json {
    let ready = serving.json("GET", "/health/ready", &Json::Null);
    let found = ready["dependencies"].as_array().unwrap().iter().find(|it| it["name"] == "objects").cloned();
    found.unwrap()["status"].clone()
}

#[test]
fn what_is_uploaded_goes_through_the_object_store_and_comes_back_from_the_server() {
    let mut objects = ObjectServer::start();
    let folder = Folder::new().with("liteagent.toml", "").with("pass-on.yaml", PASS_ON);
    let server = serving(&folder, &objects);
    assert_eq!(standing(&server), "ok");
    let content = "All is well. ".repeat(40_000);
    let (status, said) = server.upload("report.txt", &content).unwrap();
    assert_eq!(status, 201, "{said}");
    let file = serde_json::from_str::<Json>(&said).unwrap()["files"][0]["file"].clone();

    let body = json!({ "workflow": "pass-on", "inputs": { "document": file } });
    let run_of_it = server.json("POST", "/api/runs", &body);
    assert_eq!(run_of_it["outputs"]["long"].as_str().unwrap().len(), 50_000);
    let id = run_of_it["id"].as_str().unwrap();
    let kept = run_of_it["outputs"]["document"]["id"].as_str().unwrap();
    let (status, found) = server.ask("GET", &format!("/api/runs/{id}/files/{kept}/content"), &Json::Null).unwrap();
    assert!(status == 200 && found == content, "from this server, and no other address: {status}");
    assert!(!folder.path(".liteagent/blobs").exists(), "nothing of it is in the data folder");
    let sent = objects.asked().iter().filter(|line| line.starts_with("PUT /values/prod/")).count();
    assert_eq!(sent, 3, "the file, and what the node and the run hold, each once");
    let journal = run(&folder, &objects, &[], &["runs", "export", id]);
    assert!(journal.code == 0 && journal.out.contains("01234567890123456789"), "{}", journal.err);

    let backup = run(&folder, &objects, &[], &["backup", "today.backup"]);
    assert!(backup.err.contains("not in it: large values and files in s3://values/prod"), "{}", backup.err);
    let restored = run(&folder, &objects, &[], &["restore", "today.backup", "--into", "elsewhere"]);
    assert!(restored.err.contains("large values and files are in s3://values/prod"), "{}", restored.err);
    let elsewhere = [("LITEAGENT_DATA", "elsewhere")];
    let shown = run(&folder, &objects, &elsewhere, &["runs", "export", id]);
    assert!(shown.code == 0 && shown.out.contains("01234567890123456789"), "{}", shown.err);

    objects.stop();
    let (status, said) = server.upload("report.txt", "Anew.").unwrap();
    assert!(status == 503 && said.contains("LA5302"), "{status} {said}");
    let doctor = run(&folder, &objects, &[], &["doctor"]);
    let line = doctor.out.lines().find(|line| line.starts_with("BAD   objects")).unwrap_or_default();
    assert!(line.contains("cannot be reached: s3://values/prod at http://127.0.0.1"), "{}", doctor.out);
    objects.go_on();
    assert_eq!(server.upload("report.txt", "Anew.").unwrap().0, 201);
}

#[test]
fn a_server_says_at_its_start_what_is_wrong_with_the_object_store() {
    let objects = ObjectServer::start();
    let folder = Folder::new().with("liteagent.toml", "[storage]\nurl = \"s3://no-such-bucket\"");
    for (other, expected, code) in [
        (("STORAGE_URL", "values"), "error[LA5301]", 2),
        (("AWS_SECRET_ACCESS_KEY", "guessed"), "error[LA5303]", 3),
        // Empty counts as not set: that of the file holds.
        (("STORAGE_URL", ""), "error[LA5304]", 3),
        (("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), "error[LA5302]", 3),
    ] {
        let said = run(&folder, &objects, &[other], &["serve", "--port", "0"]);
        assert!(said.err.contains(expected) && said.err.contains("help: "), "{}", said.err);
        assert!(said.code == code && !said.err.contains("guessed"), "{}: {}", said.code, said.err);
    }
}
