//! What a newer release wrote: the run is given back as it was, and the rest is still shown.

use bytes::Bytes;
use liteagent_backends::SqliteOptions;
use liteagent_engine::{
    capability::Root,
    engine::EngineError,
    store::{Files, NewRun, Release, RunPhase, RunRow, StoredRecord},
    testing::conformance::samples::{Owned, new_run, open},
    view::{RunView, check_readable},
};

use super::*;

/// Stores, the way to files over them, and the folder that they need.
struct Both {
    stores: Stores,
    files: Arc<dyn Files>,
    folder: tempfile::TempDir,
}

async fn both() -> [Both; 2] {
    let (stores, memory) = Stores::memory();
    let in_memory = Both { stores, files: memory, folder: tempfile::tempdir().unwrap() };
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { reserve: liteagent_backends::Reserve::NONE, ..SqliteOptions::default() };
    let backends = liteagent_backends::open(folder.path(), options).await.unwrap();
    [in_memory, Both { stores: backends.stores, files: backends.files, folder }]
}

const DEFINITION: &str =
    r#"{"format":1,"entry":"test","workflows":{"test":{"nodes":{"a":{"type":"json","value":1}}}}}"#;

/// A run whose journal begins with a usual record and goes on with this one.
async fn stored(stores: &Stores, bundle: &str, second: &str) -> RunId {
    let digest = liteagent_engine::id::Digest::of(bundle.as_bytes());
    stores.journal.put_bundle(&digest, bundle.into()).await.unwrap();
    let first = json!({ "seq": 1, "at": 1, "type": "run_started", "workflow": "test", "digest": digest,
        "inputs": { "value": {} }, "trigger": { "type": "test" } });
    let record = |seq, body: String| StoredRecord { seq, at: 1, body: body.into() };
    let records = vec![record(1, first.to_string()), record(2, second.to_owned())];
    let run = NewRun { workflow: "test".to_owned(), digest, records, ..new_run("test", 1) };
    let id = run.id;
    stores.journal.create(run).await.unwrap();
    id
}

