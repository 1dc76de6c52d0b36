//! What every store of the server must do: one suite, run on each of them. Here are the cases of accounts; schedules have a
//! suite of their own in `server/tests/schedule_store.rs`.
//!
//! Each case is listed once, in the macro, and becomes a `#[tokio::test]`; with `here`, they run one after the other. The expression gives a [`Place`].

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_engine::units::Millis;

use super::{
    AuditFilter, Changed, Counted, Entry, KeyLimits, KeyRow, KeyScope, LinkFor, NewLink, NewSession, NewUser, Outcome,
    Rotated, SqliteStore, Store, UserChange, UserRow,
};
use crate::access::Role;

mod rows;

/// Where a store keeps what it holds. Each opening is a process of its own.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// Opens the store.
    async fn open(&self) -> Arc<dyn Store>;
}

/// A test of each case.
macro_rules! store_tests {
    ($place:expr, $($case:path as $name:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $case(&$place).await;
        }
    )+ };
}

/// Each case, one after the other.
macro_rules! store_here {
    ($place:expr, $($case:path as $name:ident),+ $(,)?) => { $(
        Box::pin($case(&$place)).await;
    )+ };
}

macro_rules! store_conformance {
    (@cases $then:ident, $place:expr) => {
        $then! { $place,
            crate::store::testing::an_address_belongs_to_one_user as an_address_belongs_to_one_user,
            crate::store::testing::the_first_owner_is_made_once_by_whoever_is_first as the_first_owner_is_made_once_by_whoever_is_first,
            crate::store::testing::a_link_works_once_and_not_for_ever as a_link_works_once_and_not_for_ever,
            crate::store::testing::a_link_of_a_disabled_user_does_not_work as a_link_of_a_disabled_user_does_not_work,
            crate::store::testing::the_last_owner_who_can_sign_in_stays as the_last_owner_who_can_sign_in_stays,
            crate::store::testing::sessions_end_with_what_they_stand_on as sessions_end_with_what_they_stand_on,
            crate::store::testing::a_refresh_token_is_good_once as a_refresh_token_is_good_once,
            crate::store::testing::a_token_that_comes_twice_ends_its_session_and_no_other as a_token_that_comes_twice_ends_its_session_and_no_other,
            crate::store::testing::two_processes_rotate_one_token_once as two_processes_rotate_one_token_once,
            crate::store::testing::pauses_are_counted_for_account_and_address_and_outlive_the_process as pauses_are_counted_for_account_and_address_and_outlive_the_process,
            crate::store::testing::a_pause_is_forgotten_after_a_day as a_pause_is_forgotten_after_a_day,
            crate::store::testing::keys_are_found_by_their_hash_and_revoked_once as keys_are_found_by_their_hash_and_revoked_once,
            crate::store::testing::what_was_done_is_in_the_log_and_what_was_refused_is_not as what_was_done_is_in_the_log_and_what_was_refused_is_not,
            crate::store::testing::what_has_expired_is_swept as what_has_expired_is_swept,
            crate::store::testing::two_processes_never_leave_no_owner as two_processes_never_leave_no_owner,
            crate::store::testing::tries_at_once_count_as_many_as_tries_in_a_row as tries_at_once_count_as_many_as_tries_in_a_row,
            crate::store::testing::rows::a_version_is_added_once_by_whoever_comes_at_once as a_version_is_added_once_by_whoever_comes_at_once,
            crate::store::testing::rows::versions_keep_their_numbers_and_texts as versions_keep_their_numbers_and_texts,
            crate::store::testing::rows::a_secret_is_replaced_by_who_knows_its_version as a_secret_is_replaced_by_who_knows_its_version,
            crate::store::testing::rows::uploads_belong_to_their_owner as uploads_belong_to_their_owner,
            crate::store::testing::rows::one_key_gives_the_same_uploads_to_whoever_comes_at_once as one_key_gives_the_same_uploads_to_whoever_comes_at_once,
            crate::store::testing::rows::an_end_is_handled_once_and_places_go_forward as an_end_is_handled_once_and_places_go_forward,
            crate::store::testing::rows::every_text_is_kept as every_text_is_kept,
        }
    };
    ($place:expr) => {
        store_conformance!(@cases store_tests, $place);
    };
    ($place:expr, here) => {
        store_conformance!(@cases store_here, $place);
    };
}

