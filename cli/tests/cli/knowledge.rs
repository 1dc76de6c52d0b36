//! Knowledge bases by way of the command line: a folder is indexed, changes, and is cut off. The vectors are those of the
//! local model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, fs, process::Stdio};

use serde_json::Value as Json;

use super::harness::{Folder, Said, looks_like};

/// Where each document stands.
fn documents(folder: &Folder) -> BTreeMap<String, String> {
    let said = folder.run("kb show manual --json");
    let shown: Json = serde_json::from_str(&said.out).unwrap_or_default();
    let all = shown["documents"].as_array().into_iter().flatten();
    all.map(|document| {
        let text = |name: &str| document[name].as_str().unwrap().to_owned();
        (text("id"), format!("{} {}", text("status"), document["chunks"]))
    })
    .collect()
}

/// What an `index` gave.
fn indexed(folder: &Folder, line: &str) -> Json {
    let said = folder.run(&format!("{line} --json"));
    let shown: Json = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.whole()));
    shown["outputs"].clone()
}

#[test]
fn what_changed_is_indexed_what_is_gone_disappears_and_a_bad_file_holds_nothing_up() {
    let folder = Folder::new()
        .with("liteagent.toml", "")
        .with("docs/tea.md", "# Tea\nGreen tea is made with water of 80 degrees.")
        .with("docs/coffee.md", "# Coffee\nAn espresso takes 25 seconds.")
        .with("docs/broken.pdf", "%PDF-1.7 and nothing that a PDF has")
        .with("docs/empty.txt", " \n");
    let first = indexed(&folder, "index manual docs");
    assert_eq!((&first["indexed"], &first["removed"]), (&Json::from(2), &Json::from(0)), "{first}");
    let failed: Vec<&str> =
        first["failed"].as_array().unwrap().iter().map(|failed| failed["document"].as_str().unwrap()).collect();
    assert_eq!(failed, ["docs/broken.pdf", "docs/empty.txt"]);
    let expected = [
        ("docs/broken.pdf", "failed 0"),
        ("docs/coffee.md", "ready 1"),
        ("docs/empty.txt", "failed 0"),
        ("docs/tea.md", "ready 1"),
    ];
    assert_eq!(documents(&folder), expected.map(|(id, stands)| (id.to_owned(), stands.to_owned())).into());
    assert!(folder.run("search manual --top-k 1 temperature").out.contains("docs/tea.md"));

    fs::remove_file(folder.path("docs/tea.md")).unwrap();
    fs::remove_file(folder.path("docs/broken.pdf")).unwrap();
    fs::remove_file(folder.path("docs/empty.txt")).unwrap();
    fs::write(folder.path("docs/coffee.md"), "# Coffee\nAn espresso takes 30 seconds.").unwrap();
    let second = indexed(&folder, "index manual docs");
    assert_eq!((&second["indexed"], &second["removed"]), (&Json::from(1), &Json::from(3)), "{second}");
    let found = folder.run_args(&["search", "manual", "How long does an espresso take?", "--json"]).out;
    assert!(found.contains("30 seconds") && !found.contains("25 seconds") && !found.contains("tea.md"), "{found}");
    let third = indexed(&folder, "index manual docs");
    assert_eq!((&third["indexed"], &third["unchanged"]), (&Json::from(0), &Json::from(1)), "{third}");
}

