//! The queue and the wake-ups on real Redis servers, which the tests start and stop.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use liteagent_engine::{queue::QueueRules, testing::conformance::queue::Tried};
use liteagent_queue::{RedisAddress, RedisOptions, RedisQueue};

mod redis {
    mod loss;
    mod many;
    mod single;
}

/// Short leases, because they are waited for.
const RULES: QueueRules = QueueRules { lease: Duration::from_millis(300), attempts: 3 };

/// Options with keys of their own.
fn options(address: RedisAddress) -> RedisOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    RedisOptions { prefix, rules: RULES, deadline: Duration::from_mins(1), ..RedisOptions::new(address) }
}

/// A fresh queue; `wipe` deletes everything from its servers.
async fn tried(address: RedisAddress, wipe: impl Fn() + Send + Sync + 'static) -> Arc<Tried> {
    let queue = RedisQueue::connect(options(address)).await.unwrap();
    Arc::new(Tried {
        queue: Arc::new(queue),
        rules: RULES,
        clock: None,
        wipe: Box::new(move || {
            wipe();
            Box::pin(std::future::ready(()))
        }),
    })
}