mod sqlite {
    use super::*;

    struct Folder(tempfile::TempDir);

    #[async_trait]
    impl Place for Folder {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(SqliteStore::open(self.0.path()).await.unwrap())
        }
    }

    store_conformance!(Folder(tempfile::tempdir().unwrap()));
}

mod postgres {
    use std::time::Duration;

    use liteagent_backends::{
        postgres::Pool,
        testing::{Pooler, PostgresServer},
    };
    use url::Url;

    use super::*;
    use crate::store::PostgresStore;

    struct Database(Url);

    #[async_trait]
    impl Place for Database {
        async fn open(&self) -> Arc<dyn Store> {
            let pool = Pool::open(&self.0, 4, Duration::from_secs(10)).unwrap();
            Arc::new(PostgresStore::over(pool).await.unwrap())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_does_what_every_store_must_do() {
        let server = PostgresServer::shared();
        store_conformance!(Database(server.database()), here);
    }

    #[tokio::test]
    async fn it_works_through_a_pooler_that_gives_each_transaction_another_connection() {
        let server = PostgresServer::shared();
        let pooler = Pooler::before(&server);
        let database = || Database(pooler.url(&server.database()));
        two_processes_rotate_one_token_once(&database()).await;
        rows::a_secret_is_replaced_by_who_knows_its_version(&database()).await;
    }
}

const NOW: Millis = 1_772_355_600_000;
const LATER: Millis = NOW + 60_000;

fn entry(action: &'static str) -> Entry {
    Entry {
        at: NOW,
        who: "developer".to_owned(),
        action,
        target: "t".to_owned(),
        address: "127.0.0.1".to_owned(),
        outcome: Outcome::Done,
    }
}

fn new_user(id: &str, role: Role, password: Option<&str>) -> NewUser {
    let password = password.map(str::to_owned);
    NewUser { id: id.to_owned(), email: format!("{id}@example.org"), role, password, at: NOW }
}

fn link(number: u8) -> NewLink {
    NewLink { hash: [number; 32], expires_at: LATER }
}

fn session(id: &str, user: &str, token: u8) -> NewSession {
    NewSession { id: id.to_owned(), user: user.to_owned(), refresh: [token; 32], at: NOW, expires_at: LATER }
}

/// A store with an owner `ada`, who can sign in, and a viewer `bob`, who can too.
async fn two_users(place: &dyn Place) -> Arc<dyn Store> {
    let store = place.open().await;
    assert!(store.add_first_user(new_user("ada", Role::Owner, Some("hash")), entry("first")).await.unwrap());
    assert!(store.add_user(new_user("bob", Role::Viewer, None), link(200), entry("add")).await.unwrap());
    assert!(store.set_password("bob", "hash".to_owned(), None, entry("password")).await.unwrap());
    store
}

async fn an_address_belongs_to_one_user(place: &dyn Place) {
    let store = two_users(place).await;
    let twin = NewUser { id: "eve".to_owned(), ..new_user("bob", Role::Owner, None) };
    assert!(!store.add_user(twin, link(1), entry("add")).await.unwrap());
    assert_eq!(store.link([1; 32], NOW).await.unwrap(), None);
    let users: Vec<UserRow> = store.users().await.unwrap();
    assert_eq!(users.iter().map(|user| &*user.id).collect::<Vec<_>>(), ["ada", "bob"]);
    let (bob, password) = store.user_to_sign_in("bob@example.org").await.unwrap().unwrap();
    assert_eq!((&bob, password.as_deref()), (&users[1], Some("hash")));
    assert_eq!((bob.role, bob.has_password, bob.disabled, bob.signed_in_at), (Role::Viewer, true, false, None));
    assert_eq!(store.user_to_sign_in("eve@example.org").await.unwrap(), None);
}

async fn the_first_owner_is_made_once_by_whoever_is_first(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    assert!(one.add_first_owner_link(link(1)).await.unwrap());
    assert!(two.add_first_owner_link(link(2)).await.unwrap());
    assert_eq!(one.link([2; 32], NOW).await.unwrap(), Some(LinkFor::FirstOwner));
    let owner = |id| new_user(id, Role::Owner, Some("hash"));
    let (first, second) = tokio::join!(
        one.use_first_owner_link([1; 32], owner("ada"), entry("first")),
        two.use_first_owner_link([2; 32], owner("bob"), entry("first")),
    );
    assert_eq!([first.unwrap(), second.unwrap()].iter().filter(|made| **made).count(), 1);
    assert_eq!(one.users().await.unwrap().len(), 1);
    assert!(!one.add_first_owner_link(link(3)).await.unwrap());
    assert!(!two.add_first_user(owner("eve"), entry("first")).await.unwrap());
    assert_eq!(two.link([1; 32], NOW).await.unwrap(), None);
}

async fn a_link_works_once_and_not_for_ever(place: &dyn Place) {
    let store = two_users(place).await;
    assert!(store.add_user(new_user("eve", Role::Editor, None), link(1), entry("add")).await.unwrap());
    assert!(matches!(store.link([1; 32], NOW).await.unwrap(), Some(LinkFor::Password(user)) if user.id == "eve"));
    assert_eq!(store.link([1; 32], LATER).await.unwrap(), None);
    assert!(store.add_password_link("eve", link(2), entry("link")).await.unwrap());
    assert!(!store.add_password_link("nobody", link(3), entry("link")).await.unwrap());
    let set = |number: u8| store.use_password_link([number; 32], "new".to_owned(), entry("set"));
    assert_eq!(set(1).await.unwrap(), None, "a newer link took its place");
    assert!(set(2).await.unwrap().is_some_and(|user| user.id == "eve" && user.has_password));
    assert_eq!(set(2).await.unwrap(), None);
    assert_eq!(store.user_to_sign_in("eve@example.org").await.unwrap().unwrap().1.as_deref(), Some("new"));
}

async fn a_link_of_a_disabled_user_does_not_work(place: &dyn Place) {
    let store = two_users(place).await;
    assert!(store.add_password_link("bob", link(1), entry("link")).await.unwrap());
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    assert!(matches!(store.change_user("bob", change, entry("change")).await.unwrap(), Changed::Done(_)));
    assert_eq!(store.use_password_link([1; 32], "new".to_owned(), entry("set")).await.unwrap(), None);
}

async fn the_last_owner_who_can_sign_in_stays(place: &dyn Place) {
    let store = two_users(place).await;
    let demote = UserChange { role: Some(Role::Editor), disabled: None };
    let disable = UserChange { role: None, disabled: Some(true) };
    // An owner who was invited and has no password yet is of no help.
    assert!(store.add_user(new_user("eve", Role::Owner, None), link(1), entry("add")).await.unwrap());
    for change in [demote, disable] {
        assert_eq!(store.change_user("ada", change, entry("change")).await.unwrap(), Changed::LastOwner);
    }
    assert_eq!(store.delete_user("ada", entry("delete")).await.unwrap(), Changed::LastOwner);
    assert_eq!(store.delete_user("nobody", entry("delete")).await.unwrap(), Changed::Missing);
    assert_eq!(store.change_user("nobody", demote, entry("change")).await.unwrap(), Changed::Missing);

    store.use_password_link([1; 32], "new".to_owned(), entry("set")).await.unwrap().unwrap();
    let Changed::Done(ada) = store.change_user("ada", demote, entry("change")).await.unwrap() else { panic!() };
    assert_eq!(ada.role, Role::Editor);
    assert_eq!(store.user("ada").await.unwrap(), Some(ada));
    assert_eq!(store.delete_user("eve", entry("delete")).await.unwrap(), Changed::LastOwner);
    assert!(matches!(store.delete_user("ada", entry("delete")).await.unwrap(), Changed::Done(_)));
    assert_eq!(store.user("ada").await.unwrap(), None);
}

async fn sessions_end_with_what_they_stand_on(place: &dyn Place) {
    let store = two_users(place).await;
    for (id, token) in [("s1", 1), ("s2", 2), ("s3", 3)] {
        store.begin_session(session(id, "bob", token), entry("sign-in")).await.unwrap();
    }
    let is_good = async |id: &str, now| store.session_user(id, now).await.unwrap().is_some();
    assert!(is_good("s1", LATER - 1).await);
    assert!(!is_good("s1", LATER).await);
    assert_eq!(store.user("bob").await.unwrap().unwrap().signed_in_at, Some(NOW));

    store.set_password("bob", "other".to_owned(), Some("s2"), entry("password")).await.unwrap();
    assert!(!is_good("s1", NOW).await);
    assert!(is_good("s2", NOW).await);

    assert_eq!(store.end_session([2; 32], entry("sign-out")).await.unwrap().as_deref(), Some("s2"));
    assert_eq!(store.end_session([2; 32], entry("sign-out")).await.unwrap(), None);
    assert!(!is_good("s2", NOW).await);

    store.begin_session(session("s4", "bob", 4), entry("sign-in")).await.unwrap();
    let disabled = |disabled| UserChange { role: None, disabled: Some(disabled) };
    store.change_user("bob", disabled(true), entry("change")).await.unwrap();
    assert!(!is_good("s4", NOW).await);
    store.change_user("bob", disabled(false), entry("change")).await.unwrap();
    assert!(!is_good("s4", NOW).await, "what has ended does not begin again");

    store.begin_session(session("s5", "bob", 5), entry("sign-in")).await.unwrap();
    store.delete_user("bob", entry("delete")).await.unwrap();
    assert!(!is_good("s5", NOW).await);
}

async fn a_refresh_token_is_good_once(place: &dyn Place) {
    let store = two_users(place).await;
    store.begin_session(session("s", "bob", 1), entry("sign-in")).await.unwrap();
    let rotate = |old: u8, new: u8, now| store.rotate([old; 32], [new; 32], now, now + 60_000, entry("reuse"));
    let Rotated::Done { session, user } = rotate(1, 2, NOW + 30_000).await.unwrap() else { panic!() };
    assert_eq!((&*session, &*user.id), ("s", "bob"));
    assert!(matches!(rotate(2, 3, LATER).await.unwrap(), Rotated::Done { .. }), "the session was made longer");
    assert_eq!(rotate(9, 4, NOW).await.unwrap(), Rotated::Unknown);
    assert_eq!(rotate(3, 4, LATER + 60_000).await.unwrap(), Rotated::Unknown, "it has expired");
}

async fn a_token_that_comes_twice_ends_its_session_and_no_other(place: &dyn Place) {
    let store = two_users(place).await;
    store.begin_session(session("s", "bob", 1), entry("sign-in")).await.unwrap();
    store.begin_session(session("other", "bob", 50), entry("sign-in")).await.unwrap();
    let rotate = |old: u8, new: u8| store.rotate([old; 32], [new; 32], NOW, LATER, entry("reuse"));
    rotate(1, 2).await.unwrap();
    rotate(2, 3).await.unwrap();
    assert_eq!(rotate(1, 4).await.unwrap(), Rotated::Reused { session: "s".to_owned() });
    assert_eq!(rotate(3, 5).await.unwrap(), Rotated::Unknown, "the newest is good no more");
    assert_eq!(store.session_user("s", NOW).await.unwrap(), None);
    assert!(store.session_user("other", NOW).await.unwrap().is_some());
    let log = store.audit(AuditFilter { limit: 1, ..AuditFilter::default() }).await.unwrap();
    assert_eq!((&*log[0].action, &*log[0].who), ("reuse", "bob@example.org"));
}

async fn two_processes_rotate_one_token_once(place: &dyn Place) {
    let (one, two) = (two_users(place).await, place.open().await);
    one.begin_session(session("s", "bob", 1), entry("sign-in")).await.unwrap();
    let (first, second) = tokio::join!(
        one.rotate([1; 32], [2; 32], NOW, LATER, entry("reuse")),
        two.rotate([1; 32], [3; 32], NOW, LATER, entry("reuse")),
    );
    let outcomes = [first.unwrap(), second.unwrap()];
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Rotated::Done { .. })).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Rotated::Reused { .. })).count(), 1);
    assert_eq!(two.session_user("s", NOW).await.unwrap(), None);
}