async fn row(stores: &Stores, run: RunId) -> RunRow {
    stores.journal.run(run).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_run_that_only_a_newer_release_can_read_is_released_untouched_and_not_taken_again() {
    let known = r#"{"seq":2,"at":2,"type":"node_skipped","node":"a","why":"when"}"#;
    let cases = [
        (DEFINITION, r#"{"seq":2,"at":2,"type":"node_dreamt","node":"a"}"#, "unknown variant `node_dreamt`"),
        (
            DEFINITION,
            r#"{"seq":2,"at":2,"type":"node_skipped","node":"a","why":"when","twice":1}"#,
            "unknown field `twice`",
        ),
        (
            DEFINITION,
            r#"{"seq":2,"at":2,"type":"node_skipped","node":"a","why":{"not_needed":{"need":"b","of":1}}}"#,
            "unknown field `of`",
        ),
        (r#"{"format":2,"entry":"test","flows":{}}"#, known, "form 2, this release knows 1"),
    ];
    for Both { stores, folder: _folder, .. } in both().await {
        for (definition, record, said) in &cases {
            let shared = stores.clone();
            let world = world_with(|_| shared).await;
            let run = stored(&stores, definition, record).await;
            world.engine.poll().await.unwrap();
            let error = world.engine.settled(run).await.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(check_readable(&stores, &row(&stores, run).await).await.unwrap_err().code().0, "LA5010");

            let before = row(&stores, run).await;
            assert_eq!((before.phase, before.owner, before.seq), (RunPhase::Queued, None, 2), "{said}");
            assert_eq!(world.engine.poll().await.unwrap(), 0, "this process does not take it again");
            assert!(matches!(world.engine.resume(run).await, Err(EngineError::Store(StoreError::NewerRun(_)))));
            assert!(world.engine.settled(run).await.is_err(), "who waits for it is told");
            idle().await;
            assert_eq!(row(&stores, run).await, before);

            let view = RunView::load(&stores, run).await.unwrap();
            assert_eq!(view.workflow, "test", "the rest is shown");
            assert_eq!(view.unknown, if *definition == DEFINITION { vec![2] } else { vec![] });

            // A process that knows more can take it at once; here it also ends it, for the next case.
            let newer = open(&*stores.journal, before.updated_at).await;
            let owned = Owned::take(&*stores.journal, run, newer, before.updated_at).await;
            let end =
                Release::Ended { status: RunStatus::Succeeded, error: None, conversation: None, usage: Box::default() };
            stores.journal.append(owned.release(end)).await.unwrap();
            world.engine.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_fork_and_a_child_open_the_files_of_the_run_they_came_from() {
    for Both { stores, files, folder } in both().await {
        std::fs::create_dir_all(folder.path().join("out")).unwrap();
        let caps = Capabilities {
            files: Some(files.clone()),
            roots: vec![Root { name: "out".to_owned(), path: folder.path().join("out"), writable: true }],
            ..Capabilities::default()
        };
        let engine = Engine::open(EngineConfig {
            registry: liteagent_nodes::registry().with::<Probe>().with::<ModelProbe>(),
            stores: stores.clone(),
            caps: Arc::new(caps),
            clock: Arc::new(VirtualClock::at(1_000_000)),
            observer: None,
            hold: Duration::from_secs(10),
            quarantine: None,
            fleet: None,
        })
        .await
        .unwrap();
        let parent = json!({
            "inputs": { "given": "file" },
            "nodes": {
                "make": { "type": "file-write", "path": "out/a.txt", "content": "made" },
                "made": { "type": "file-read", "file": "{{ make.file }}" },
                "given": { "type": "file-read", "file": "{{ inputs.given }}" },
                "child": { "type": "workflow", "workflow": "child", "inputs": { "given": "{{ make.file }}" } },
                "back": { "type": "file-read", "file": "{{ child.file }}" },
            },
            "outputs": { "text": "{{ made.text }} {{ given.text }} {{ child.text }} {{ back.text }}" },
        });
        let child = json!({
            "inputs": { "given": "file" },
            "nodes": {
                "read": { "type": "file-read", "file": "{{ inputs.given }}" },
                "write": { "type": "file-write", "path": "out/b.txt", "content": "{{ read.text }} by the child" },
            },
            "outputs": { "text": "{{ read.text }}", "file": "{{ write.file }}" },
        });
        let all = bundle(&[("parent", parent), ("child", child)]);
        let id = RunId::random();
        let given = files.create(id, "given.txt", "text/plain", Bytes::from_static(b"given")).await.unwrap();
        let inputs = value!({ "given": given });
        let start = Start { id: Some(id), ..Start::new(all, inputs, value!({ "type": "test" })) };
        let run = engine.start(start).await.unwrap();
        let expected = value!({ "text": "made given made made by the child" });
        let Settled::Ended(end) = engine.settled(run).await.unwrap() else { panic!("it waits") };
        assert_eq!(end.outputs, expected, "{:?}", end.error);

        // A file of the run that no kept value names, and one of a run that has nothing to do with it.
        let unnamed = files.create(run, "x.txt", "text/plain", Bytes::from_static(b"x")).await.unwrap();
        let foreign = files.create(RunId::random(), "y.txt", "text/plain", Bytes::from_static(b"y")).await.unwrap();
        let mut newest = run;
        for node in ["made", "back"] {
            newest = engine.fork(newest, Cut::Restart { node: node.to_owned() }).await.unwrap();
            let Settled::Ended(end) = engine.settled(newest).await.unwrap() else { panic!("it waits") };
            assert_eq!(end.outputs, expected, "{:?}", end.error);
        }
        for refused in [&unnamed, &foreign] {
            assert_eq!(files.open(newest, &refused.id).await.unwrap(), None);
        }

        engine.close().await.unwrap();
    }
}
