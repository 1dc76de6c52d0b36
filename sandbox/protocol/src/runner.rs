//! What every way of running calls has in common.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Fault, Reply, Request};

/// A way to run calls: in this process, in child processes, or by a service.
///
/// # Contract
/// The suite `testing::conformance` checks each sentence.
/// - A call sees nothing of another one, whatever the other did.
/// - A call ends at the latest when its limits say so, and the next one is served.
/// - What cannot be served fails with a [`Fault`] that says why; a runner that is not there is of the class `unavailable`.
/// - A call whose future is dropped ends at once and gives its place back.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Runs code.
    ///
    /// # Errors
    /// What went wrong, with what the code printed until then and what it used.
    async fn run(&self, request: Request) -> Reply;

    /// Makes everything ready that the first call would otherwise wait for, and tells whether calls are served.
    ///
    /// # Errors
    /// Why they are not.
    async fn ready(&self) -> Result<(), Fault>;

    /// How much there is to do now.
    async fn load(&self) -> Load;

    /// How calls are run, in a few words that complete "code runs": `in this process`.
    fn describe(&self) -> String;
}

/// How much a runner has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Calls that run.
    pub running: usize,
    /// Calls that wait for a place, as far as the runner knows.
    pub waiting: usize,
}

/// A package that Python code can import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name of its distribution.
    pub name: String,
    /// Its version.
    pub version: String,
}

#[async_trait]
impl<R: Runner + ?Sized> Runner for Arc<R> {
    async fn run(&self, request: Request) -> Reply {
        (**self).run(request).await
    }

    async fn ready(&self) -> Result<(), Fault> {
        (**self).ready().await
    }

    async fn load(&self) -> Load {
        (**self).load().await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}
