//! `/api/files`.

use std::sync::Arc;

use axum::{
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State},
    http::{HeaderMap, StatusCode},
};
use liteagent_engine::{codes, id::Digest, units::Millis};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Upload, no_file, receive::receive};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Limit, Path, Query},
    problem::Problem,
    routes::Routes,
    runs::idempotency_key,
    store::{UploadKey, UploadRow, Uploaded},
};

/// Where files are uploaded.
const PATH: &str = "/api/files";

/// Whether a request uploads files: it has limits of its own.
pub(crate) fn is_upload(request: &Request) -> bool {
    let path = request.uri().path();
    let is_of_knowledge = path.starts_with("/api/knowledge/") && path.ends_with("/documents");
    request.method() == axum::http::Method::POST && (path == PATH || is_of_knowledge)
}

pub(super) fn routes(routes: Routes) -> Routes {
    let (schemas, paths, uploads) = routes!(upload);
    routes
        .add(Access::UserOrKey(Role::Editor), (schemas, paths, uploads.layer(DefaultBodyLimit::disable())))
        .add(Access::UserOrKey(Role::Viewer), routes!(list))
        .add(Access::UserOrKey(Role::Viewer), routes!(show))
        .add(Access::UserOrKey(Role::Editor), routes!(delete))
}

/// A form with files, as browsers and curl send it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
struct UploadForm {
    /// A file; there may be several.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Files that were uploaded.
#[derive(Serialize, ToSchema)]
struct UploadList {
    /// In the order of the form.
    files: Vec<Upload>,
}

/// Uploads files
///
/// They belong to the caller, who can give them to runs for 24 hours: the `file` of an upload is the value of an input of type `file`. A
/// run keeps what it was given. The type of a file is what its content says. With the header `Idempotency-Key`, the same request within
/// 24 hours gives the same uploads again.
#[utoipa::path(post, path = "/api/files", tag = "files",
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of at most 255 characters")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, body = UploadList), (status = 200, description = "They came before", body = UploadList)))]
async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<UploadList>), Problem> {
    caller.only_workflow()?;
    let key = idempotency_key(&headers)?.map(str::to_owned);
    let form = Multipart::from_request(request, &()).await.map_err(|rejection| {
        Problem::new(rejection.status(), codes::UPLOAD_REFUSED, rejection.body_text())
            .hint("send a form with files: `curl -F file=@report.pdf`")
    })?;
    let owner = caller.space();
    let rows = receive(&app, form, &owner).await?;
    let key = key.map(|key| UploadKey { key, body: body_of(&rows) });
    let (status, rows) = match app.store.add_uploads(&owner, rows.clone(), key, app.uploads_since()).await? {
        Uploaded::New => (StatusCode::CREATED, rows),
        Uploaded::Before(rows) => (StatusCode::OK, rows),
        Uploaded::Conflict => {
            let detail = "the `Idempotency-Key` belongs to other files";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, codes::UPLOAD_REFUSED, detail)
                .hint("use a new `Idempotency-Key` for other files"));
        }
    };
    Ok((status, Json(UploadList { files: rows.into_iter().map(Upload::from).collect() })))
}

/// What makes two requests the same: names and contents.
fn body_of(rows: &[UploadRow]) -> Digest {
    let parts: Vec<_> = rows.iter().map(|row| [&row.file.name, &row.file.mime, &row.file.sha256]).collect();
    Digest::of(serde_json::json!(parts).to_string().as_bytes())
}

/// A page of uploads.
#[derive(Serialize, ToSchema)]
struct UploadPage {
    /// The uploads, newest first.
    files: Vec<Upload>,
    /// What to send as `after` for the next page; `null` after the last.
    next: Option<String>,
}

/// Which uploads.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists the caller's uploads
#[utoipa::path(get, path = "/api/files", tag = "files", params(ListQuery), responses((status = 200, body = UploadPage)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<UploadPage>, Problem> {
    let limit = query.limit.0;
    let before = query.after.as_deref().map(place).transpose()?;
    let rows = app.store.uploads(&caller.space(), before, limit).await?;
    let is_full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| is_full).map(|row| format!("{}-{}", row.created_at, row.file.id));
    let since = app.uploads_since();
    let files = rows.into_iter().filter(|row| row.created_at >= since).map(Upload::from).collect();
    Ok(Json(UploadPage { files, next }))
}

/// Where a page ended.
fn place(text: &str) -> Result<(Millis, String), Problem> {
    let place = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    place.ok_or_else(|| {
        Problem::invalid(codes::REQUEST_PARAMETER, "`after` is not the `next` of a page")
            .hint("leave it out to begin anew")
    })
}

/// Which upload a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Id {
    /// The id of the file.
    pub(super) id: String,
}

/// Shows an upload
#[utoipa::path(get, path = "/api/files/{id}", tag = "files", params(Id), responses((status = 200, body = Upload)))]
async fn show(State(app): State<Arc<App>>, caller: Caller, Path(Id { id }): Path<Id>) -> Result<Json<Upload>, Problem> {
    Ok(Json(app.upload(&caller.space(), &id).await?.into()))
}

/// Deletes an upload
///
/// Runs that were given it keep it.
#[utoipa::path(delete, path = "/api/files/{id}", tag = "files", params(Id), responses((status = 204)))]
async fn delete(State(app): State<Arc<App>>, caller: Caller, Path(Id { id }): Path<Id>) -> Result<StatusCode, Problem> {
    if app.store.delete_upload(&caller.space(), &id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_file(&id)) }
}
