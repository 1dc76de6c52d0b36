//! Versions of the schema, URLs, and texts.

use std::time::Duration;

use futures::future::join_all;
use liteagent_backends::{
    PostgresOptions, PostgresStore,
    postgres::{Migrated, Migration, Migrations, Pool},
    testing::PostgresServer,
};
use liteagent_engine::{
    event::RunStatus,
    store::{
        Append, ConversationEnd, Created, Expect, Journal, Kv, Message, MessageBody, NewRun, NewTurn, Release,
        StoreError,
    },
    testing::conformance::samples::{Owned, idempotency, new_run, open},
    value::Value,
};
use url::Url;

use crate::{Fresh, options};

#[tokio::test]
async fn many_processes_may_open_a_new_database_at_once() {
    let server = PostgresServer::shared();
    let url = server.database();
    let stores = join_all((0..6).map(|_| PostgresStore::open(&url, options()))).await;
    let created = join_all(stores.iter().map(|store| store.as_ref().unwrap().create(new_run("a", 1)))).await;
    assert!(created.into_iter().all(|created| created.unwrap() == Created::New));
}

#[tokio::test]
async fn a_newer_schema_is_used_when_it_only_added() {
    let fresh = Fresh::new().await;
    let newer = |compatible_with: i64| {
        let sql = format!(
            "DELETE FROM schema_version WHERE version = 99; \
             INSERT INTO schema_version (component, version, compatible_with) VALUES ('runs', 99, {compatible_with})"
        );
        fresh.execute(&sql);
    };
    newer(1);
    PostgresStore::open(fresh.url(), options()).await.unwrap().create(new_run("a", 1)).await.unwrap();
    newer(50);
    let refused = PostgresStore::open(fresh.url(), options()).await.err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 99, known: 1.. }), "{refused:?}");
}

/// Two releases: the second adds a column, and takes one away when the first is gone; the third adds another.
const FIRST: [Migration; 1] = [FIRST_OF_ALL];
const SECOND: [Migration; 3] = [
    FIRST_OF_ALL,
    Migration::Expands("ALTER TABLE things ADD COLUMN new text"),
    Migration::Contracts("ALTER TABLE things DROP COLUMN old"),
];
const THIRD: [Migration; 4] = [
    FIRST_OF_ALL,
    Migration::Expands("ALTER TABLE things ADD COLUMN new text"),
    Migration::Contracts("ALTER TABLE things DROP COLUMN old"),
    Migration::Expands("ALTER TABLE things ADD COLUMN newer text"),
];
const FIRST_OF_ALL: Migration = Migration::Expands("CREATE TABLE things (old text)");

const fn release(versions: &'static [Migration]) -> Migrations {
    Migrations { component: "things", versions }
}

#[tokio::test]
async fn a_release_expands_and_contracts_when_the_one_before_is_gone() {
    let server = PostgresServer::shared();
    let url = server.database();
    let pools: Vec<Pool> = (0..4).map(|_| Pool::open(&url, 2, Duration::from_secs(10)).unwrap()).collect();
    let pool = &pools[0];
    let (first, second, third) = (release(&FIRST), release(&SECOND), release(&THIRD));
    let done = |from, to, left| Migrated { component: "things", from, to, left };
    pool.prepare(&first).await.unwrap();
    assert_eq!(pool.migrate(&first, true).await.unwrap(), done(1, 1, 0), "there is nothing to do");

    // The second does not change what others use.
    let refused = pool.prepare(&second).await.unwrap_err();
    assert!(matches!(refused, StoreError::Older { found: 1, needed: 2 }), "{refused:?}");
    let migrated = join_all(pools.iter().map(|pool| pool.migrate(&second, false))).await;
    let mut migrated: Vec<_> = migrated.into_iter().map(Result::unwrap).collect();
    migrated.sort_by_key(|migrated| migrated.from);
    assert_eq!(migrated, [done(1, 2, 1), done(2, 2, 1), done(2, 2, 1), done(2, 2, 1)], "one of many does it");
    for release in [&first, &second] {
        pool.prepare(release).await.unwrap();
        pool.fits(release).await.unwrap();
    }
    // The third waits for the second to finish.
    assert_eq!(pool.migrate(&third, false).await.unwrap(), done(2, 2, 2));
    assert!(matches!(pool.prepare(&third).await, Err(StoreError::Older { found: 2, needed: 4 })));

    assert_eq!(pool.migrate(&second, true).await.unwrap(), done(2, 3, 0));
    for refused in [pool.prepare(&first).await, pool.fits(&first).await, pool.migrate(&first, false).await.map(drop)] {
        assert!(matches!(refused, Err(StoreError::Newer { found: 3, known: 1 })), "{refused:?}");
    }
    assert_eq!(pool.migrate(&third, false).await.unwrap(), done(3, 4, 0));
    pool.prepare(&second).await.unwrap();

    // A new installation is as the newest release wants it.
    let empty = Pool::open(&server.database(), 2, Duration::from_secs(10)).unwrap();
    empty.prepare(&third).await.unwrap();
    assert_eq!(empty.migrate(&third, true).await.unwrap(), done(4, 4, 0));
}

