//! The store in memory does what every store must do.

use std::sync::Arc;

use liteagent_engine::{
    blobs_conformance, cache_conformance, files_conformance, journal_conformance, kv_conformance, store::MemoryStore,
    testing::conformance::model::a_journal_follows_the_model,
};
use proptest::prelude::*;

fn store() -> Arc<MemoryStore> {
    Arc::default()
}

mod journal {
    super::journal_conformance!(super::store());
}
mod blobs {
    super::blobs_conformance!(super::store());
}
mod files {
    super::files_conformance!(super::store());
}
mod kv {
    super::kv_conformance!(super::store());
}
mod cache {
    super::cache_conformance!(super::store());
}

proptest! {
    #[test]
    fn any_interleaving_follows_the_model(script in prop::collection::vec(any::<[u8; 3]>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(a_journal_follows_the_model(&*store(), &script));
    }
}
