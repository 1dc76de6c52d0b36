//! The file nodes: what they read and write, and the paths that they refuse.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use liteagent_documents::testing::InProcess;
use liteagent_engine::{
    capability::{Capabilities, Root},
    codes,
    error::{Code, ErrorClass, NodeError},
    node::{Effect, Outcome},
    store::MemoryStore,
    testing::NodeTest,
    value,
    value::Value,
};
use liteagent_nodes::registry;
use rstest::rstest;

/// A default root that can be read, `out/` that can be written, and a secret outside of both.
struct World {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), store: Arc::new(MemoryStore::default()) };
        world.put("secret.txt", "secret");
        world.put("root/docs/a.md", "# A");
        world.put("root/docs/deep/b.md", "# B");
        world.put("root/docs/node_modules/c.md", "# C");
        world.put("root/docs/d.txt", "d");
        world.put("root/.hidden/e.md", "# E");
        world.put("root/liteagent.toml", "secret");
        world.put("root/.env", "secret");
        world.put("root/.liteagent/data.db", "secret");
        world
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, target: impl AsRef<Path>, path: &str) {
        symlink(target, self.path(path)).unwrap();
    }

    async fn run(&self, yaml: &str, scope: &str) -> Result<Value, NodeError> {
        let root = |name: &str, path: &str, writable| Root { name: name.to_owned(), path: self.path(path), writable };
        let caps = Capabilities {
            documents: Some(Arc::new(InProcess::default())),
            files: Some(self.store.clone()),
            roots: vec![root("", "root", false), root("out", "out", true)],
            ..Capabilities::default()
        };
        match NodeTest::new(&registry(), yaml).scope(scope).caps(caps).build().unwrap().run().await? {
            Outcome::Done(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    async fn read(&self, path: &str) -> Result<Value, NodeError> {
        let scope = value!({ "inputs": { "path": path } }).to_string();
        self.run("type: file-read\npath: '{{ inputs.path }}'", &scope).await
    }

    async fn write(&self, path: &str) -> Result<Value, NodeError> {
        let scope = value!({ "inputs": { "path": path } }).to_string();
        self.run("type: file-write\npath: '{{ inputs.path }}'\ncontent: evil", &scope).await
    }

    async fn paths(&self, fields: &str) -> Vec<String> {
        let output = self.run(&format!("type: file-list\n{fields}"), "").await.unwrap();
        let files = output.get("files").unwrap().as_list().unwrap();
        files.iter().map(|file| file.get("path").unwrap().as_str().unwrap().to_owned()).collect()
    }
}

fn refused(result: Result<Value, NodeError>, what: &str) -> Code {
    let error = result.expect_err(what);
    assert_eq!(error.class, ErrorClass::Forbidden, "{what}: {error}");
    assert!(error.hint.is_some(), "{what}");
    error.code
}

#[rstest]
#[case("../secret.txt")]
#[case("docs/../../secret.txt")]
#[case("docs/..")]
#[case("/etc/passwd")]
#[case("//etc/passwd")]
#[case("~/secret")]
#[case("C:/secret")]
#[case("..\\secret.txt")]
#[case("docs/a.md\0.txt")]
#[case("docs/a\n.md")]
#[case("liteagent.toml")]
#[case("LiteAgent.TOML")]
#[case(".env")]
#[case("docs/.env.local")]
#[case(".liteagent/data.db")]
#[case(".hidden/e.md")]
#[case("out/../root/docs/a.md")]
#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused(#[case] path: &str) {
    let world = World::new();
    assert_eq!(refused(world.read(path).await, path), codes::FILES_PATH);
    let is_absolute = path.starts_with(['/', '~', 'C']);
    let below = if is_absolute { path.to_owned() } else { format!("out/{path}") };
    assert_eq!(refused(world.write(&below).await, path), codes::FILES_PATH);
    assert_eq!(refused(world.write(path).await, path), codes::FILES_PATH);
    let hidden = "type: file-read\nhidden: true\npath: '{{ inputs.path }}'";
    let scope = value!({ "inputs": { "path": path } }).to_string();
    assert_eq!(world.run(hidden, &scope).await.is_ok(), path == ".hidden/e.md", "{path}");
}

#[tokio::test]
async fn a_link_never_leads_out_or_to_what_is_closed() {
    let world = World::new();
    world.put("out/x.txt", "x");
    world.link(world.path("secret.txt"), "root/docs/absolute.md");
    world.link("../../secret.txt", "root/docs/relative.md");
    world.link(world.folder.path(), "root/docs/up");
    world.link("../.env", "root/docs/env.md");
    world.link("../liteagent.toml", "root/docs/config.md");
    world.link("../.liteagent", "root/docs/data");
    world.link("a.md", "root/docs/same.md");
    world.link("docs", "root/again");
    world.link(world.path("root"), "out/escape");
    for path in [
        "docs/absolute.md",
        "docs/relative.md",
        "docs/up/secret.txt",
        "docs/env.md",
        "docs/config.md",
        "docs/data/data.db",
    ] {
        assert_eq!(refused(world.read(path).await, path), codes::FILES_PATH);
    }
    refused(world.write("out/escape/docs/a.md").await, "out/escape");
    assert_eq!(world.read("docs/same.md").await.unwrap().get("text"), Some(&value!("# A")));
    assert_eq!(world.read("again/a.md").await.unwrap().get("text"), Some(&value!("# A")));
    let listed = world.paths("include: ['**/*.md']\nexclude: ['**/node_modules/**']").await;
    assert_eq!(listed, ["docs/a.md", "docs/deep/b.md", "docs/same.md"]);
    assert_eq!(fs::read_to_string(world.path("root/docs/a.md")).unwrap(), "# A");
}

#[tokio::test]
async fn a_list_is_sorted_and_leaves_out_what_is_hidden_or_excluded() {
    let world = World::new();
    let all = ["docs/a.md", "docs/d.txt", "docs/deep/b.md", "docs/node_modules/c.md"];
    assert_eq!(world.paths("").await, all);
    assert_eq!(world.paths("path: docs\nexclude: ['node_modules/**', '*.txt']").await, ["docs/a.md", "docs/deep/b.md"]);
    assert_eq!(world.paths("path: docs/\ninclude: ['*.md']").await, ["docs/a.md"]);
    let hidden = world.paths("hidden: true\ninclude: ['**/*.md']\nexclude: ['docs/**']").await;
    assert_eq!(hidden, [".hidden/e.md"]);

    let output = world.run("type: file-list\npath: docs\ninclude: ['a.*']", "").await.unwrap();
    let file = value!({
        "name": "a.md", "path": "docs/a.md", "size": 3, "mime": "text/markdown",
        "sha256": "8d9ccdb38bc4c0cbaf07434f7c4ef76e2a0ad6baa0e7a9bea1d5a36cf8b0dd03",
    });
    let found = &output.get("files").unwrap().as_list().unwrap()[0];
    assert_eq!(
        found.as_object().unwrap().keys().collect::<Vec<_>>(),
        file.as_object().unwrap().keys().collect::<Vec<_>>()
    );
    assert_eq!((found.get("size"), found.get("mime")), (file.get("size"), file.get("mime")));
    let read = world.read("docs/a.md").await.unwrap();
    assert_eq!(found.get("sha256"), read.get("sha256"));
}

#[tokio::test]
async fn a_list_of_too_many_files_is_an_error() {
    let world = World::new();
    for number in 0..=10_000 {
        fs::write(world.path(&format!("root/docs/deep/{number}.txt")), "").unwrap();
    }
    let error = world.run("type: file-list", "").await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::FILES_LIMIT, ErrorClass::LimitExceeded));
}

