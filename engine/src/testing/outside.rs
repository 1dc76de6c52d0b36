//! Fakes of what is outside a node: the network, folders, state between runs.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use futures::FutureExt;
use tempfile::TempDir;

use super::{FakeHttp, FakeKnowledge, FakeModels};
use crate::{
    capability::{Capabilities, History, Root, Turn},
    error::NodeError,
    id::RunId,
    store::{Expect, Kv, MemoryStore},
    value::Value,
};

/// Puts the fakes that a test names into the capabilities; the folder lives as long as what is returned.
pub(super) fn install(fakes: &Value, caps: &mut Capabilities) -> Option<TempDir> {
    if let Some(answers) = fakes.get("http").and_then(Value::as_list) {
        caps.http = Some(Arc::new(FakeHttp::answering(answers.to_vec())));
    }
    if let Some(answers) = fakes.get("models").and_then(Value::as_list) {
        caps.models = Some(Arc::new(FakeModels::answering(answers.to_vec())));
    }
    if let Some(turns) = fakes.get("history").and_then(Value::as_list) {
        caps.history = Some(Arc::new(FakeHistory(turns.iter().map(turn).collect())));
    }
    if let Some(bases) = fakes.get("knowledge").and_then(Value::as_object) {
        caps.knowledge = Some(Arc::new(FakeKnowledge::holding(bases)));
        caps.models.get_or_insert_with(|| Arc::new(FakeModels::default()));
    }
    if let Some(entries) = fakes.get("kv").and_then(Value::as_object) {
        let store = MemoryStore::default();
        for (key, value) in entries {
            let set = store.set("test", key, value.clone(), Expect::Any).now_or_never();
            set.expect("a store in memory never waits").expect("it never fails").expect("anything is expected");
        }
        caps.kv = Some(Arc::new(store));
    }
    let files = fakes.get("files").and_then(Value::as_object)?;
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    for (path, content) in files {
        let path = folder.path().join(&**path);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a fresh folder can be written");
        fs::write(path, content.as_str().unwrap_or_default()).expect("a fresh folder can be written");
    }
    caps.roots.push(Root { name: String::new(), path: folder.path().to_owned(), writable: true });
    caps.files.get_or_insert_with(|| Arc::new(MemoryStore::default()));
    Some(folder)
}

/// What was said before: the same for every run.
struct FakeHistory(Vec<Turn>);

#[async_trait]
impl History for FakeHistory {
    async fn before(&self, _: RunId, most: usize) -> Result<Vec<Turn>, NodeError> {
        Ok(self.0[self.0.len().saturating_sub(most)..].to_vec())
    }
}

/// A turn of `{ message, files, answer }`.
fn turn(value: &Value) -> Turn {
    let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let files = value.get("files").and_then(Value::as_list).unwrap_or_default().to_vec();
    Turn { message: text("message"), files, answer: text("answer") }
}