fn counted(account: &str, address: &str) -> [Counted; 2] {
    [Counted { subject: account.to_owned(), free: 2 }, Counted { subject: address.to_owned(), free: 4 }]
}

async fn pauses_are_counted_for_account_and_address_and_outlive_the_process(place: &dyn Place) {
    let (one, two) = (place.open().await, place.open().await);
    for store in [&one, &two, &one] {
        assert_eq!(store.try_sign_in(counted("ada", "home"), NOW).await.unwrap(), None);
    }
    assert_eq!(two.try_sign_in(counted("ada", "home"), NOW).await.unwrap(), Some(NOW + 1_000));
    assert_eq!(two.try_sign_in(counted("ada", "elsewhere"), NOW).await.unwrap(), Some(NOW + 1_000));
    assert_eq!(one.try_sign_in(counted("ada", "home"), NOW + 1_000).await.unwrap(), None);
    assert_eq!(one.try_sign_in(counted("ada", "home"), NOW + 1_000).await.unwrap(), Some(NOW + 3_000));
    // What was refused was not counted: the address has four failures, and one is free.
    assert_eq!(one.try_sign_in(counted("bob", "home"), NOW + 1_000).await.unwrap(), None);
    assert_eq!(one.try_sign_in(counted("eve", "home"), NOW + 1_000).await.unwrap(), Some(NOW + 2_000));
    // Who signs in clears the account, and not what else came from the address.
    one.sign_in_succeeded(counted("bob", "home")).await.unwrap();
    assert_eq!(one.try_sign_in(counted("eve", "home"), NOW + 1_000).await.unwrap(), None);
    assert_eq!(one.try_sign_in(counted("eve", "home"), NOW + 1_000).await.unwrap(), Some(NOW + 2_000));
    one.sign_in_succeeded(counted("ada", "work")).await.unwrap();
    assert_eq!(two.try_sign_in(counted("ada", "work"), NOW + 1_000).await.unwrap(), None);
}