#[tokio::test]
async fn a_url_that_cannot_be_meant_is_refused_without_its_password() {
    for (url, said) in [
        ("mysql://u:geheim@localhost/d", "expected `postgres://`, found `mysql://`"),
        ("postgres://u:geheim@localhost/d?pgbouncer=maybe", "`pgbouncer=true`"),
        ("postgres://u:geheim@localhost/d?sslmodus=require", "found `sslmodus`"),
        ("postgres://u:geheim@localhost/d?sslmode=sometimes", "unknown value \"sometimes\""),
    ] {
        let refused = PostgresStore::open(&Url::parse(url).unwrap(), PostgresOptions::default()).await.err().unwrap();
        let text = refused.to_string();
        assert!(text.contains(said) && !text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn every_text_is_kept() {
    let fresh = Fresh::new().await;
    let odd = "a\0b\u{1a}0\u{1a}1 é 😀 \\ ' \" \u{7f}";
    let session = open(&*fresh, 1).await;
    let turn = NewTurn { message: odd.to_owned(), files: Value::from(Vec::new()), beside: None, speaker: None };
    let new = NewRun {
        workflow: odd.to_owned(),
        conversation: Some(odd.to_owned()),
        subject: Some(odd.to_owned()),
        turn: Some(turn),
        idempotency: Some(idempotency(odd, odd, odd)),
        ..new_run(odd, 1)
    };
    assert_eq!(fresh.create(new.clone()).await.unwrap(), Created::New);
    assert_eq!(
        fresh.create(NewRun { id: liteagent_engine::id::RunId::random(), ..new.clone() }).await.unwrap(),
        Created::Existing(new.id)
    );
    let sent = Message { id: odd.to_owned(), at: 1, body: MessageBody::Cancel { by: Some(odd.to_owned()) } };
    fresh.send(new.id, sent.clone()).await.unwrap();
    let inbox = fresh.inbox(new.id).await.unwrap();
    assert_eq!(inbox[0].message, sent);
    let owned = Owned::take(&*fresh, new.id, session, 1).await;
    let conversation =
        ConversationEnd { id: odd.to_owned(), variables: Value::from(odd), answer: Some(odd.to_owned()) };
    let release = Release::Ended {
        status: RunStatus::Succeeded,
        error: None,
        conversation: Some(conversation),
        usage: Box::default(),
    };
    fresh.append(Append { consumed: vec![inbox[0].row], ..owned.release(release) }).await.unwrap();

    let row = fresh.run(new.id).await.unwrap().unwrap();
    assert_eq!(
        (row.workflow.as_str(), row.conversation.as_deref(), row.subject.as_deref()),
        (odd, Some(odd), Some(odd))
    );
    let turn = fresh.turn(new.id).await.unwrap().unwrap();
    assert_eq!((turn.message.as_str(), turn.answer.as_deref()), (odd, Some(odd)));
    assert_eq!(fresh.conversation(odd).await.unwrap(), Some(Value::from(odd)));
    let entry = fresh.set(odd, odd, Value::from(odd), Expect::Absent).await.unwrap().unwrap();
    assert_eq!(fresh.get(odd, odd).await.unwrap(), Some(entry));
}
