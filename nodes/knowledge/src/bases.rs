//! Knowledge bases: catalog and vector store together.

use std::{future::Future, path::Path, sync::Arc};

use liteagent_backends::postgres::Pool;
use liteagent_engine::{
    capability::{
        knowledge::{Base, Document, NewBase},
        model::{EmbedRequest, Models},
    },
    codes,
    error::{ErrorClass, NodeError},
    store::StoreError,
    time::{Clock, SystemClock},
    units::Size,
    value::Object,
};

pub use self::{chunks::ChunkEdit, rebuild::RebuildProgress};
pub use crate::catalog::DocumentQuery;
use crate::{
    catalog::{BaseRow, Catalog, Setting},
    embedded::Embedded,
    error::{Error, failed},
    postgres::PostgresCatalog,
    qdrant::{Qdrant, QdrantOptions},
    store::{Settings, VectorStore},
};

mod checks;
mod chunks;
mod documents;
mod rebuild;
mod searching;

/// How knowledge bases behave, and where their collections are.
#[derive(Clone)]
pub struct Options {
    /// How much memory the embedded collections that are searched may take together, roughly; the one that is searched is held
    /// whatever it takes. Default: 1 GiB.
    pub memory: Size,
    /// What says when something changed. Default: the clock of the machine.
    pub clock: Arc<dyn Clock>,
    /// Where collections are kept in Qdrant. Default: none, they are embedded.
    pub qdrant: Option<QdrantOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory: Size(1 << 30), clock: Arc::new(SystemClock), qdrant: None }
    }
}

/// Knowledge bases. Cheap to clone.
///
/// Nodes use them as [`Knowledge`](liteagent_engine::capability::knowledge::Knowledge); the other methods are for those who
/// manage them. Every method that names a base fails with LA2601 where there is none.
#[derive(Clone)]
pub struct KnowledgeBases {
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn VectorStore>,
    clock: Arc<dyn Clock>,
}

impl KnowledgeBases {
    /// Opens the knowledge bases in a data folder; what is not there is made. Several processes may use the same folder.
    /// Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the folder cannot be written, [`StoreError::Newer`] when a newer release wrote the
    /// file, [`StoreError::Damaged`] when it is no database.
    pub async fn open(folder: &Path, options: Options) -> Result<Self, StoreError> {
        let embedded = Arc::new(Embedded::open(folder, options.memory.0).await?);
        Self::over(embedded, options).await?.begun().await
    }

    /// Opens the knowledge bases of an installation that many processes share: the catalog is in PostgreSQL, collections are
    /// in Qdrant.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Older`] when this release cannot use the schema; [`StoreError::Failed`] when the
    /// database cannot be reached.
    pub async fn open_shared(pool: Pool, qdrant: &QdrantOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let catalog = PostgresCatalog::over(pool).await?;
        let store = in_qdrant(qdrant, &catalog.installation().await?)?;
        Self::new(Arc::new(catalog), store, clock).begun().await
    }

    /// Drops what a process left that died.
    async fn begun(self) -> Result<Self, StoreError> {
        match self.drop_leftovers().await {
            Ok(()) => Ok(self),
            Err(Error::Store(error)) => Err(error),
            // What a server does not drop now it drops later.
            Err(error) => {
                tracing::warn!(error = failed(error).message, "collections that nobody needs stay for now");
                Ok(self)
            }
        }
    }

    /// The catalog of a data folder, and the store of the options.
    async fn over(embedded: Arc<Embedded>, options: Options) -> Result<Self, StoreError> {
        let store: Arc<dyn VectorStore> = match &options.qdrant {
            None => embedded.clone(),
            Some(qdrant) => in_qdrant(qdrant, &embedded.installation().await?)?,
        };
        Ok(Self::new(embedded, store, options.clock))
    }

