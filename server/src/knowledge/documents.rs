//! `/api/knowledge/{name}/documents`: what is known of documents, and their chunks.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use liteagent_engine::{
    capability::knowledge::{Document, DocumentStatus, Knowledge as _},
    codes,
    time::iso,
    value::{Object, Value},
};
use liteagent_knowledge::{DocumentQuery, StoredChunk};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    api::BasePath,
    indexing::{self, no_document},
};
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
    runs::{
        events::{self, StreamedEvent},
        follow::Talked,
    },
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Viewer), routes!(list))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::UserOrKey(Role::Editor), routes!(change))
        .add(Access::UserOrKey(Role::Editor), routes!(delete))
        .add(Access::UserOrKey(Role::Viewer), routes!(chunks))
        .add(Access::UserOrKey(Role::Viewer), routes!(follow))
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stands {
    /// It waits for its turn.
    Queued,
    /// Its text is read.
    Parsing,
    /// Its text is cut into chunks.
    Chunking,
    /// Its chunks become vectors.
    Embedding,
    /// It is found.
    Ready,
    /// It could not be indexed. What it was before is still found.
    Failed,
}

impl From<DocumentStatus> for Stands {
    fn from(status: DocumentStatus) -> Self {
        match status {
            DocumentStatus::Queued => Self::Queued,
            DocumentStatus::Parsing => Self::Parsing,
            DocumentStatus::Chunking => Self::Chunking,
            DocumentStatus::Embedding => Self::Embedding,
            DocumentStatus::Ready => Self::Ready,
            DocumentStatus::Failed => Self::Failed,
        }
    }
}

impl From<Stands> for DocumentStatus {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Queued => Self::Queued,
            Stands::Parsing => Self::Parsing,
            Stands::Chunking => Self::Chunking,
            Stands::Embedding => Self::Embedding,
            Stands::Ready => Self::Ready,
            Stands::Failed => Self::Failed,
        }
    }
}

/// A document.
#[derive(Serialize, ToSchema)]
#[schema(as = KnowledgeDocument)]
struct DocumentReply {
    /// Unique in its knowledge base: the name of a file, a path or a URL.
    #[schema(example = "leave.md")]
    id: String,
    /// What people call it.
    title: String,
    /// Where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Where it stands.
    status: Stands,
    /// Why it could not be indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether searches find it.
    enabled: bool,
    /// What filters see.
    #[schema(value_type = Object)]
    metadata: Value,
    /// How many chunks it has.
    chunks: u32,
    /// How many tokens of the embedding model they have.
    tokens: u64,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<Document> for DocumentReply {
    fn from(document: Document) -> Self {
        let Document { id, title, url, hash: _, status, error, enabled, metadata, chunks, tokens, updated_at } =
            document;
        Self {
            id,
            title,
            url,
            status: status.into(),
            error,
            enabled,
            metadata: Value::Object(Arc::new(metadata)),
            chunks,
            tokens,
            updated_at: iso(updated_at),
        }
    }
}

/// A page of documents.
#[derive(Serialize, ToSchema)]
struct DocumentPage {
    /// The documents, in the order of their ids.
    documents: Vec<DocumentReply>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which documents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those whose ids begin so.
    #[serde(default)]
    prefix: String,
    /// Only those that stand there.
    #[param(inline)]
    status: Option<Stands>,
    /// Only those after this id.
    after: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the documents of a knowledge base, and where each stands
#[utoipa::path(get, path = "/api/knowledge/{name}/documents", tag = "knowledge", params(BasePath, ListQuery),
    responses((status = 200, body = DocumentPage)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(BasePath { name }): Path<BasePath>,
    Query(ListQuery { prefix, status, after, limit }): Query<ListQuery>,
) -> Result<Json<DocumentPage>, Problem> {
    caller.check_knowledge(&name)?;
    let limit = limit.0 as usize;
    let query = DocumentQuery { prefix, status: status.map(DocumentStatus::from), after, limit };
    let documents = app.bases().await?.list_documents(&name, &query).await?;
    let next = (documents.len() == limit).then(|| documents.last().map(|document| document.id.clone())).flatten();
    Ok(Json(DocumentPage { documents: documents.into_iter().map(DocumentReply::from).collect(), next }))
}

/// Which document.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DocumentPath {
    /// The name of the knowledge base.
    pub(super) name: String,
    /// The id of the document; a `/` in it is written as `%2F`.
    pub(super) id: String,
}

/// A document, and the run that indexed it.
#[derive(Serialize, ToSchema)]
struct DocumentDetail {
    #[serde(flatten)]
    document: DocumentReply,
    /// The newest run that indexed it; `null` when it came from a folder, or the run is not kept any more.
    run: Option<String>,
}

async fn found(app: &App, name: &str, id: &str) -> Result<Document, Problem> {
    let found = app.bases().await?.documents(name, &[id.to_owned()]).await?;
    found.into_iter().flatten().next().ok_or_else(|| no_document(name, id))
}

/// Shows a document
#[utoipa::path(get, path = "/api/knowledge/{name}/documents/{id}", tag = "knowledge", params(DocumentPath),
    responses((status = 200, body = DocumentDetail)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
) -> Result<Json<DocumentDetail>, Problem> {
    caller.check_knowledge(&name)?;
    let document = found(&app, &name, &id).await?.into();
    let run = indexing::newest(&app, &name, &id).await?.map(|run| run.id.to_string());
    Ok(Json(DocumentDetail { document, run }))
}

/// What is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// Whether searches find it.
    enabled: Option<bool>,
    /// What filters see: texts, numbers, booleans, lists of texts. It stands in the place of what was there, until the document
    /// is indexed again.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// Changes whether searches find a document, and what filters see of it
#[utoipa::path(patch, path = "/api/knowledge/{name}/documents/{id}", tag = "knowledge", params(DocumentPath),
    request_body = ChangeBody, responses((status = 200, body = DocumentReply)))]
