//! Code of workflows in tests: it runs for real, since it cannot reach anything outside.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use liteagent_engine::capability::{Code, CodeCall, CodeFailure, CodeReply};
use liteagent_sandbox::protocol::Language;

use super::read::Suite;
use crate::sandbox;

/// Knows whether code is running: that takes time of the machine, not of the test.
pub(super) struct Computing {
    code: Arc<dyn Code>,
    running: AtomicUsize,
}

/// A call that goes on; one that is given up goes on no more.
struct Call<'a>(&'a AtomicUsize);

impl Computing {
    pub(super) fn new(code: Arc<dyn Code>) -> Self {
        Self { code, running: AtomicUsize::new(0) }
    }

    /// Whether code is running.
    pub(super) fn goes_on(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }
}

#[async_trait]
impl Code for Computing {
    async fn run(&self, call: CodeCall) -> Result<CodeReply, Box<CodeFailure>> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Call(&self.running);
        self.code.run(call).await
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The languages of the code that tests may run.
pub(crate) fn languages<'s>(suites: impl IntoIterator<Item = &'s Suite>) -> HashSet<Language> {
    suites.into_iter().flat_map(|suite| sandbox::languages(&suite.bundle)).collect()
}
