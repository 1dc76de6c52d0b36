//! `/api/models` and `/api/usage`: the language models, and what was used of them.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::{
    capability::model::ModelInfo,
    store::{DAY, UsageRow},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    app::App,
    extract::{Json, Limit, Query},
    problem::Problem,
    routes::Routes,
    runs::Used,
};

pub(crate) fn routes(routes: Routes) -> Routes {
    let access = Access::User(Role::Viewer);
    routes.add(access, routes!(models)).add(access, routes!(usage))
}

/// A language model.
#[derive(Serialize, ToSchema)]
struct Model {
    /// `provider/model`.
    name: String,
    /// Whether it chats; else it embeds.
    chats: bool,
    /// How it calls tools: `no`, `in_words` or `native`.
    #[schema(value_type = String)]
    tools: liteagent_engine::capability::model::ToolUse,
    /// Whether its provider holds answers to a JSON Schema.
    structured: bool,
    /// Whether it reads images.
    images: bool,
    /// The most tokens of a question and its answer together, where known.
    context: Option<u64>,
}

impl From<ModelInfo> for Model {
    fn from(info: ModelInfo) -> Self {
        let ModelInfo { name, chats, tools, structured, images, context } = info;
        Self { name, chats, tools, structured, images, context }
    }
}

/// The language models.
#[derive(Serialize, ToSchema)]
struct ModelList {
    /// Those that are known by name; others of the same providers may work too.
    models: Vec<Model>,
    /// What the alias `default` stands for; `null` when nothing can.
    default: Option<String>,
}

/// Lists the language models
#[utoipa::path(get, path = "/api/models", tag = "models", responses((status = 200, body = ModelList)))]
async fn models(State(app): State<Arc<App>>) -> Json<ModelList> {
    let default = app.models.describe("default").ok().map(|model| model.name);
    Json(ModelList { models: app.models.list().into_iter().map(Model::from).collect(), default })
}

/// Which days.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// So many days, today included: 1 to 36,500, 30 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
    days: Limit<30, 36_500>,
}

/// What the runs of a workflow that ended on a day used of a model.
#[derive(Serialize, ToSchema)]
struct Row {
    /// The day, UTC.
    #[schema(example = "2026-03-01")]
    day: String,
    /// The workflow.
    workflow: String,
    /// `provider/model`.
    model: String,
    /// How many runs.
    runs: u64,
    /// What they used together.
    #[serde(flatten)]
    used: Used,
}

impl From<UsageRow> for Row {
    fn from(row: UsageRow) -> Self {
        let report = row.report();
        let (day, used) = (report.day, report.usage.into());
        Self { day, used, runs: row.runs, workflow: row.workflow, model: row.model }
    }
}

/// What was used of language models.
#[derive(Serialize, ToSchema)]
struct UsageReply {
    /// By day, workflow and model.
    usage: Vec<Row>,
}

/// Shows what runs that ended used of language models
///
/// It outlives the runs.
#[utoipa::path(get, path = "/api/usage", tag = "models", params(UsageQuery), responses((status = 200, body = UsageReply)))]
async fn usage(State(app): State<Arc<App>>, Query(query): Query<UsageQuery>) -> Result<Json<UsageReply>, Problem> {
    let days = query.days.0;
    let now = app.clock.now();
    let rows = app.stores.journal.usage(now - DAY * i64::from(days - 1), now).await?;
    Ok(Json(UsageReply { usage: rows.into_iter().map(Row::from).collect() }))
}
