//! What backups hold, and what is done with those that are not what they seem.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use liteagent_engine::{
    id::Digest,
    store::{NewRun, RunFilter, RunPhase},
    testing::conformance::samples::{Owned, new_run, open},
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::{Backends, Reserve, SqliteOptions};

fn about() -> About {
    About { format: FORMAT, release: "0.1.0".to_owned(), at: 5, installation: "i".to_owned(), epoch: 1, objects: None }
}

async fn stores(folder: &Path) -> Backends {
    crate::open(folder, SqliteOptions { reserve: Reserve::NONE, ..SqliteOptions::default() }).await.unwrap()
}

/// A data folder with a run that goes on, a blob that it names, a key and a cache.
async fn data() -> (TempDir, Backends, Owned) {
    let folder = tempfile::tempdir().unwrap();
    let backends = stores(folder.path()).await;
    let blob = backends.stores.blobs.put(Bytes::from_static(b"a large value")).await.unwrap();
    let journal = &backends.stores.journal;
    let session = open(&**journal, 1).await;
    let run = NewRun { blobs: vec![blob], ..new_run("a", 1) };
    journal.create(run.clone()).await.unwrap();
    let owned = Owned::take(&**journal, run.id, session, 1).await;
    fs::write(folder.path().join("jwt-secret"), "secret").unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    fs::write(folder.path().join("files/a"), vec![7; 200_000]).unwrap();
    (folder, backends, owned)
}

#[tokio::test]
async fn a_folder_in_use_is_copied_and_its_runs_are_held() {
    let (folder, backends, owned) = data().await;
    let to = tempfile::tempdir().unwrap();
    let file = to.path().join("a.backup");
    fs::write(&file, "an older one").unwrap();
    let written = write(folder.path(), &file, about()).unwrap();
    assert_eq!(written.left_out, ["jwt-secret"]);
    let names: Vec<&str> = written.manifest.files.keys().map(String::as_str).collect();
    assert!(names.contains(&"liteagent.db") && names.contains(&"files/a"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("lock") || name.contains("session") || name.contains("wal")));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(verify(&file).unwrap(), written.manifest);
    // The run goes on here, as if nothing had been.
    backends.stores.journal.append(owned.append(2)).await.unwrap();

    let into = to.path().join("data");
    let unpacked = unpack(&file, &into).unwrap();
    let restored = crate::begin_epoch(unpacked.folder(), 9).unwrap();
    assert_eq!((restored.held, restored.epoch), (1, 2));
    unpacked.settle().unwrap();
    let again = stores(&into).await;
    let rows = again.stores.journal.runs(RunFilter::default()).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.id, row.phase, row.seq)).collect::<Vec<_>>(),
        [(owned.run, RunPhase::Held, 1)]
    );
    let installation = again.stores.journal.installation().await.unwrap();
    let before = backends.stores.journal.installation().await.unwrap();
    assert_eq!((installation.id, installation.epoch, installation.restored_at), (before.id, 2, Some(9)));
    assert!(again.stores.blobs.get(&Digest::of(b"a large value")).await.unwrap().is_some());
    assert_eq!(fs::read(into.join("files/a")).unwrap().len(), 200_000);

    let twice = unpack(&file, &into).unwrap_err();
    assert_eq!(twice.code(), codes::NOT_EMPTY, "{twice}");
}

#[tokio::test]
async fn an_archive_that_was_cut_off_or_changed_is_damaged() {
    let (folder, _backends, _) = data().await;
    let to = tempfile::tempdir().unwrap();
    let whole = to.path().join("whole");
    write(folder.path(), &whole, about()).unwrap();
    let bytes = fs::read(&whole).unwrap();
    let target = to.path().join("target");
    for (cut, code) in
        [(0, codes::NO_BACKUP), (bytes.len() / 2, codes::BACKUP_DAMAGED), (bytes.len() - 30, codes::BACKUP_DAMAGED)]
    {
        fs::write(to.path().join("cut"), &bytes[..cut]).unwrap();
        let error = verify(&to.path().join("cut")).unwrap_err();
        assert_eq!(error.code(), code, "{cut}: {error}");
        assert!(unpack(&to.path().join("cut"), &target).is_err());
        assert_eq!(fs::read_dir(&target).map_or(0, Iterator::count), 0, "nothing is left of it");
    }
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x55;
    fs::write(to.path().join("changed"), changed).unwrap();
    assert_eq!(verify(&to.path().join("changed")).unwrap_err().code(), codes::BACKUP_DAMAGED);
    assert_eq!(verify(Path::new("/nowhere/at/all")).unwrap_err().code(), codes::NO_BACKUP);
}

