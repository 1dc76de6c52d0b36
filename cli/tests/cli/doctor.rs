//! `doctor`: every setting with its source, without secrets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value as Json;

use super::harness::Folder;

/// What `doctor` says as JSON, and how it ends.
fn doctor(folder: &Folder, variables: &[(&str, &str)]) -> (i32, Json, String) {
    let output = folder.command(&["doctor", "--format", "json"]).envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code().unwrap(), said, text)
}

fn named(list: &Json, name: &str) -> Json {
    let found = list.as_array().unwrap().iter().find(|entry| entry["name"] == name);
    found.cloned().unwrap_or_else(|| panic!("no `{name}` in {list:#}"))
}

#[test]
fn every_setting_has_its_source_and_secrets_are_not_shown() {
    let folder = Folder::new().with("liteagent.toml", "");
    let (code, said, _) = doctor(&folder, &[]);
    assert_eq!(code, 0, "{said:#}");
    let port = named(&said["settings"], "API_PORT");
    assert_eq!((&port["source"], &port["value"], &port["status"]), (&"default".into(), &"8000".into(), &"ok".into()));

    const SECRET: &str = "changeme-changeme-changeme-changeme";
    let (code, said, text) = doctor(
        &folder,
        &[
            ("JWT_SECRET", SECRET),
            ("DATABASE_URL", "mysql://u:hush@db/x"),
            ("LITEAGENT_LEASE", "3"),
            ("LITEAGENT_X", "1"),
        ],
    );
    assert_eq!(code, 1, "{said:#}");
    assert!(!text.contains(SECRET) && !text.contains("hush"), "{text}");
    let statuses = ["JWT_SECRET", "DATABASE_URL", "LITEAGENT_LEASE"].map(|name| {
        let setting = named(&said["settings"], name);
        assert!(setting["mend"].is_string() && setting["source"] == "environment", "{setting:#}");
        setting["status"].as_str().unwrap().to_owned()
    });
    assert_eq!(statuses, ["bad", "bad", "bad"]);
    let unknown = named(&said["checks"], "environment");
    assert!(unknown["text"].as_str().unwrap().contains("`LITEAGENT_X` is no setting"), "{unknown:#}");
}

#[test]
fn what_a_server_needs_is_looked_at_before_it_is_started() {
    let folder = Folder::new().with("liteagent.toml", "");
    let server = |variables: &[(&str, &str)]| named(&doctor(&folder, variables).1["checks"], "server");
    let wrong = server(&[("API_PORT", "http")]);
    assert!(wrong["status"] == "bad" && wrong["text"].as_str().unwrap().contains("'http'"), "{wrong:#}");
    let production = server(&[("LITEAGENT_ENV", "production"), ("API_PORT", "0")]);
    assert!(production["text"].as_str().unwrap().contains("JWT_SECRET"), "{production:#}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    let taken = server(&[("API_PORT", &taken), ("API_METRICS_PORT", "0")]);
    assert!(taken["status"] == "odd" && taken["text"].as_str().unwrap().contains("is taken"), "{taken:#}");
    let traces = doctor(&folder, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_TRACES_SAMPLER", "maybe")]);
    assert_eq!(named(&traces.1["settings"], "OTEL_TRACES_SAMPLER")["status"], "bad");
}
