//! `/api/workflows`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
};
use liteagent_engine::{codes, definition::Definition, time::iso};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Addition, Published, unknown, unknown_version};
use crate::{
    access::{Access, Caller, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::{Finding, Problem},
    routes::Routes,
    store::{Source, StoredVersion, VersionRow, WorkflowRow},
};

mod diff;

pub(crate) fn routes(routes: Routes) -> Routes {
    diff::routes(routes)
        .add(Access::User(Role::Viewer), routes!(list))
        .add(Access::User(Role::Editor), routes!(add))
        .add(Access::User(Role::Editor), routes!(check))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::User(Role::Editor), routes!(put))
        .add(Access::User(Role::Editor), routes!(delete))
        .add(Access::User(Role::Viewer), routes!(versions))
        .add(Access::User(Role::Viewer), routes!(version))
        .add(Access::User(Role::Editor), routes!(publish))
}

/// A workflow.
#[derive(Serialize, ToSchema)]
struct Workflow {
    /// Its name.
    #[schema(example = "support/answer")]
    name: String,
    /// Its newest version.
    latest: u32,
    /// The version that new runs are of; `null` while there is none.
    published: Option<u32>,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// What it does, as the published version says.
    description: Option<String>,
    /// Its labels.
    #[schema(value_type = Object)]
    labels: serde_json::Value,
    /// The schema of its inputs.
    #[schema(value_type = Object)]
    inputs: serde_json::Value,
    /// The names of its outputs.
    outputs: Vec<String>,
    /// Whether it is a chat.
    chat: bool,
    /// The names of its triggers.
    triggers: Vec<String>,
}

impl Workflow {
    fn of(row: WorkflowRow, published: Option<&Published>) -> Self {
        let definition = published.and_then(|published| published.bundle.entry());
        Self {
            name: row.name,
            latest: row.latest,
            published: row.published,
            updated_at: iso(row.updated_at),
            description: definition.and_then(|definition| definition.description.clone()),
            labels: definition.map(|definition| serde_json::json!(definition.labels)).unwrap_or_default(),
            inputs: definition.map(inputs_schema).unwrap_or_default(),
            outputs: definition.iter().flat_map(|definition| definition.outputs.keys().cloned()).collect(),
            chat: definition.is_some_and(|definition| definition.conversation.is_some()),
            triggers: definition.iter().flat_map(|definition| definition.triggers.keys().cloned()).collect(),
        }
    }
}

/// JSON Schema of the inputs of a run.
pub(crate) fn inputs_schema(definition: &Definition) -> serde_json::Value {
    let inputs = definition.run_inputs();
    let properties: serde_json::Map<_, _> =
        inputs.iter().map(|(name, kind)| (name.clone(), kind.schema().to_value())).collect();
    let required: Vec<&String> = inputs.iter().filter(|(_, kind)| !kind.is_optional()).map(|(name, _)| name).collect();
    serde_json::json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A page of workflows.
#[derive(Serialize, ToSchema)]
struct WorkflowPage {
    /// The workflows, by name.
    workflows: Vec<Workflow>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which workflows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only those with names after this one.
    after: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the workflows
#[utoipa::path(get, path = "/api/workflows", tag = "workflows", params(ListQuery),
    responses((status = 200, body = WorkflowPage)))]
async fn list(State(app): State<Arc<App>>, Query(query): Query<ListQuery>) -> Result<Json<WorkflowPage>, Problem> {
    let limit = query.limit.0;
    let rows = app.store.workflows(query.after.as_deref(), limit).await?;
    let next = (rows.len() == limit as usize).then(|| rows.last().map(|row| row.name.clone())).flatten();
    let workflow = |row: WorkflowRow| {
        let published = app.workflows.published(&row.name).ok();
        Workflow::of(row, published.as_deref())
    };
    Ok(Json(WorkflowPage { workflows: rows.into_iter().map(workflow).collect(), next }))
}