#[test]
fn an_index_that_is_killed_goes_on_and_indexes_every_document_once() {
    const DOCUMENTS: usize = 24;
    let mut folder = Folder::new().with("liteagent.toml", "");
    for number in 0..DOCUMENTS {
        let text = format!("# Part {number}\n") + &format!("The number of this part is {number}. ").repeat(120);
        folder = folder.with(&format!("docs/{number:02}.md"), &text);
    }
    let mut process =
        folder.command(&["index", "manual", "docs"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while documents(&folder).values().filter(|stands| stands.starts_with("ready")).count() < 3 {
        assert!(process.try_wait().unwrap().is_none(), "the folder was indexed before anybody could look");
    }
    process.kill().unwrap();
    process.wait().unwrap();

    let said = folder.run("index manual docs");
    assert!(said.code == 0 && said.err.starts_with("goes on with run_"), "{}", said.whole());
    let all = documents(&folder);
    assert!(all.len() == DOCUMENTS && all.values().all(|stands| stands.starts_with("ready")), "{all:?}");
    // The journal tells of each once, however often it was begun.
    let journal = folder.run("runs show last --journal").out;
    let mut written = BTreeMap::<String, u32>::new();
    for line in journal.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        let node = record["node"].as_str().unwrap_or_default();
        if record["type"] == "node_succeeded" && node.ends_with("].store") && node.contains(".store.each[") {
            *written.entry(node.to_owned()).or_default() += 1;
        }
    }
    assert!(written.len() == DOCUMENTS && written.values().all(|times| *times == 1), "{written:?}");
}

#[test]
fn wrong_use_is_told_with_what_would_be_right() {
    let folder = Folder::new().with("liteagent.toml", "").with("docs/a.md", "# A\ntext").with("q.jsonl", "{}\n");
    looks_like!(folder.run("search manual tea").whole(), @r"
    ---- stderr (2)
    error[LA2601]: expected the name of a knowledge base, of which there is none yet, found `manual`
      = help: make it by indexing documents into it, or write the name of one that is there
    ");
    assert_eq!(folder.run("index manual docs").code, 0);
    looks_like!(folder.run("ask manul tea").whole(), @r#"
    ---- stderr (2)
    error[LA2601]: expected one of the knowledge bases `manual`, found `manul`
      = help: make it by indexing documents into it, or write the name of one that is there
    "#);
    looks_like!(folder.run("kb create manual").whole(), @r#"
    ---- stderr (2)
    error[LA2602]: expected a name that no knowledge base has, found `manual`
      = help: choose another name, or delete that one first
    "#);
    looks_like!(folder.run("index manual docs/a.md").whole(), @r#"
    ---- stderr (2)
    error[LA2221]: expected a folder, found the file `docs/a.md`
      = help: give the folder that it lies in
    "#);
    looks_like!(folder.run("kb eval manual q.jsonl").whole(), @r#"
    ---- stderr (2)
    error[LA3118]: `q.jsonl`, line 1: missing field `query` at line 1 column 2
      = help: write `{ "query": "…", "relevant": ["docs/a.md"] }`
    "#);
    looks_like!(folder.run_args(&["search", "manual", "tea", "--filter", "{ a: { near: 1 } }"]).whole(), @r#"
    ---- stderr (2)
    error[LA2604]: expected an operator of `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `not contains`, `starts with`, `ends with`, `in`, `not in`, `empty` in `filter.a`, found `near`
      = help: write `{ department: hr, year: { ">=": 2024 } }`; `or: [{ … }, { … }]` where one of several must hold
    "#);
    looks_like!(folder.run("kb show manual --document docs/b.md").whole(), @r#"
    ---- stderr (2)
    error[LA2606]: expected a document of the knowledge base `manual`, found none with the id `docs/b.md`
      = help: list its documents to see their ids
    "#);
}

#[test]
fn a_vector_store_that_is_not_there_is_told() {
    let folder = Folder::new().with("liteagent.toml", "").with("docs/a.md", "# A\ntea");
    // Nobody listens at this port.
    let with = |url: &str, args: &[&str]| Said::of(folder.command(args).env("QDRANT_URL", url).output().unwrap());
    let said = with("nonsense", &["doctor"]);
    assert!(
        said.out.contains("BAD   vector store  `QDRANT_URL`: expected a URL, found `nonsense`"),
        "{}",
        said.whole()
    );
    let said = with("http://127.0.0.1:9", &["doctor"]);
    assert!(said.out.contains("BAD   vector store  expected an answer of Qdrant, found none"), "{}", said.whole());
    assert!(folder.run("doctor").out.contains("ok    vector store  embedded"));

    assert_eq!(folder.run("index manual docs").code, 0);
    let said = with("http://127.0.0.1:9", &["search", "manual", "tea", "--by", "keyword"]);
    assert!(said.code == 3 && said.err.contains("error[LA2605]"), "{}", said.whole());
    let said = with("nonsense", &["search", "manual", "tea"]);
    assert!(said.code == 2 && said.err.contains("error[LA3004]"), "{}", said.whole());
    assert!(with("http://127.0.0.1:9", &["kb", "list"]).out.contains("manual"), "the catalog is here");
}
