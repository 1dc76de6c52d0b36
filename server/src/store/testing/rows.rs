//! Workflows, secrets, uploads, and triggers that start runs after others.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use liteagent_engine::{
    id::{Digest, RunId},
    store::{EndPlace, FileValue},
};

use super::{NOW, Place, entry};
use crate::store::{
    AfterFiring, AfterState, AuditFilter, NewVersion, ScheduleId, SecretRow, Source, Store, UploadKey, UploadRow,
    Uploaded,
};

fn version(workflow: &str, text: &str, publish: bool) -> NewVersion {
    NewVersion {
        workflow: workflow.to_owned(),
        digest: Digest::of(text.as_bytes()),
        source: Source { text: text.to_owned(), files: BTreeMap::from([("a.md".to_owned(), text.to_owned())]) },
        note: None,
        publish,
    }
}

async fn log(store: &Arc<dyn Store>) -> usize {
    store.audit(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap().len()
}

pub(super) async fn a_version_is_added_once_by_whoever_comes_at_once(place: &dyn Place) {
    let stores = [place.open().await, place.open().await, place.open().await];
    for text in ["one", "two"] {
        let adds = (0..6).map(|nth| stores[nth % 3].add_version(version("a/b", text, true), entry("add")));
        let added: Vec<_> = join_all(adds).await.into_iter().map(Result::unwrap).collect();
        assert!(added.iter().all(|row| *row == added[0]), "{added:?}");
    }
    let versions = stores[0].versions("a/b", None, 9).await.unwrap();
    assert_eq!(versions.iter().map(|row| row.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(log(&stores[0]).await, 2, "an entry with each change, and none without");
    let others = ["x", "y", "z"].into_iter().zip(&stores);
    join_all(others.map(|(text, store)| store.add_version(version("a/b", text, false), entry("add")))).await;
    assert_eq!(stores[0].workflow("a/b").await.unwrap().map(|row| (row.latest, row.published)), Some((5, Some(2))));
}

pub(super) async fn versions_keep_their_numbers_and_texts(place: &dyn Place) {
    let store = place.open().await;
    for (name, text) in [("b", "one"), ("a", "one"), ("a", "two"), ("Z", "one")] {
        store.add_version(version(name, text, false), entry("add")).await.unwrap();
    }
    let names = |rows: Vec<crate::store::WorkflowRow>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(store.workflows(None, 9).await.unwrap()), ["Z", "a", "b"], "by their bytes");
    assert_eq!(names(store.workflows(Some("Z"), 1).await.unwrap()), ["a"]);
    assert!(!store.publish("a", Some(3), entry("publish")).await.unwrap());
    assert!(store.publish("a", Some(2), entry("publish")).await.unwrap());
    let published = store.published().await.unwrap();
    assert_eq!(published.iter().map(|row| (&*row.workflow, row.version)).collect::<Vec<_>>(), [("a", 2)]);
    assert!(store.publish("a", None, entry("publish")).await.unwrap());

    assert!(store.delete_workflow("a", entry("delete")).await.unwrap());
    assert!(!store.delete_workflow("a", entry("delete")).await.unwrap());
    assert_eq!(store.workflow("a").await.unwrap(), None);
    let kept = store.version("a", 1).await.unwrap().unwrap();
    assert_eq!((kept.source, kept.row.created_by.as_str()), (version("a", "one", false).source, "developer"));
    let again = store.add_version(version("a", "two", true), entry("add")).await.unwrap();
    assert_eq!(again.version, 3, "a number is never given again");
    assert_eq!(store.versions("a", Some(3), 1).await.unwrap()[0].version, 2);
}

fn secret(name: &str, version: u32) -> SecretRow {
    SecretRow {
        name: name.to_owned(),
        version,
        key: "k".to_owned(),
        sealed: vec![0, 255, version as u8],
        hosts: Some(vec!["a.test".to_owned()]),
        workflows: None,
        description: Some("what for".to_owned()),
        created_at: NOW,
        created_by: "ada".to_owned(),
        updated_at: NOW,
        updated_by: "ada".to_owned(),
    }
}

pub(super) async fn a_secret_is_replaced_by_who_knows_its_version(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    assert_eq!(one.secrets().await.unwrap(), (0, Vec::new()));
    let (first, second) =
        tokio::join!(one.put_secret(secret("A", 1), entry("put")), two.put_secret(secret("A", 1), entry("put")));
    assert!(first.unwrap() != second.unwrap(), "one of them");
    let (first, second) =
        tokio::join!(one.put_secret(secret("A", 2), entry("put")), two.put_secret(secret("A", 2), entry("put")));
    assert!(first.unwrap() != second.unwrap());
    assert_eq!(two.secrets().await.unwrap(), (2, vec![secret("A", 2)]));

    assert!(one.put_secret(secret("B", 1), entry("put")).await.unwrap());
    let rows = |b: u32| vec![secret("B", b), secret("A", 3)];
    assert!(!one.reseal_secrets(rows(3), entry("reseal")).await.unwrap());
    assert_eq!(one.secrets().await.unwrap(), (3, vec![secret("A", 2), secret("B", 1)]), "all of them, or none");
    assert!(one.reseal_secrets(rows(2), entry("reseal")).await.unwrap());
    assert!(one.delete_secret("B", entry("delete")).await.unwrap());
    assert!(!two.delete_secret("B", entry("delete")).await.unwrap());
    assert_eq!(two.secrets_revision().await.unwrap(), 5);
    assert_eq!(log(&one).await, 5);
}

fn upload(id: &str, owner: &str, created_at: i64) -> UploadRow {
    let sha256 = Digest::of(id.as_bytes()).to_string();
    let file =
        FileValue { id: id.to_owned(), name: "a.csv".to_owned(), mime: "text/csv".to_owned(), size: 1 << 40, sha256 };
    UploadRow { file, owner: owner.to_owned(), note: None, created_at }
}

pub(super) async fn uploads_belong_to_their_owner(place: &dyn Place) {
    let store = place.open().await;
    let rows = vec![upload("1", "ada", 1), upload("2", "ada", 2), upload("3", "ada", 2)];
    assert_eq!(store.add_uploads("ada", rows.clone(), None, 0).await.unwrap(), Uploaded::New);
    assert_eq!(store.upload("ada", "1").await.unwrap(), Some(rows[0].clone()));
    assert_eq!(store.upload("bob", "1").await.unwrap(), None);
    let ids = async |before| {
        let found = store.uploads("ada", before, 2).await.unwrap();
        found.into_iter().map(|row| row.file.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None).await, ["3", "2"]);
    assert_eq!(ids(Some((2, "3".to_owned()))).await, ["2", "1"]);
    assert!(!store.delete_upload("bob", "1").await.unwrap());
    assert!(store.delete_upload("ada", "1").await.unwrap());
    assert_eq!(store.forget_uploads(3).await.unwrap(), 2);
}

pub(super) async fn one_key_gives_the_same_uploads_to_whoever_comes_at_once(place: &dyn Place) {
    let stores = [place.open().await, place.open().await];
    let key = |body: &str| Some(UploadKey { key: "k".to_owned(), body: Digest::of(body.as_bytes()) });
    let adds = (0..6).map(|nth| {
        let row = upload(&format!("u{nth}"), "ada", NOW);
        stores[nth % 2].add_uploads("ada", vec![row], key("x"), NOW - 1)
    });
    let outcomes: Vec<_> = join_all(adds).await.into_iter().map(Result::unwrap).collect();
    let all = stores[0].uploads("ada", None, 9).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Uploaded::New).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Uploaded::Before(all.clone())).count(), 5);
    let add = |id: &str, body, since| stores[1].add_uploads("ada", vec![upload(id, "ada", NOW + 9)], key(body), since);
    assert_eq!(add("v", "y", NOW).await.unwrap(), Uploaded::Conflict);
    assert_eq!(add("w", "y", NOW + 1).await.unwrap(), Uploaded::New, "the key is too old to count");
    assert!(stores[0].delete_upload("ada", "w").await.unwrap());
    assert_eq!(add("x", "y", NOW).await.unwrap(), Uploaded::Before(Vec::new()), "what is gone is left out");
}