/// A definition that is sent: its YAML as it is (`application/yaml`), or this as JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// The definition: YAML, or JSON as text.
    source: String,
    /// The files that it includes, by their path below the definitions root; the definition itself stands at `NAME.yaml`.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// What changed.
    note: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if kind.is_some_and(|kind| kind.contains("yaml") || kind.starts_with("text/plain")) {
            let body = String::from_request(request, state).await;
            let source = body.map_err(|rejection| {
                Problem::new(rejection.status(), codes::REQUEST_BODY, rejection.body_text())
                    .hint("send the definition as UTF-8 text")
            })?;
            return Ok(Self { source, files: BTreeMap::new(), note: None });
        }
        Json::from_request(request, state).await.map(|Json(sent)| sent)
    }
}

impl Sent {
    fn addition(self, actor: Actor, query: &AddQuery) -> Addition {
        Addition {
            source: Source { text: self.source, files: self.files },
            note: self.note,
            actor,
            publish: query.publish.unwrap_or(true),
        }
    }
}

/// How a version is added.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AddQuery {
    /// Whether new runs are of this version from now on; they are unless this is `false`.
    publish: Option<bool>,
}

/// A version of a workflow.
#[derive(Serialize, ToSchema)]
struct Version {
    /// The workflow.
    workflow: String,
    /// Counts its versions, from 1.
    version: u32,
    /// The digest of its bundle: what its runs are pinned to.
    digest: String,
    /// What its maker says about it.
    note: Option<String>,
    /// Who made it.
    created_by: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Self {
        Self {
            workflow: row.workflow,
            version: row.version,
            digest: row.digest.to_string(),
            note: row.note,
            created_by: row.created_by,
            created_at: iso(row.created_at),
        }
    }
}

/// A version that was added.
#[derive(Serialize, ToSchema)]
struct Added {
    /// The version; the newest one, when nothing changed.
    #[serde(flatten)]
    version: Version,
    /// What the check said: warnings and notes.
    diagnostics: Vec<Finding>,
}

/// Adds a workflow, or a version of one
///
/// The definition is checked first; with errors nothing is added. Its `name` says which workflow it is.
#[utoipa::path(post, path = "/api/workflows", tag = "workflows", params(AddQuery),
    request_body(content((Sent = "application/json"), (String = "application/yaml"))),
    responses((status = 201, body = Added)))]
async fn add(
    State(app): State<Arc<App>>,
    actor: Actor,
    Query(query): Query<AddQuery>,
    sent: Sent,
) -> Result<(StatusCode, Json<Added>), Problem> {
    let (row, diagnostics) = app.workflows.add(None, sent.addition(actor, &query)).await?;
    Ok((StatusCode::CREATED, Json(Added { version: row.into(), diagnostics })))
}

/// What a check said.
#[derive(Serialize, ToSchema)]
struct CheckReply {
    /// Whether there is no error.
    valid: bool,
    /// Every finding.
    diagnostics: Vec<Finding>,
    /// The digest that its bundle has; `null` when there is an error.
    digest: Option<String>,
}

/// Checks a definition, and changes nothing
#[utoipa::path(post, path = "/api/check", tag = "workflows",
    request_body(content((Sent = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = CheckReply)))]
async fn check(State(app): State<Arc<App>>, sent: Sent) -> Result<Json<CheckReply>, Problem> {
    let checked = app.workflows.check(None, &Source { text: sent.source, files: sent.files }).await?;
    Ok(Json(CheckReply {
        valid: checked.bundle.is_some(),
        digest: checked.bundle.map(|bundle| bundle.digest().to_string()),
        diagnostics: checked.findings,
    }))
}

/// Which workflow a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Name {
    /// Its name, with `/` written as `%2F`.
    name: String,
}

/// Shows a workflow
#[utoipa::path(get, path = "/api/workflows/{name}", tag = "workflows", params(Name),
    responses((status = 200, body = Workflow)))]