async fn a_pause_is_forgotten_after_a_day(place: &dyn Place) {
    let store = place.open().await;
    for _ in 0..3 {
        assert_eq!(store.try_sign_in(counted("ada", "home"), NOW).await.unwrap(), None);
    }
    let tomorrow = NOW + super::FORGOTTEN;
    for _ in 0..3 {
        assert_eq!(store.try_sign_in(counted("ada", "home"), tomorrow).await.unwrap(), None);
    }
    assert!(store.try_sign_in(counted("ada", "home"), tomorrow).await.unwrap().is_some());
}

async fn keys_are_found_by_their_hash_and_revoked_once(place: &dyn Place) {
    let store = place.open().await;
    let row = |id: &str, scope, created_at| KeyRow {
        id: id.to_owned(),
        prefix: "la_abc".to_owned(),
        name: "website".to_owned(),
        scope,
        rate: Some(60),
        limits: KeyLimits { runs: Some(3), tokens: Some(1 << 40), cost: None },
        created_by: "ada@example.org".to_owned(),
        created_at,
        expires_at: Some(LATER),
        revoked_at: None,
        used_at: None,
        read_only: id == "k1",
    };
    let one = row("k1", KeyScope::Workflow("support/answer".to_owned()), NOW);
    let two = row("k2", KeyScope::KnowledgeBase("handbook".to_owned()), NOW + 1);
    store.add_key(one.clone(), [1; 32], entry("add")).await.unwrap();
    store.add_key(two.clone(), [2; 32], entry("add")).await.unwrap();
    assert_eq!(store.key([1; 32]).await.unwrap(), Some(one.clone()));
    assert_eq!(store.key([3; 32]).await.unwrap(), None);
    assert_eq!(store.keys().await.unwrap(), [two, one.clone()]);

    store.key_used("k1", NOW + 5).await.unwrap();
    store.key_used("k1", NOW + 4).await.unwrap();
    assert_eq!(store.key([1; 32]).await.unwrap(), Some(KeyRow { used_at: Some(NOW + 5), ..one }));

    assert!(store.revoke_key("k1", entry("revoke")).await.unwrap());
    assert!(!store.revoke_key("k1", entry("revoke")).await.unwrap());
    assert!(!store.revoke_key("k9", entry("revoke")).await.unwrap());
    assert_eq!(store.key([1; 32]).await.unwrap().unwrap().revoked_at, Some(NOW));
    assert_eq!(store.keys().await.unwrap().len(), 1);
}

