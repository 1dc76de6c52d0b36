//! Documents that are sent: files, or a text.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{
        DefaultBodyLimit, FromRequest as _, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use liteagent_engine::{capability::knowledge::Knowledge as _, codes, id::Digest, units::Size, value::Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    api::BasePath,
    documents::{DocumentPath, object},
    indexing::{self, NewDocument, Source},
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
};

/// The most files of one request.
const MOST_FILES: usize = 100;
/// The most bytes of what is no file.
const LARGEST_FIELD: Size = Size(64 << 10);

pub(super) fn routes(routes: Routes) -> Routes {
    let (schemas, paths, router) = routes!(add);
    // Files have a limit of their own: each is counted as it arrives.
    let adding = (schemas, paths, router.layer(DefaultBodyLimit::disable()));
    let access = Access::UserOrKey(Role::Editor);
    routes.add(access, adding).add(access, routes!(reindex))
}

/// A document that is a text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TextBody {
    /// Unique in its knowledge base. An ending says what the text is: `leave.md`.
    #[schema(example = "leave.md")]
    id: String,
    /// The text.
    #[schema(example = "# Leave\nThirty days.")]
    text: String,
    /// What people call it; what it calls itself by default.
    title: Option<String>,
    /// Where it can be read.
    url: Option<String>,
    /// What filters see: texts, numbers, booleans, lists of texts.
    #[serde(default = "Value::object")]
    #[schema(value_type = Object)]
    metadata: Value,
}

/// Documents that are files.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its form is used")]
struct Upload {
    /// What filters see of the files that follow, as a JSON object.
    #[schema(value_type = Option<Object>)]
    metadata: Option<String>,
    /// The files. The name of each is the id of its document.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Bytes>,
}

/// Documents that were taken.
#[derive(Serialize, ToSchema)]
struct Accepted {
    /// In the order in which they came.
    documents: Vec<Taken>,
}

/// A document that was taken.
#[derive(Serialize, ToSchema)]
struct Taken {
    /// Its id.
    id: String,
    /// The run that indexes it; `null` when it is indexed already as it is.
    run: Option<String>,
}

/// Puts documents into a knowledge base
///
/// A document takes the place of the one with the same id, which is found until then. Each is indexed by a run of its own:
/// `GET …/documents/{id}` says where it stands, `…/events` follows it, and one that fails holds up no other. Files come as
/// `multipart/form-data`: each in a field `file`, up to 100 of them; a field `metadata` is for the files after it. When
/// a request breaks off or a file is refused, the files before it are kept.
#[utoipa::path(post, path = "/api/knowledge/{name}/documents", tag = "knowledge", params(BasePath),
    request_body(content((TextBody = "application/json"), (Upload = "multipart/form-data"))),
    responses((status = 202, body = Accepted)))]
async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(BasePath { name }): Path<BasePath>,
    request: Request,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    caller.check_knowledge(&name)?;
    app.bases().await?.base(&name).await?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let documents = if kind.starts_with("multipart/form-data") {
        let form = Multipart::from_request(request, &app).await;
        let form = form.map_err(|rejection| broken(rejection.status(), &rejection.body_text()))?;
        files(&app, &caller, &name, form).await?
    } else {
        vec![text(&app, &caller, &name, request).await?]
    };
    Ok((StatusCode::ACCEPTED, Json(Accepted { documents })))
}

async fn text(app: &Arc<App>, caller: &Caller, base: &str, request: Request) -> Result<Taken, Problem> {
    let most = app.settings.body;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::try_from(most.0).unwrap_or(usize::MAX)).await.map_err(|_| {
        let detail = format!("expected a body of at most {most} that arrives whole");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::REQUEST_BODY, detail).hint("send it as a file")
    })?;
    let Json(body) = Json::<TextBody>::from_request(Request::from_parts(parts, body.into()), app).await?;
    let TextBody { id, text, title, url, metadata } = body;
    let metadata = Value::Object(Arc::new(object(metadata)?));
    let document = NewDocument { id, title, url, metadata, source: Source::Text(text) };
    taken(app, caller, base, document).await
}

async fn taken(app: &Arc<App>, caller: &Caller, base: &str, document: NewDocument) -> Result<Taken, Problem> {
    let id = document.id.clone();
    let run = indexing::begin(app, caller, base, document).await?;
    Ok(Taken { id, run: run.map(|run| run.to_string()) })
}