async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(Name { name }): Path<Name>,
) -> Result<Json<Workflow>, Problem> {
    caller.check_workflow(&name)?;
    let row = app.store.workflow(&name).await?.ok_or_else(|| unknown(&name))?;
    let published = app.workflows.published(&name).ok();
    Ok(Json(Workflow::of(row, published.as_deref())))
}

/// Adds a version of a workflow of this name
#[utoipa::path(put, path = "/api/workflows/{name}", tag = "workflows", params(Name, AddQuery),
    request_body(content((Sent = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = Added)))]
async fn put(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Name { name }): Path<Name>,
    Query(query): Query<AddQuery>,
    sent: Sent,
) -> Result<Json<Added>, Problem> {
    let (row, diagnostics) = app.workflows.add(Some(&name), sent.addition(actor, &query)).await?;
    Ok(Json(Added { version: row.into(), diagnostics }))
}

/// Deletes a workflow
///
/// Runs of it go on, and stay readable.
#[utoipa::path(delete, path = "/api/workflows/{name}", tag = "workflows", params(Name), responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Name { name }): Path<Name>,
) -> Result<StatusCode, Problem> {
    app.workflows.delete(&name, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page of versions.
#[derive(Serialize, ToSchema)]
struct VersionPage {
    /// The versions, newest first.
    versions: Vec<Version>,
    /// What to send as `before` for the next page; `null` after the last.
    next: Option<u32>,
}

/// Which versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VersionsQuery {
    /// Only those before this one.
    #[param(value_type = Option<u64>, maximum = 4_294_967_295u32)]
    before: Option<u32>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the versions of a workflow
#[utoipa::path(get, path = "/api/workflows/{name}/versions", tag = "workflows", params(Name, VersionsQuery),
    responses((status = 200, body = VersionPage)))]
async fn versions(
    State(app): State<Arc<App>>,
    Path(Name { name }): Path<Name>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<VersionPage>, Problem> {
    let limit = query.limit.0;
    let rows = app.store.versions(&name, query.before, limit).await?;
    if rows.is_empty() && query.before.is_none() {
        return Err(unknown(&name));
    }
    let next = (rows.len() == limit as usize).then(|| rows.last().map(|row| row.version)).flatten();
    Ok(Json(VersionPage { versions: rows.into_iter().map(Version::from).collect(), next }))
}

/// Which version a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct NameAndVersion {
    /// The name of the workflow, with `/` written as `%2F`.
    name: String,
    /// The version.
    version: u32,
}

/// A version with its texts.
#[derive(Serialize, ToSchema)]
struct VersionTexts {
    #[serde(flatten)]
    version: Version,
    /// The definition, byte for byte as it was sent.
    source: String,
    /// The files that it includes.
    files: BTreeMap<String, String>,
}

async fn stored(app: &App, name: &str, version: u32) -> Result<StoredVersion, Problem> {
    app.store.version(name, version).await?.ok_or_else(|| unknown_version(name, version))
}

/// Shows a version with its texts
#[utoipa::path(get, path = "/api/workflows/{name}/versions/{version}", tag = "workflows", params(NameAndVersion),
    responses((status = 200, body = VersionTexts)))]
async fn version(
    State(app): State<Arc<App>>,
    Path(NameAndVersion { name, version }): Path<NameAndVersion>,
) -> Result<Json<VersionTexts>, Problem> {
    let StoredVersion { row, source } = stored(&app, &name, version).await?;
    Ok(Json(VersionTexts { version: row.into(), source: source.text, files: source.files }))
}

/// Which version is published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Publish {
    /// The version; `null` for none: no new run begins, and no trigger fires.
    #[schema(required)]
    #[serde(deserialize_with = "Option::deserialize")]
    version: Option<u32>,
}

/// Publishes a version, an older one too
#[utoipa::path(put, path = "/api/workflows/{name}/published", tag = "workflows", params(Name), request_body = Publish,
    responses((status = 204)))]
async fn publish(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Name { name }): Path<Name>,
    Json(body): Json<Publish>,
) -> Result<StatusCode, Problem> {
    app.workflows.publish(&name, body.version, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
