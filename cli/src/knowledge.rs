//! Knowledge bases of a project, opened when they are first used.

use std::path::PathBuf;

use async_trait::async_trait;
use liteagent_engine::{
    capability::knowledge::{Base, Document, Hit, Knowledge, Mark, NewBase, Search, WriteDocument},
    error::{ErrorClass, NodeError},
    store::StoreError,
};
use liteagent_knowledge::{KnowledgeBases, Options};
use tokio::sync::OnceCell;

use crate::{failure::Failure, project::Project};

/// Knowledge bases for nodes: a run that uses none opens none.
pub(crate) struct Lazily {
    folder: PathBuf,
    opened: OnceCell<KnowledgeBases>,
}

impl Lazily {
    pub(crate) fn of(project: &Project) -> Self {
        Self { folder: project.data(), opened: OnceCell::new() }
    }

    async fn get(&self) -> Result<&KnowledgeBases, NodeError> {
        let open = || KnowledgeBases::open(&self.folder, Options::default());
        self.opened.get_or_try_init(open).await.map_err(unopened)
    }
}

fn unopened(error: StoreError) -> NodeError {
    let class = if matches!(error, StoreError::ReadOnly(_)) { ErrorClass::Forbidden } else { ErrorClass::Unavailable };
    NodeError::new(error.code(), class, error.to_string()).hint(error.hint())
}

/// Opens the knowledge bases of a project to manage them.
pub(crate) async fn open(project: &Project) -> Result<KnowledgeBases, Failure> {
    let data = project.data();
    std::fs::create_dir_all(&data).map_err(|error| Failure::from(StoreError::ReadOnly(error.to_string())))?;
    Ok(KnowledgeBases::open(&data, Options::default()).await?)
}

/// A failure of knowledge bases, as a command tells it.
pub(crate) fn told(error: NodeError) -> Failure {
    let failure = match error.class {
        ErrorClass::Invalid | ErrorClass::NotFound | ErrorClass::Conflict => Failure::usage(error.code, error.message),
        _ => Failure::platform(error.code, error.message),
    };
    Failure { hint: error.hint, ..failure }
}

#[async_trait]
impl Knowledge for Lazily {
    async fn base(&self, name: &str) -> Result<Base, NodeError> {
        self.get().await?.base(name).await
    }

    async fn ensure(&self, base: NewBase) -> Result<Base, NodeError> {
        self.get().await?.ensure(base).await
    }

    async fn documents(&self, base: &str, ids: &[String]) -> Result<Vec<Option<Document>>, NodeError> {
        self.get().await?.documents(base, ids).await
    }

    async fn ids(&self, base: &str, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>, NodeError> {
        self.get().await?.ids(base, prefix, after, most).await
    }

    async fn mark(&self, base: &str, marks: &[Mark]) -> Result<(), NodeError> {
        self.get().await?.mark(base, marks).await
    }

    async fn write(&self, base: &str, document: WriteDocument) -> Result<(), NodeError> {
        self.get().await?.write(base, document).await
    }

    async fn delete(&self, base: &str, ids: &[String]) -> Result<u64, NodeError> {
        self.get().await?.delete(base, ids).await
    }

    async fn search(&self, base: &str, search: &Search) -> Result<Vec<Hit>, NodeError> {
        self.get().await?.search(base, search).await
    }
}