async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
    Json(ChangeBody { enabled, metadata }): Json<ChangeBody>,
) -> Result<Json<DocumentReply>, Problem> {
    caller.check_knowledge(&name)?;
    let bases = app.bases().await?;
    if let Some(metadata) = metadata {
        bases.set_metadata(&name, &id, object(metadata)?).await?;
    }
    if let Some(enabled) = enabled {
        bases.set_enabled(&name, &id, enabled).await?;
    }
    Ok(Json(found(&app, &name, &id).await?.into()))
}

/// The members of what should be an object.
pub(super) fn object(metadata: Value) -> Result<Object, Problem> {
    match metadata {
        Value::Object(members) => Ok(Arc::unwrap_or_clone(members)),
        other => Err(Problem::invalid(
            codes::REQUEST_BODY,
            format!("`metadata`: expected an object, found {}", other.kind()),
        )
        .hint("send `{\"department\": \"hr\"}`")),
    }
}

/// Deletes a document
///
/// What was sent for it goes with it: the runs that indexed it, with their journals, and its file.
#[utoipa::path(delete, path = "/api/knowledge/{name}/documents/{id}", tag = "knowledge", params(DocumentPath),
    responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    actor: Actor,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
) -> Result<StatusCode, Problem> {
    caller.check_knowledge(&name)?;
    found(&app, &name, &id).await?;
    indexing::forget(&app, &name, &id).await?;
    app.bases().await?.delete(&name, std::slice::from_ref(&id)).await?;
    app.store.record(actor.entry(app.clock.now(), "documents.delete", format!("{name}/{id}"))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A piece of a document.
#[derive(Serialize, ToSchema)]
struct ChunkReply {
    /// Its place in the document, from 0.
    position: u32,
    /// What is searched.
    text: String,
    /// What is found instead, where that is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    passage: Option<String>,
    /// The headings above it, the outermost first.
    headings: Vec<String>,
    /// The page it begins on, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// How many tokens of the embedding model `text` has.
    tokens: u32,
}

impl From<StoredChunk> for ChunkReply {
    fn from(stored: StoredChunk) -> Self {
        let StoredChunk { position, chunk } = stored;
        Self {
            position,
            text: chunk.text,
            passage: chunk.passage.map(|passage| passage.to_string()),
            headings: chunk.headings,
            page: chunk.page,
            tokens: chunk.tokens,
        }
    }
}

/// A page of chunks.
#[derive(Serialize, ToSchema)]
struct ChunkPage {
    /// The chunks, in the order of the document.
    chunks: Vec<ChunkReply>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<u32>,
}

/// Which chunks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ChunkQuery {
    /// Only those after this position.
    #[param(value_type = Option<u64>, maximum = 4_294_967_295u32)]
    after: Option<u32>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the chunks of a document
#[utoipa::path(get, path = "/api/knowledge/{name}/documents/{id}/chunks", tag = "knowledge",
    params(DocumentPath, ChunkQuery), responses((status = 200, body = ChunkPage)))]
async fn chunks(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
    Query(ChunkQuery { after, limit }): Query<ChunkQuery>,
) -> Result<Json<ChunkPage>, Problem> {
    caller.check_knowledge(&name)?;
    let limit = limit.0 as usize;
    let chunks = app.bases().await?.chunks(&name, &id, after, limit).await?;
    let next = (chunks.len() == limit).then(|| chunks.last().map(|chunk| chunk.position)).flatten();
    Ok(Json(ChunkPage { chunks: chunks.into_iter().map(ChunkReply::from).collect(), next }))
}

/// Follows how a document is indexed
///
/// Server-sent events of the newest run that indexes it, as `GET /api/runs/{id}/events` has them.
#[utoipa::path(get, path = "/api/knowledge/{name}/documents/{id}/events", tag = "knowledge",
    params(DocumentPath, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that arrived")),
    responses((status = 200, body = StreamedEvent, content_type = "text/event-stream")))]
async fn follow(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check_knowledge(&name)?;
    found(&app, &name, &id).await?;
    let run = indexing::newest(&app, &name, &id).await?.ok_or_else(|| {
        let detail = format!("no run that indexed the document `{id}` is kept");
        Problem::missing(codes::NO_RUN, detail).hint("GET /api/knowledge/{name}/documents/{id} says where it stands")
    })?;
    let after = headers.get("last-event-id").map(events::place).transpose()?;
    events::stream(&app, run.id, Talked::default(), after).await
}
