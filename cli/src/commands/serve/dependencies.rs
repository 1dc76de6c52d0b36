//! What a server uses besides its database, for those who ask how it stands.

use std::sync::Arc;

use async_trait::async_trait;
use liteagent_backends::ObjectBlobs;
use liteagent_knowledge::QdrantOptions;
use liteagent_sandbox_protocol::Runner;
use liteagent_server::Dependency;

use crate::{config::objects, failure::Failure, knowledge, project::Project, queue::Between, sandbox};

/// Qdrant, another sandbox, an object store and the queue between processes, where they are used.
pub(super) fn of(project: &Project, between: Option<&Between>) -> Result<Vec<Arc<dyn Dependency>>, Failure> {
    let mut all: Vec<Arc<dyn Dependency>> = Vec::new();
    if let Some(options) = knowledge::qdrant()? {
        all.push(Arc::new(Qdrant(options)));
    }
    if sandbox::is_elsewhere(project)? {
        all.push(Arc::new(Sandbox(sandbox::runner(project)?)));
    }
    if let Some(objects) = objects::open(project)? {
        all.push(Arc::new(Objects(objects)));
    }
    all.extend(between.map(|between| Arc::new(between.clone()) as Arc<dyn Dependency>));
    Ok(all)
}

struct Objects(ObjectBlobs);

#[async_trait]
impl Dependency for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.check().await.map_err(|error| error.to_string())
    }
}

struct Qdrant(QdrantOptions);

#[async_trait]
impl Dependency for Qdrant {
    fn name(&self) -> &'static str {
        "qdrant"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.version().await.map(drop).map_err(|error| error.message)
    }
}

struct Sandbox(Arc<dyn Runner>);

#[async_trait]
impl Dependency for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.ready().await.map_err(|fault| fault.message)
    }
}
