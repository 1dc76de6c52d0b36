//! The store in memory does what every store must do.

use std::sync::Arc;

use liteagent_engine::{
    blobs_conformance, cache_conformance, files_conformance, journal_conformance, kv_conformance, store::MemoryStore,
};

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