/// Takes the files of a form, one after the other: only one is in memory.
async fn files(app: &Arc<App>, caller: &Caller, base: &str, mut form: Multipart) -> Result<Vec<Taken>, Problem> {
    let mut all = Vec::new();
    let mut metadata = Value::object();
    while let Some(field) = form.next_field().await.map_err(|error| unread(&error))? {
        match field.name() {
            Some("metadata") => {
                let (text, _) = content(field, LARGEST_FIELD).await?;
                let given: Value = serde_json::from_slice(&text).map_err(|error| {
                    refused(format!("`metadata` is not JSON: {error}")).hint("send `{\"department\": \"hr\"}`")
                })?;
                metadata = Value::Object(Arc::new(object(given)?));
            }
            Some("file") if all.len() == MOST_FILES => {
                return Err(too_large(format!("expected at most {MOST_FILES} files in a request, found more"))
                    .hint("send the others with another request: these were taken"));
            }
            Some("file") => {
                let name = file_name(field.file_name())?;
                app.settings.uploads.check_room()?;
                let mime = field.content_type().unwrap_or("application/octet-stream").to_owned();
                let (content, digest) = content(field, app.settings.uploads.size).await?;
                let source = Source::File { name: name.clone(), mime, content, digest };
                let document = NewDocument { id: name, title: None, url: None, metadata: metadata.clone(), source };
                all.push(taken(app, caller, base, document).await?);
            }
            other => {
                return Err(refused(format!(
                    "expected the fields `file` and `metadata`, found `{}`",
                    other.unwrap_or("")
                )));
            }
        }
    }
    if all.is_empty() {
        return Err(refused("expected at least one file in a field `file`, found none".to_owned()));
    }
    Ok(all)
}

/// The content of a field with its digest, against a limit. It is hashed as it comes: nobody waits for that at its end.
async fn content(mut field: Field<'_>, most: Size) -> Result<(Bytes, Digest), Problem> {
    let mut content = BytesMut::new();
    let mut hash = Sha256::new();
    while let Some(piece) = field.chunk().await.map_err(|error| unread(&error))? {
        if content.len() as u64 + piece.len() as u64 > most.0 {
            let name = field.file_name().or(field.name()).unwrap_or_default();
            let name: String = name.chars().filter(|letter| !letter.is_control()).take(80).collect();
            return Err(too_large(format!("expected at most {most} in `{name}`, found more"))
                .hint("send a part of it; the files before it were taken"));
        }
        hash.update(&piece);
        content.extend_from_slice(&piece);
    }
    Ok((content.freeze(), Digest::from_hash(&hash.finalize())))
}

/// The name of a file without the folders that a sender may put before it.
fn file_name(given: Option<&str>) -> Result<String, Problem> {
    let name = given.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if name.is_empty() || name == "." || name == ".." || name.chars().any(char::is_control) {
        return Err(refused("expected a file with a name, found one without, or with control characters".to_owned()));
    }
    Ok(name.to_owned())
}

fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::UPLOAD_SIZE, detail)
}

fn refused(detail: String) -> Problem {
    Problem::invalid(codes::UPLOAD, detail).hint("send each file with its name: `curl -F file=@leave.pdf`")
}

fn unread(error: &MultipartError) -> Problem {
    broken(error.status(), &error.body_text())
}

/// A form that cannot be read. Whatever the reason, it is what was sent.
fn broken(status: StatusCode, why: &str) -> Problem {
    let status = if status.is_server_error() { StatusCode::BAD_REQUEST } else { status };
    Problem::new(status, codes::UPLOAD, format!("the form cannot be read: {why}"))
        .hint("send `multipart/form-data`, whole; the files before the place where it breaks were taken")
}

/// Indexes a document once more, from what was sent for it
#[utoipa::path(post, path = "/api/knowledge/{name}/documents/{id}/reindex", tag = "knowledge", params(DocumentPath),
    responses((status = 202, body = Taken)))]
async fn reindex(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(DocumentPath { name, id }): Path<DocumentPath>,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    caller.check_knowledge(&name)?;
    let run = indexing::again(&app, &caller, &name, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(Taken { id, run: Some(run.to_string()) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_name_of_a_file_only_the_last_part_counts() {
        let name = |given: &str| file_name(Some(given)).ok();
        assert_eq!(name("leave.md").as_deref(), Some("leave.md"));
        for hostile in ["../../etc/passwd", "/etc/passwd", "C:\\windows\\passwd", "..\\passwd"] {
            assert_eq!(name(hostile).as_deref(), Some("passwd"), "{hostile}");
        }
        for none in ["", " ", "a/", "..", "../..", "a\0b", "a\r\nSet-Cookie: b"] {
            assert_eq!(name(none), None, "{none:?}");
        }
        assert!(file_name(None).is_err());
    }
}
