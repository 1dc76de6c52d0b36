//! `/api/knowledge`: the knowledge bases themselves.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{
    capability::knowledge::{Base, Knowledge as _},
    time::iso,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::indexing;
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Viewer), routes!(list))
        .add(Access::User(Role::Editor), routes!(create))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::User(Role::Editor), routes!(delete))
}

/// A knowledge base.
#[derive(Serialize, ToSchema)]
struct KnowledgeBase {
    /// Its name.
    #[schema(example = "handbook")]
    name: String,
    /// The embedding model, `provider/model`.
    model: String,
    /// How many numbers its vectors have.
    dimensions: u32,
    /// The language of stop words and word stems, as ISO 639-1 has it.
    #[schema(example = "en")]
    language: String,
    /// How many documents it has.
    documents: u64,
    /// How many chunks they have.
    chunks: u64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Base> for KnowledgeBase {
    fn from(base: Base) -> Self {
        let Base { name, model, dimensions, language, documents, chunks, created_at } = base;
        Self { name, model, dimensions, language, documents, chunks, created_at: iso(created_at) }
    }
}

/// Knowledge bases.
#[derive(Serialize, ToSchema)]
struct KnowledgeList {
    /// By name.
    knowledge: Vec<KnowledgeBase>,
}

/// Lists the knowledge bases
///
/// An API key sees its own.
#[utoipa::path(get, path = "/api/knowledge", tag = "knowledge", responses((status = 200, body = KnowledgeList)))]
async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<KnowledgeList>, Problem> {
    let own = caller.only_knowledge()?;
    let bases = app.bases().await?.list().await?;
    let bases = bases.into_iter().filter(|base| own.is_none_or(|own| own == base.name));
    Ok(Json(KnowledgeList { knowledge: bases.map(KnowledgeBase::from).collect() }))
}

/// A knowledge base that shall be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKnowledge {
    /// Its name: letters, digits, `-`, `_`, `.`, up to 100 bytes.
    #[schema(example = "handbook")]
    name: String,
    /// The embedding model, `provider/model` or an alias.
    #[serde(default = "embed")]
    #[schema(default = "embed")]
    model: String,
    /// The language of its documents, for stop words and word stems.
    #[serde(default = "english")]
    #[schema(default = "en")]
    language: String,
}

fn embed() -> String {
    "embed".to_owned()
}

fn english() -> String {
    "en".to_owned()
}

/// Makes a knowledge base
#[utoipa::path(post, path = "/api/knowledge", tag = "knowledge", request_body = NewKnowledge,
    responses((status = 201, body = KnowledgeBase)))]
async fn create(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(NewKnowledge { name, model, language }): Json<NewKnowledge>,
) -> Result<(StatusCode, Json<KnowledgeBase>), Problem> {
    let base = app.bases().await?.create_for(&*app.models, name, &model, language).await?;
    app.store.record(actor.entry(app.clock.now(), "knowledge.create", &base.name)).await?;
    Ok((StatusCode::CREATED, Json(base.into())))
}

/// Which knowledge base.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct BasePath {
    /// The name of the knowledge base.
    pub(super) name: String,
}

/// Shows a knowledge base
#[utoipa::path(get, path = "/api/knowledge/{name}", tag = "knowledge", params(BasePath),
    responses((status = 200, body = KnowledgeBase)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(BasePath { name }): Path<BasePath>,
) -> Result<Json<KnowledgeBase>, Problem> {
    caller.check_knowledge(&name)?;
    Ok(Json(app.bases().await?.base(&name).await?.into()))
}

/// Deletes a knowledge base with its documents
///
/// The runs that indexed documents which were sent here are deleted with them, and those that go on are stopped first.
#[utoipa::path(delete, path = "/api/knowledge/{name}", tag = "knowledge", params(BasePath), responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(BasePath { name }): Path<BasePath>,
) -> Result<StatusCode, Problem> {
    let bases = app.bases().await?;
    bases.base(&name).await?;
    for document in indexing::all_documents(&bases, &name).await? {
        indexing::forget(&app, &name, &document).await?;
    }
    bases.remove(&name).await?;
    app.store.record(actor.entry(app.clock.now(), "knowledge.delete", name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