/// An archive that somebody made by hand, with these entries between its first and its last.
fn forged(folder: &Path, about: &str, entries: &[(&str, EntryType, &[u8])], manifest: Option<&str>) -> PathBuf {
    let file = folder.join("forged");
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |path: &str, kind: EntryType, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        if kind == EntryType::Symlink {
            header.set_link_name("/etc").unwrap();
        }
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    add(ABOUT, EntryType::Regular, about.as_bytes());
    for (path, kind, content) in entries {
        add(path, *kind, content);
    }
    if let Some(manifest) = manifest {
        add(MANIFEST, EntryType::Regular, manifest.as_bytes());
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    fs::File::create(&file).unwrap().write_all(&bytes).unwrap();
    file
}

#[test]
fn an_archive_from_elsewhere_writes_nothing_where_it_should_not() {
    let outer = tempfile::tempdir().unwrap();
    let known = serde_json::to_string(&about()).unwrap();
    let regular = EntryType::Regular;
    let cases: &[(&str, EntryType, &str)] = &[
        ("../escaped", regular, "does not lie below"),
        ("/tmp/escaped", regular, "does not lie below"),
        ("files/../../escaped", regular, "does not lie below"),
        ("files//escaped", regular, "the manifest does not know"),
        ("files", EntryType::Symlink, "is no file"),
        ("files/", EntryType::Directory, "is no file"),
        ("files/link", EntryType::Link, "is no file"),
        ("jwt-secret", regular, "never holds"),
        ("sessions/x", regular, "never holds"),
        ("knowledge/k.db-wal", regular, "never holds"),
        ("files/unknown", regular, "the manifest does not know"),
    ];
    for (path, kind, expected) in cases {
        let manifest = serde_json::to_string(&Manifest { about: about(), files: BTreeMap::new() }).unwrap();
        let file = forged(outer.path(), &known, &[(path, *kind, b"")], Some(&manifest));
        let into = outer.path().join("data");
        let error = unpack(&file, &into).unwrap_err();
        assert_eq!(error.code(), codes::BACKUP_DAMAGED, "{path}: {error}");
        assert!(error.to_string().contains(expected), "{path}: {error}");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0, "{path}");
    }
    let escaped = |name: &str| fs::exists(outer.path().join(name)).unwrap();
    assert!(!escaped("escaped") && !fs::exists("/tmp/escaped").unwrap());

    let twice = [("files/a", regular, &b"1"[..]), ("files/a", regular, &b"2"[..])];
    let file = forged(outer.path(), &known, &twice, None);
    assert!(verify(&file).unwrap_err().to_string().contains("is there twice"));
    let error = verify(&forged(outer.path(), &known, &[], None)).unwrap_err();
    assert!(error.to_string().contains("its end is missing"), "{error}");
    let newer = known.replace("\"format\":1", "\"format\":2,\"more\":[]");
    let error = verify(&forged(outer.path(), &newer, &[], None)).unwrap_err();
    assert_eq!(error.code(), codes::BACKUP_NEWER, "{error}");
    let error = verify(&forged(outer.path(), "{}", &[], None)).unwrap_err();
    assert_eq!(error.code(), codes::BACKUP_DAMAGED, "{error}");
}

#[test]
fn a_database_that_cannot_be_read_is_found() {
    let outer = tempfile::tempdir().unwrap();
    let mut content = b"SQLite format 3\0".to_vec();
    content.extend([9; 5_000]);
    let held = Held { size: content.len() as u64, sha256: Digest::of(&content).to_string(), database: true };
    let files = BTreeMap::from([("liteagent.db".to_owned(), held)]);
    let manifest = serde_json::to_string(&Manifest { about: about(), files }).unwrap();
    let known = serde_json::to_string(&about()).unwrap();
    let file = forged(outer.path(), &known, &[("liteagent.db", EntryType::Regular, &content)], Some(&manifest));
    let error = verify(&file).unwrap_err();
    assert_eq!(error.code(), codes::BACKUP_DAMAGED, "{error}");
}