    /// Opens the knowledge bases in a data folder that this user, or this disk, only lets be read: they can be searched,
    /// and every write is refused with LA5003.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub async fn open_read_only(folder: &Path, options: Options) -> Result<Self, StoreError> {
        Self::over(Arc::new(Embedded::open_read_only(folder, options.memory.0).await?), options).await
    }

    /// Joins a catalog and a vector store.
    pub fn new(catalog: Arc<dyn Catalog>, store: Arc<dyn VectorStore>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, store, clock }
    }

    /// Every knowledge base, by name.
    ///
    /// # Errors
    /// When the catalog fails.
    pub async fn list(&self) -> Result<Vec<Base>, NodeError> {
        Ok(self.catalog.bases().await.map_err(failed)?.into_iter().map(|row| row.base).collect())
    }

    /// Makes a knowledge base.
    ///
    /// # Errors
    /// LA2602 when there is one of the name; LA2606 when the name, the language or the length of vectors has the wrong
    /// form.
    pub async fn create(&self, base: NewBase) -> Result<Base, NodeError> {
        let name = base.name.clone();
        self.make(&base).await?.ok_or_else(|| {
            NodeError::new(
                codes::KNOWLEDGE_EXISTS,
                ErrorClass::Conflict,
                format!("expected a name that no knowledge base has, found `{name}`"),
            )
            .hint("choose another name, or delete that one first")
        })
    }

    /// Makes a knowledge base for the vectors of a model, which may be an alias: the model alone knows what it is called and
    /// how long its vectors are.
    ///
    /// # Errors
    /// As [`Self::create`]; what the model says.
    pub async fn create_for(
        &self,
        models: &dyn Models,
        name: String,
        model: &str,
        language: String,
    ) -> Result<Base, NodeError> {
        let probe = EmbedRequest { model: model.to_owned(), texts: vec![name.clone()], ..EmbedRequest::default() };
        let probe = models.embed(probe).await?;
        let dimensions = probe.vectors.first().map_or(0, |vector| vector.len() as u32);
        self.create(NewBase { name, model: probe.model, dimensions, language }).await
    }

    /// Makes a base; `None` when there is one of the name.
    async fn make(&self, base: &NewBase) -> Result<Option<Base>, NodeError> {
        checks::new_base(base)?;
        let Some(row) = self.catalog.create(base, self.clock.now()).await.map_err(failed)? else { return Ok(None) };
        self.store.create(&row.collection, row.base.dimensions).await.map_err(failed)?;
        Ok(Some(row.base))
    }

    /// Deletes a knowledge base with its documents.
    ///
    /// # Errors
    /// LA2601.
    pub async fn remove(&self, name: &str) -> Result<(), NodeError> {
        let row = self.row(name).await?;
        self.catalog.remove(row.id).await.map_err(failed)?;
        self.drop_leftovers().await.map_err(failed)
    }

    /// A page of the documents of a base, in the order of the bytes of their ids.
    ///
    /// # Errors
    /// LA2601.
    pub async fn list_documents(&self, base: &str, query: &DocumentQuery) -> Result<Vec<Document>, NodeError> {
        let row = self.row(base).await?;
        let rows = self.catalog.list(row.id, query).await.map_err(failed)?;
        Ok(rows.into_iter().map(|row| row.document).collect())
    }

    /// Says whether searches find a document.
    ///
    /// # Errors
    /// LA2601; LA2606 when there is no such document.
    pub async fn set_enabled(&self, base: &str, document: &str, enabled: bool) -> Result<Document, NodeError> {
        self.set(base, document, Setting::Enabled(enabled)).await
    }

    /// Replaces what filters see of a document. The next write of the document replaces it again.
    ///
    /// # Errors
    /// LA2601; LA2606 when there is no such document, or a value is none that filters see.
    pub async fn set_metadata(&self, base: &str, document: &str, metadata: Object) -> Result<Document, NodeError> {
        checks::metadata(&metadata)?;
        self.set(base, document, Setting::Metadata(metadata)).await
    }

    async fn set(&self, base: &str, document: &str, setting: Setting) -> Result<Document, NodeError> {
        let base = self.row(base).await?;
        let set = self.catalog.set(base.id, document, &setting, self.clock.now()).await.map_err(failed)?;
        let set = set.ok_or_else(|| checks::no_document(&base.base.name, document))?;
        let settings =
            Settings { revision: set.settings, enabled: set.document.enabled, metadata: set.document.metadata.clone() };
        self.in_store(&base, |collection| self.store.describe(collection, document, &settings)).await?;
        Ok(set.document)
    }

    /// The base of a name.
    async fn row(&self, name: &str) -> Result<BaseRow, NodeError> {
        if let Some(row) = self.catalog.base(name).await.map_err(failed)? {
            return Ok(row);
        }
        let known = self.catalog.bases().await.map_err(failed)?;
        Err(checks::unknown(name, known.iter().map(|row| row.base.name.as_str())))
    }

    /// Does something in the collection of a base, and makes that first when the process that made the base died before
    /// it could.
    async fn in_store<'a, T, F>(&self, base: &'a BaseRow, act: impl Fn(&'a str) -> F) -> Result<T, NodeError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        match act(&base.collection).await {
            Err(Error::NoCollection) => {
                // A base that was deleted or rebuilt meanwhile has no use for it.
                let now = self.catalog.base(&base.base.name).await.map_err(failed)?;
                if now.is_none_or(|now| now.collection != base.collection) {
                    return Err(checks::moved(&base.base.name));
                }
                self.store.create(&base.collection, base.base.dimensions).await.map_err(failed)?;
                act(&base.collection).await.map_err(failed)
            }
            done => done.map_err(failed),
        }
    }

    /// Drops collections that no base has any more.
    async fn drop_leftovers(&self) -> Result<(), Error> {
        for collection in self.catalog.leftovers().await? {
            self.store.drop_collection(&collection).await?;
            self.catalog.forget_leftover(&collection).await?;
        }
        Ok(())
    }
}

/// The collections of an installation.
fn in_qdrant(options: &QdrantOptions, installation: &str) -> Result<Arc<dyn VectorStore>, StoreError> {
    let store = Qdrant::new(options, &format!("liteagent_{installation}_"));
    Ok(Arc::new(store.map_err(|error| StoreError::Failed(failed(error).message))?))
}