#[tokio::test]
async fn a_file_is_read_as_text_or_as_a_file_value() {
    let world = World::new();
    world.put("root/bom.txt", b"\xef\xbb\xbfcaf\xc3\xa9");
    world.put("root/bytes.bin", b"ab\xff");
    assert_eq!(world.read("bom.txt").await.unwrap().get("text"), Some(&value!("café")));
    let error = world.read("bytes.bin").await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::FILES_NOT_TEXT, ErrorClass::Invalid));
    assert!(error.message.ends_with("at 2"), "{error}");

    let output = world.run("type: file-read\npath: bytes.bin\nas: file", "").await.unwrap();
    let scope = value!({ "inputs": { "file": output.get("file").unwrap() } }).to_string();
    world.run("type: file-write\npath: out/copy.bin\nfile: '{{ inputs.file }}'", &scope).await.unwrap();
    assert_eq!(fs::read(world.path("out/copy.bin")).unwrap(), b"ab\xff");
}

#[tokio::test]
async fn what_is_missing_too_large_or_no_file_is_said() {
    let world = World::new();
    assert!(std::process::Command::new("mkfifo").arg(world.path("root/pipe")).status().unwrap().success());
    let code = |result: Result<Value, NodeError>| result.unwrap_err().code;
    assert_eq!(code(world.read("docs/none.md").await), codes::FILES_NOT_FOUND);
    assert_eq!(code(world.read("docs").await), codes::FILES_NOT_FOUND);
    assert_eq!(code(world.read("pipe").await), codes::FILES_NOT_FOUND);
    assert_eq!(code(world.read("docs/a.md/x").await), codes::FILES_NOT_FOUND);
    assert_eq!(code(world.run("type: file-list\npath: docs/a.md", "").await), codes::FILES_NOT_FOUND);
    assert_eq!(code(world.run("type: file-read\npath: docs/a.md\nmax_size: 2B", "").await), codes::FILES_LIMIT);
    let fake = "inputs: { file: { id: file_0, name: a, path: docs/a.md } }";
    assert_eq!(code(world.run("type: file-read\nfile: '{{ inputs.file }}'", fake).await), codes::FILES_VALUE);
}

