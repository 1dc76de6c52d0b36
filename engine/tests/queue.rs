//! The queue in memory.

use std::{sync::Arc, time::Duration};

use liteagent_engine::{
    queue::{MemoryQueue, QueueRules},
    testing::{VirtualClock, conformance::queue::Tried},
};

fn tried() -> Arc<Tried> {
    let clock = Arc::new(VirtualClock::default());
    let rules = QueueRules { lease: Duration::from_secs(30), attempts: 3 };
    let queue = Arc::new(MemoryQueue::with(rules, clock.clone()));
    let wiped = queue.clone();
    Arc::new(Tried {
        queue,
        rules,
        clock: Some(clock),
        wipe: Box::new(move || {
            wiped.clear();
            Box::pin(std::future::ready(()))
        }),
    })
}

liteagent_engine::queue_conformance!(tried());
