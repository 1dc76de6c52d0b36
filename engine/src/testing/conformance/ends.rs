//! The order in which runs ended, and their deletion by name.

use super::samples::{Owned, ended, new_run, open};
use crate::{
    event::RunStatus,
    id::RunId,
    store::{EndPlace, Journal, RunFilter},
    units::Millis,
};

async fn after(journal: &dyn Journal, place: EndPlace, limit: u32) -> Vec<(EndPlace, RunId)> {
    journal.ended(place, limit).await.unwrap().into_iter().map(|(place, row)| (place, row.id)).collect()
}

pub async fn runs_are_listed_in_the_order_of_their_ends(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(Owned::create_in(journal, session, 1).await);
    }
    let at_once = new_run("a", 20);
    runs[2].end(journal, 10).await;
    journal.create_ended(at_once.clone(), ended(RunStatus::Failed)).await.unwrap();
    runs[0].end(journal, 20).await;
    // The clock of another process is behind.
    runs[1].end(journal, 15).await;
    let all = after(journal, EndPlace::default(), 10).await;
    assert_eq!(
        all.iter().map(|(_, run)| *run).collect::<Vec<_>>(),
        [runs[2].run, at_once.id, runs[0].run, runs[1].run]
    );
    assert!(all.is_sorted_by(|(a, _), (b, _)| a < b));
    assert_eq!(after(journal, all[1].0, 10).await, all[2..]);
    assert_eq!(after(journal, EndPlace::default(), 2).await, all[..2]);
    assert_eq!(after(journal, EndPlace::before(20), 10).await, all[1..]);
    assert_eq!(after(journal, all[3].0, 10).await, []);
}

pub async fn an_end_comes_after_all_that_were_seen(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let mut seen = EndPlace::default();
    for at in 10..14 {
        let owned = Owned::create_in(journal, session, at).await;
        owned.end(journal, at).await;
        let new = after(journal, seen, 10).await;
        assert_eq!(new.iter().map(|(_, run)| *run).collect::<Vec<_>>(), [owned.run]);
        seen = new[0].0;
        // What was seen may be gone when the next one ends.
        journal.delete_ended(Millis::MAX, 10).await.unwrap();
        assert_eq!(after(journal, EndPlace::default(), 10).await, []);
    }
}

pub async fn only_runs_that_have_ended_are_deleted_by_name(journal: &dyn Journal) {
    let session = open(journal, 1).await;
    let (first, second) = (Owned::create_in(journal, session, 1).await, Owned::create_in(journal, session, 1).await);
    let goes_on = Owned::create_in(journal, session, 1).await;
    first.end(journal, 10).await;
    second.end(journal, 11).await;
    let named = [goes_on.run, second.run, RunId::random()];
    assert_eq!(journal.delete(&named).await.unwrap(), [second.run]);
    assert_eq!(journal.delete(&named).await.unwrap(), []);
    let left = journal.runs(RunFilter::default()).await.unwrap();
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [goes_on.run, first.run]);
    assert_eq!(journal.read(second.run, 0, 10).await.unwrap(), []);
    assert_eq!(after(journal, EndPlace::default(), 10).await.len(), 1);
}
