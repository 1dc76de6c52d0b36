//! A sandbox as one of the ways to run code.

use async_trait::async_trait;
use liteagent_sandbox_protocol::{Fault, Language, Load, Reply, Request, Runner};

use crate::Sandbox;

#[async_trait]
impl Runner for Sandbox {
    async fn run(&self, request: Request) -> Reply {
        Self::run(self, request).await
    }

    async fn ready(&self) -> Result<(), Fault> {
        for language in Language::ALL {
            self.prepare(language).await?;
        }
        Ok(())
    }

    async fn load(&self) -> Load {
        Load { running: self.running(), waiting: self.waiting() }
    }

    fn describe(&self) -> String {
        "in this process".to_owned()
    }
}
