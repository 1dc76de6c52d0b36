//! Every YAML that authors see loads in PyYAML, which is YAML 1.1, to the same value: no `on:`, no bare times, no traps.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use liteagent_engine::source;
use serde_json::{Value, json};
use walkdir::WalkDir;

/// Reads a JSON list of texts, writes a JSON list of values; what has no JSON form, such as a date, becomes `{"python": ...}`.
const SCRIPT: &str = "\
import json, sys, yaml
def load(text):
    try:
        return {'value': yaml.safe_load(text)}
    except yaml.YAMLError as error:
        return {'error': str(error)}
print(json.dumps([load(text) for text in json.load(sys.stdin)], default=lambda value: {'python': repr(value)}))
";

#[test]
fn definitions_and_documentation_load_in_pyyaml_to_the_same_value() {
    let texts = texts();
    assert!(texts.len() > 20, "the examples are gone");
    let others = pyyaml(&texts);
    let mut wrong = Vec::new();
    for ((name, text), other) in texts.iter().zip(others) {
        let (document, _) = source::parse(name, text.clone());
        let Some(document) = document else { continue };
        let ours = json!({ "value": document.value });
        if ours != other {
            wrong.push(format!("{name}\n  liteagent: {ours}\n  pyyaml:    {other}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Definitions, their tests, and the YAML in the guides; the pages of errors show mistakes, too.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = Vec::new();
    for path in files(&root.join("definitions"), "yaml") {
        texts.push((shown(&root, &path), fs::read_to_string(&path).expect("the file was listed")));
    }
    let guides = files(&root.join("docs/guides"), "md");
    for path in guides.into_iter().chain([root.join("README.md")]) {
        let text = fs::read_to_string(&path).expect("the file was listed");
        for (number, part) in text.split("```yaml\n").skip(1).enumerate() {
            let block = part.split("```").next().unwrap_or_default().to_owned();
            texts.push((format!("{} block {}", shown(&root, &path), number + 1), block));
        }
    }
    texts
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn pyyaml(texts: &[(String, String)]) -> Vec<Value> {
    let python = std::env::var_os("LITEAGENT_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs Python: `make test` prepares it");
    let all: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let mut input = child.stdin.take().expect("it was asked for");
    input.write_all(json!(all).to_string().as_bytes()).expect("Python reads");
    drop(input);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "this test needs PyYAML: `make test` prepares it");
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}
