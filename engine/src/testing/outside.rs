//! Fakes of what is outside a node: the network, folders, state between runs.

use std::{fs, sync::Arc};

use futures::FutureExt;
use tempfile::TempDir;

use super::FakeHttp;
use crate::{
    capability::{Capabilities, Root},
    store::{Expect, Kv, MemoryStore},
    value::Value,
};

/// Puts the fakes that a test names into the capabilities; the folder lives as long as what is returned.
pub(super) fn install(fakes: &Value, caps: &mut Capabilities) -> Option<TempDir> {
    if let Some(answers) = fakes.get("http").and_then(Value::as_list) {
        caps.http = Some(Arc::new(FakeHttp::answering(answers.to_vec())));
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