#[tokio::test]
async fn a_file_is_written_whole_and_replaced() {
    let world = World::new();
    let output = world
        .run("type: file-write\npath: out/new/a.json\njson: { n: [1, '{{ inputs.n }}'] }", "inputs: { n: 2 }")
        .await;
    let file = output.unwrap().get("file").unwrap().clone();
    assert_eq!(
        (file.get("path"), file.get("mime")),
        (Some(&value!("out/new/a.json")), Some(&value!("application/json")))
    );
    assert_eq!(fs::read_to_string(world.path("out/new/a.json")).unwrap(), "{\n  \"n\": [\n    1,\n    2\n  ]\n}\n");
    world.run("type: file-write\npath: out/new/a.json\ncontent: short", "").await.unwrap();
    assert_eq!(fs::read_to_string(world.path("out/new/a.json")).unwrap(), "short");
    assert_eq!(fs::read_dir(world.path("out/new")).unwrap().count(), 1, "no draft is left");

    let scope = value!({ "inputs": { "file": file } }).to_string();
    let old = world.run("type: file-read\nfile: '{{ inputs.file }}'", &scope).await.unwrap();
    assert_eq!(old.get("name"), Some(&value!("a.json")), "the file value keeps what was written then");
    assert!(old.get("text").unwrap().as_str().unwrap().starts_with('{'));
}

#[tokio::test]
async fn modes_say_what_happens_to_a_file_that_is_there() {
    let world = World::new();
    let write =
        |mode: &str, content: &str| format!("type: file-write\npath: out/log.txt\nmode: {mode}\ncontent: {content}");
    world.run(&write("create", "one"), "").await.unwrap();
    world.run(&write("create", "one"), "").await.unwrap();
    let error = world.run(&write("create", "two"), "").await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::FILES_EXISTS, ErrorClass::Conflict));
    let output = world.run(&write("append", "two"), "").await.unwrap();
    assert_eq!(fs::read_to_string(world.path("out/log.txt")).unwrap(), "onetwo");
    assert_eq!(output.get("file").unwrap().get("size"), Some(&value!(6)));
    let effect = |mode: &str| NodeTest::new(&registry(), &write(mode, "x")).build().unwrap().node.effect();
    assert_eq!([effect("append"), effect("overwrite")], [Effect::AtLeastOnce, Effect::Idempotent]);
}

#[tokio::test]
async fn only_folders_for_writing_are_written() {
    let world = World::new();
    for path in ["docs/a.md", "new.md", "outside/x"] {
        assert_eq!(refused(world.write(path).await, path), codes::FILES_PATH);
    }
    assert_eq!(world.write("out").await.unwrap_err().code, codes::FILES_PATH);
    fs::create_dir_all(world.path("out/folder")).unwrap();
    assert_eq!(world.write("out/folder").await.unwrap_err().code, codes::FILES_EXISTS);
}

#[rstest]
#[case("type: file-read", "")]
#[case("type: file-read\npath: a\nfile: '{{ inputs.f }}'", "")]
#[case("type: file-write\npath: a", "")]
#[case("type: file-write\npath: a\ncontent: b\njson: {}", "")]
#[case("type: file-list\ninclude: ['a', '{b']", "/include/1")]
fn a_file_node_that_contradicts_itself_is_a_finding(#[case] yaml: &str, #[case] field: &str) {
    let error = NodeTest::new(&registry(), yaml).build().err().unwrap();
    assert_eq!((error.code, error.field.as_str()), (codes::FILES_CONFIG, field));
}

/// A document is opened as other files are: by the id of a file value, or by a path that stays inside.
#[tokio::test]
async fn documents_are_opened_as_files_are() {
    let world = World::new();
    let extract = async |file: Value| {
        let scope = value!({ "inputs": { "file": file } }).to_string();
        world.run("type: document-extractor\nfile: '{{ inputs.file }}'", &scope).await
    };
    let read = world.run("type: file-read\npath: docs/a.md\nas: file", "").await.unwrap();
    let text = extract(read.get("file").unwrap().clone()).await.unwrap();
    assert_eq!((text.get("text"), text.get("name")), (Some(&value!("# A")), Some(&value!("a.md"))));
    let listed = extract(value!({ "name": "a.md", "path": "docs/a.md" })).await.unwrap();
    assert_eq!(listed, text);

    for path in ["../secret.txt", "liteagent.toml", ".hidden/e.md"] {
        assert_eq!(refused(extract(value!(path)).await, path), codes::FILES_PATH);
        assert_eq!(refused(extract(value!({ "path": path })).await, path), codes::FILES_PATH);
    }
    for forged in [value!({ "id": "x", "path": "docs/a.md" }), value!({ "name": "a.md" }), value!(3)] {
        assert_eq!(extract(forged).await.unwrap_err().code, codes::FILES_VALUE);
    }
}