async fn what_was_done_is_in_the_log_and_what_was_refused_is_not(place: &dyn Place) {
    let store = two_users(place).await;
    store.delete_user("ada", entry("delete")).await.unwrap();
    store.record(Entry { outcome: Outcome::Refused, ..entry("sign-in") }).await.unwrap();
    let all = store.audit(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    let actions: Vec<&str> = all.iter().map(|row| &*row.action).collect();
    assert_eq!(actions, ["sign-in", "password", "add", "first"]);
    assert_eq!((&*all[0].who, &*all[0].outcome, &*all[0].target), ("developer", "refused", "t"));
    assert_eq!((&*all[0].address, all[0].at), ("127.0.0.1", NOW));

    let of = async |filter| store.audit(filter).await.unwrap().len();
    let ten = || AuditFilter { limit: 10, ..AuditFilter::default() };
    assert_eq!(of(AuditFilter { before: Some(all[1].id), ..ten() }).await, 2);
    assert_eq!(of(AuditFilter { limit: 3, ..ten() }).await, 3);
    assert_eq!(of(AuditFilter { action: Some("add".to_owned()), ..ten() }).await, 1);
    assert_eq!(of(AuditFilter { who: Some("nobody".to_owned()), ..ten() }).await, 0);
    assert_eq!(of(AuditFilter { target: Some("t".to_owned()), ..ten() }).await, 4);

    store.forget_audit(NOW).await.unwrap();
    assert_eq!(of(ten()).await, 4);
    store.forget_audit(NOW + 1).await.unwrap();
    assert_eq!(of(ten()).await, 0);
}

async fn what_has_expired_is_swept(place: &dyn Place) {
    let store = two_users(place).await;
    store.begin_session(session("s", "bob", 1), entry("sign-in")).await.unwrap();
    store.add_password_link("bob", link(2), entry("link")).await.unwrap();
    store.sweep(LATER - 1).await.unwrap();
    assert!(store.session_user("s", NOW).await.unwrap().is_some());
    assert!(store.link([2; 32], NOW).await.unwrap().is_some());
    store.sweep(LATER).await.unwrap();
    // Also as of a time when they were good, there is nothing left of them.
    assert_eq!(store.session_user("s", NOW).await.unwrap(), None);
    assert_eq!(store.link([2; 32], NOW).await.unwrap(), None);
    assert_eq!(store.end_session([1; 32], entry("sign-out")).await.unwrap(), None);
}

async fn two_processes_never_leave_no_owner(place: &dyn Place) {
    let (one, two) = (two_users(place).await, place.open().await);
    let promote = UserChange { role: Some(Role::Owner), disabled: None };
    let demote = UserChange { role: Some(Role::Viewer), disabled: None };
    for _ in 0..5 {
        for user in ["ada", "bob"] {
            assert!(matches!(one.change_user(user, promote, entry("change")).await.unwrap(), Changed::Done(_)));
        }
        let (first, second) = tokio::join!(
            one.change_user("ada", demote, entry("change")),
            two.change_user("bob", demote, entry("change")),
        );
        let outcomes = [first.unwrap(), second.unwrap()];
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Changed::LastOwner).count(), 1, "{outcomes:?}");
    }
}

async fn tries_at_once_count_as_many_as_tries_in_a_row(place: &dyn Place) {
    let stores = [place.open().await, place.open().await];
    // Two are free; the third is what a pause follows.
    let tries = (0..8).map(|nth| {
        let counted = if nth % 2 == 0 { counted("ada", "home") } else { counted("ada", "away") };
        stores[nth % 2].try_sign_in(counted, NOW)
    });
    let outcomes = futures::future::join_all(tries).await;
    let counted = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_none()).count();
    assert_eq!(counted, 3);
}
