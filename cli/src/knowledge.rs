//! Knowledge bases of a project, opened when they are first used, and where their collections are.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use liteagent_backends::postgres::Pool;
use liteagent_engine::{
    capability::knowledge::{Base, Document, Hit, Knowledge, Mark, NewBase, Search, WriteDocument},
    codes,
    error::{ErrorClass, NodeError},
    store::StoreError,
    time::SystemClock,
};
use liteagent_knowledge::{KnowledgeBases, Options, QdrantOptions};
use liteagent_server::OpenBases;
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    config::{database::Database, setting},
    failure::Failure,
    project::Project,
};

/// Knowledge bases for nodes: a run that uses none opens none.
pub(crate) struct Lazily {
    folder: PathBuf,
    database: Option<Pool>,
    opened: OnceCell<KnowledgeBases>,
}

impl Lazily {
    /// Those of a project; the catalog is in the database that machines share, where there is one.
    pub(crate) fn of(project: &Project, database: Option<Pool>) -> Self {
        Self { folder: project.data(), database, opened: OnceCell::new() }
    }

    async fn get(&self) -> Result<&KnowledgeBases, NodeError> {
        let open = || async {
            let place = Place::of(&self.folder, self.database.clone()).map_err(|failure| {
                let error = NodeError::new(failure.code.unwrap_or(codes::CONFIG), ErrorClass::Invalid, failure.message);
                NodeError { hint: failure.hint, ..error }
            })?;
            place.open().await.map_err(unopened)
        };
        self.opened.get_or_try_init(open).await
    }
}

/// Where knowledge bases are.
enum Place {
    Here(PathBuf, Options),
    Shared(Pool, QdrantOptions),
}

impl Place {
    fn of(folder: &Path, database: Option<Pool>) -> Result<Self, Failure> {
        Ok(match (database, qdrant()?) {
            (Some(pool), Some(qdrant)) => Self::Shared(pool, qdrant),
            (Some(_), None) => return Err(no_store()),
            (None, qdrant) => Self::Here(folder.to_owned(), Options { qdrant, ..Options::default() }),
        })
    }

    async fn open(self) -> Result<KnowledgeBases, StoreError> {
        match self {
            Self::Here(folder, options) => KnowledgeBases::open(&folder, options).await,
            Self::Shared(pool, qdrant) => KnowledgeBases::open_shared(pool, &qdrant, Arc::new(SystemClock)).await,
        }
    }
}

/// What is said where machines share the catalog, and no vector store.
pub(crate) fn no_store() -> Failure {
    let message = "with `DATABASE_URL`, expected a vector store that every machine reaches, found no `QDRANT_URL`";
    Failure::usage(codes::VECTOR_STORE_MISSING, message)
        .hint("start Qdrant, and set `QDRANT_URL` to its gRPC endpoint: `http://qdrant:6334`")
}

/// Where Qdrant is; `None` when collections are embedded.
pub(crate) fn qdrant() -> Result<Option<QdrantOptions>, Failure> {
    let Some(url) = setting("QDRANT_URL") else { return Ok(None) };
    let is_endpoint = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_endpoint {
        let message = format!("`QDRANT_URL`: expected a URL, found `{url}`");
        return Err(Failure::usage(codes::CONFIG, message)
            .hint("write the gRPC endpoint of Qdrant: `http://localhost:6334`; its key is `QDRANT_API_KEY`"));
    }
    Ok(Some(QdrantOptions { url, api_key: setting("QDRANT_API_KEY") }))
}

fn unopened(error: StoreError) -> NodeError {
    let class = if matches!(error, StoreError::ReadOnly(_)) { ErrorClass::Forbidden } else { ErrorClass::Unavailable };
    NodeError::new(error.code(), class, error.to_string()).hint(error.hint())
}

/// Opens the knowledge bases of a project to manage them.
pub(crate) async fn open(project: &Project) -> Result<KnowledgeBases, Failure> {
    let data = project.data();
    std::fs::create_dir_all(&data).map_err(|error| Failure::from(StoreError::ReadOnly(error.to_string())))?;
    Ok(Place::of(&data, Database::of_environment()?.pool()?)?.open().await?)
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
impl OpenBases for Lazily {
    async fn open(&self) -> Result<KnowledgeBases, NodeError> {
        self.get().await.cloned()
    }
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
