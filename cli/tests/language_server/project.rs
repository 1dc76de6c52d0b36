//! Files find their schema: by the modeline, and by the settings that `liteagent init` writes.

use std::{fs, path::Path, process::Command};

use walkdir::WalkDir;

use super::server::Server;

#[test]
fn the_files_of_the_library_have_a_modeline_and_no_findings() {
    let Some(mut server) = Server::start() else { return };
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("definitions");
    let mut seen = 0;
    for path in WalkDir::new(library).into_iter().map(|entry| entry.unwrap().into_path()) {
        let is_composite = path.parent().is_some_and(|folder| folder.ends_with("composites"));
        if path.extension().is_none_or(|ending| ending != "yaml") || is_composite {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let schema = if path.to_string_lossy().ends_with(".test.yaml") { "workflow-test" } else { "workflow" };
        let modeline = format!("# yaml-language-server: $schema=../../schemas/{schema}.schema.json\n");
        assert!(text.starts_with(&modeline), "{} does not begin with {modeline}", path.display());
        assert_eq!(server.findings_in(&path, &text), [], "{}", path.display());
        seen += 1;
    }
    assert!(seen > 10, "the library is gone");
}

#[test]
fn what_commands_write_has_no_findings() {
    let Some(mut server) = Server::start() else { return };
    for template in ["hello", "http", "batch", "approval"] {
        let name = format!("tools/{template}");
        let made = Command::new(env!("CARGO_BIN_EXE_liteagent"))
            .args(["new", &name, "--template", template])
            .current_dir(server.project())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = server.project().join(format!("{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(server.findings_in(&path, &text), [], "{name}");
        let wrong = text.replace("nodes:", "nodse:");
        let found = server.findings_in(&server.project().join(format!("{name}_wrong.yaml")), &wrong);
        assert!(found.iter().any(|(_, message)| message.contains("nodse")), "{name}: {found:?}");
    }
}

#[test]
fn settings_find_the_schema_of_files_without_a_modeline() {
    let Some(mut server) = Server::start() else { return };
    let is = |message: &str| vec![(0, message.to_owned())];
    let workflow = server.project().join("deep/down/plain.yaml");
    let found = server.findings_in(&workflow, "nodes: { a: { type: fail } }\n");
    assert_eq!(found, is("Missing property \"message\"."));
    let test = server.project().join("deep/plain.test.yaml");
    assert_eq!(server.findings_in(&test, "tests: [{ nam: x, name: x }]\n"), is("Property nam is not allowed."));
}
