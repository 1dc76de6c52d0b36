//! A language server that is spoken to over its standard streams.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A running server, and the project that it is opened on.
pub(super) struct Server {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    settings: Json,
    /// The last findings about each file.
    findings: HashMap<String, Vec<Json>>,
    requests: u64,
    files: u32,
    project: TempDir,
}

/// A finding: the line from 0, and the message.
pub(super) type Found = (u64, String);

/// The program; where there is none, the test is left out.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn program() -> Option<OsString> {
    let program = std::env::var_os("LITEAGENT_YAML_LS");
    if program.is_none() {
        println!("left out: LITEAGENT_YAML_LS does not name yaml-language-server; `make test` installs it");
    }
    program
}

impl Server {
    /// A server on a project that `liteagent init` made, with the settings that it wrote. `None` where there is no
    /// server, which is said.
    pub(super) fn start() -> Option<Self> {
        let program = program()?;
        // Patterns of the settings do not reach into folders whose name begins with a dot, as `TempDir` names them.
        let project = tempfile::Builder::new().prefix("project").tempdir().unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_liteagent")).arg("init").current_dir(&project).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let written = fs::read_to_string(project.path().join(".vscode/settings.json")).unwrap();
        let written: Json = serde_json::from_str(&written).unwrap();
        let mut process = Command::new("node")
            .arg(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs Node.js: `make test` prepares it");
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut server = Self {
            process,
            input,
            output,
            // The store of schemas is in the internet.
            settings: json!({ "schemaStore": { "enable": false }, "schemas": written["yaml.schemas"] }),
            findings: HashMap::new(),
            requests: 0,
            files: 0,
            project,
        };
        let root = uri(server.project.path());
        server.request(
            "initialize",
            &json!({
                "processId": std::process::id(),
                "rootUri": root,
                "workspaceFolders": [{ "uri": root, "name": "project" }],
                "capabilities": {
                    "workspace": { "configuration": true, "workspaceFolders": true },
                    "textDocument": { "completion": { "completionItem": { "snippetSupport": true } } },
                },
            }),
        );
        server.send(&json!({ "method": "initialized", "params": {} }));
        while server.read()["method"] != "workspace/configuration" {}
        Some(server)
    }

    pub(super) fn project(&self) -> &Path {
        self.project.path()
    }

    /// What it finds in a file that is opened with this text.
    pub(super) fn findings_in(&mut self, path: &Path, text: &str) -> Vec<Found> {
        let uri = self.open(path, text);
        while !self.findings.contains_key(&uri) {
            self.read();
        }
        let found = |finding: &Json| {
            (finding["range"]["start"]["line"].as_u64().unwrap(), finding["message"].as_str().unwrap().to_owned())
        };
        let mut all: Vec<_> = self.findings[&uri].iter().map(found).collect();
        all.sort();
        all
    }

    /// What it finds in a workflow.
    pub(super) fn findings(&mut self, text: &str) -> Vec<Found> {
        let path = self.next_path();
        self.findings_in(&path, text)
    }

    /// What it offers at the mark `¦`: the texts that are inserted, by label.
    pub(super) fn completions(&mut self, text: &str) -> HashMap<String, String> {
        let answer = self.ask_at_mark("textDocument/completion", text);
        let text = |item: &Json, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        answer["items"].as_array().unwrap().iter().map(|item| (text(item, "label"), text(item, "insertText"))).collect()
    }

    /// The labels of what it offers.
    pub(super) fn labels(&mut self, text: &str) -> BTreeSet<String> {
        self.completions(text).into_keys().collect()
    }

    /// What it says of the word at the mark `¦`, without the marks of Markdown.
    pub(super) fn hover(&mut self, text: &str) -> String {
        let answer = self.ask_at_mark("textDocument/hover", text);
        answer["contents"]["value"].as_str().unwrap_or_default().replace('\\', "")
    }

    fn ask_at_mark(&mut self, method: &str, text: &str) -> Json {
        let (before, after) = text.split_once('¦').expect("the text has a mark");
        let path = self.next_path();
        let uri = self.open(&path, &format!("{before}{after}"));
        let column = before.lines().last().filter(|_| !before.ends_with('\n')).map_or(0, |line| line.chars().count());
        let position = json!({ "line": before.matches('\n').count(), "character": column });
        self.request(method, &json!({ "textDocument": { "uri": uri }, "position": position }))
    }

    fn next_path(&mut self) -> PathBuf {
        self.files += 1;
        self.project().join(format!("workflow{}.yaml", self.files))
    }

    fn open(&mut self, path: &Path, text: &str) -> String {
        let uri = uri(path);
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.send(&json!({ "method": "textDocument/didOpen", "params": { "textDocument": document } }));
        uri
    }

    fn request(&mut self, method: &str, params: &Json) -> Json {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "id": id, "method": method, "params": params }));
        loop {
            let message = self.read();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn send(&mut self, message: &Json) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    /// The next message; findings are kept and questions are answered.
    fn read(&mut self) -> Json {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server ended");
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap();
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        self.output.read_exact(&mut text).unwrap();
        let message: Json = serde_json::from_slice(&text).unwrap();
        let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
        if method == "textDocument/publishDiagnostics" {
            let uri = params["uri"].as_str().unwrap().to_owned();
            self.findings.insert(uri, params["diagnostics"].as_array().unwrap().clone());
        } else if !method.is_empty() && message.get("id").is_some() {
            let setting = |item: &Json| if item["section"] == "yaml" { self.settings.clone() } else { Json::Null };
            let answer = params["items"].as_array().map(|items| items.iter().map(setting).collect::<Json>());
            self.send(&json!({ "id": message["id"], "result": answer }));
        }
        message
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}
