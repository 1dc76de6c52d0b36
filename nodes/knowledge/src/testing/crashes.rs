//! A process that dies at any step leaves nothing that is wrong for ever, and nothing that looks done and is not.

use std::sync::Arc;

use futures::FutureExt as _;
use liteagent_engine::{
    capability::knowledge::{Knowledge, WriteDocument},
    error::NodeError,
    testing::VirtualClock,
};

use super::{
    Place, TestModels, document,
    faulty::Faulty,
    together::{new_base, texts},
};
use crate::KnowledgeBases;

/// More than any of these takes.
const STEPS: u64 = 60;

/// Does something in a new base, cut off at each step in turn, and looks at what another process finds then. Each base is one
/// of its own. Ends when a step is not reached any more.
async fn at_each_step(
    place: &dyn Place,
    act: impl AsyncFn(&KnowledgeBases, &str) -> Result<(), NodeError>,
    look: impl AsyncFn(&KnowledgeBases, &str),
) {
    let bases = place.bases().await;
    for step in 1..STEPS {
        let mut is_cut = false;
        for is_done in [false, true] {
            let name = format!("b{step}-{is_done}");
            bases.create(new_base(&name)).await.unwrap();
            bases.write(&name, document("d", &["old", "old too"])).await.unwrap();
            bases.write(&name, document("e", &["other"])).await.unwrap();
            let (catalog, store) = place.open().await;
            let faulty = Faulty::at(catalog, store, step, is_done);
            let cut = KnowledgeBases::new(faulty.clone(), faulty.clone(), Arc::new(VirtualClock::at(2_000)));
            let outcome = act(&cut, &name).await;
            assert_eq!(outcome.is_err(), faulty.is_cut(), "step {step}");
            is_cut |= faulty.is_cut();
            look(&place.bases().await, &name).await;
        }
        if !is_cut {
            assert!(step > 2, "nothing was written");
            return;
        }
    }
    panic!("it takes more than {STEPS} steps");
}

/// Whoever has a hash has the chunks of it, and no other.
async fn is_true(bases: &KnowledgeBases, name: &str) {
    for id in ["d", "e"] {
        let Some(known) = bases.documents(name, &[id.to_owned()]).await.unwrap().remove(0) else { continue };
        let stored = bases.chunks(name, id, None, 99).await.unwrap();
        let stored: String = stored.iter().map(|stored| stored.chunk.text.as_str()).collect();
        assert!(known.hash.is_empty() || known.hash == stored, "the hash `{}` beside `{stored}`", known.hash);
    }
}

fn new() -> WriteDocument {
    document("d", &["new"])
}

pub async fn a_write_that_is_cut_off_is_mended_by_doing_it_again(place: &dyn Place) {
    let act = async |bases: &KnowledgeBases, name: &str| bases.write(name, new()).await;
    at_each_step(place, act, async |bases, name| {
        is_true(bases, name).await;
        let found = texts(bases, name).await;
        assert!(found == ["d: old", "d: old too", "e: other"] || found == ["d: new", "e: other"], "{found:?}");
        bases.write(name, new()).await.unwrap();
        assert_eq!(texts(bases, name).await, ["d: new", "e: other"]);
        assert_eq!(bases.documents(name, &["d".to_owned()]).await.unwrap()[0].as_ref().unwrap().hash, "new");
    })
    .await;
}

pub async fn a_deletion_that_is_cut_off_is_mended_by_doing_it_again(place: &dyn Place) {
    let gone = ["d".to_owned()];
    let act = async |bases: &KnowledgeBases, name: &str| bases.delete(name, &gone).await.map(drop);
    at_each_step(place, act, async |bases, name| {
        is_true(bases, name).await;
        bases.delete(name, &gone).await.unwrap();
        assert_eq!(texts(bases, name).await, ["e: other"]);
        assert_eq!(bases.documents(name, &gone).await.unwrap(), [None]);
        bases.write(name, new()).await.unwrap();
        assert_eq!(texts(bases, name).await, ["d: new", "e: other"]);
    })
    .await;
}

pub async fn a_rebuild_that_is_cut_off_goes_on(place: &dyn Place) {
    let models = || Arc::new(TestModels(|_: String| async {}.boxed()));
    let act =
        async |bases: &KnowledgeBases, name: &str| bases.rebuild(name, "test/large", models(), |_| {}).await.map(drop);
    at_each_step(place, act, async |bases, name| {
        is_true(bases, name).await;
        let all = ["d: old", "d: old too", "e: other"];
        assert_eq!(texts(bases, name).await, all, "what is searched is whole before and after");
        bases.rebuild(name, "test/large", models(), |_| {}).await.unwrap();
        assert_eq!(bases.base(name).await.unwrap().model, "test/large");
        assert_eq!(texts(bases, name).await, all);
        let (catalog, _) = place.open().await;
        assert!(catalog.leftovers().await.unwrap().is_empty());
    })
    .await;
}