pub(super) async fn an_end_is_handled_once_and_places_go_forward(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    let id = || ScheduleId { workflow: "a/b".to_owned(), name: "after".to_owned() };
    let state = |watched: &str, place| AfterState { id: id(), watched: watched.to_owned(), place: EndPlace(place) };
    one.begin_after(state("all", 5)).await.unwrap();
    two.begin_after(state("all", 9)).await.unwrap();
    assert_eq!(two.after_states().await.unwrap(), [state("all", 5)], "the same ends go on");
    one.advance_after(EndPlace(8)).await.unwrap();
    two.advance_after(EndPlace(7)).await.unwrap();
    assert_eq!(one.after_states().await.unwrap(), [state("all", 8)]);
    two.begin_after(state("failed", 3)).await.unwrap();
    assert_eq!(one.after_states().await.unwrap(), [state("failed", 3)]);

    let (ended, run) = (RunId::random(), RunId::random());
    let firing = |run, message: Option<&str>, at| AfterFiring {
        id: id(),
        ended,
        place: EndPlace(4),
        at,
        run,
        message: message.map(str::to_owned),
    };
    one.record_after(firing(None, Some("full"), 1)).await.unwrap();
    two.record_after(firing(Some(run), None, 2)).await.unwrap();
    one.record_after(firing(None, Some("late"), 3)).await.unwrap();
    assert_eq!(one.after_firings(&id(), 9).await.unwrap(), [firing(Some(run), None, 2)]);
    one.forget_after_firings(3).await.unwrap();
    assert_eq!(two.after_firings(&id(), 9).await.unwrap(), []);
    one.end_after(&id()).await.unwrap();
    assert_eq!(one.after_states().await.unwrap(), []);
}

pub(super) async fn every_text_is_kept(place: &dyn Place) {
    let odd = "a\0b\u{1a}0\u{1a}1 é 😀 \\ ' \" \u{7f}";
    let store = place.open().await;
    let noted = NewVersion { note: Some(odd.to_owned()), ..version(odd, odd, true) };
    let row = store.add_version(noted, entry("add").to(odd).by(odd)).await.unwrap();
    assert_eq!(store.versions(odd, None, 9).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!((row.note.as_deref(), row.created_by.as_str()), (Some(odd), odd));
    assert_eq!(store.version(odd, 1).await.unwrap().unwrap().source, version(odd, odd, true).source);
    let found =
        store.audit(AuditFilter { who: Some(odd.to_owned()), limit: 9, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(found[0].target, odd);
    let noted = UploadRow { note: Some(odd.to_owned()), ..upload("1", odd, 1) };
    store.add_uploads(odd, vec![noted.clone()], None, 0).await.unwrap();
    assert_eq!(store.uploads(odd, None, 9).await.unwrap(), [noted]);
}
