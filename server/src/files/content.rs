//! The content of files: whole or in parts, and never so that a browser runs it in the name of this server.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use liteagent_engine::{
    codes,
    store::{FileValue, StoreError},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::{File, api::Id, name::disposition, no_file};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
    runs::visible,
};

/// Nothing in it is run or fetched, whatever it is.
const CAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
/// What browsers may show at once: it cannot do anything. HTML, SVG, XML and whatever is not known are saved.
const SHOWN: [&str; 9] = [
    "text/plain",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/mpeg",
    "audio/wav",
    "video/mp4",
    "application/pdf",
];

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Viewer), routes!(content))
        .add(Access::UserOrKey(Role::Viewer), routes!(of_run))
        .add(Access::UserOrKey(Role::Viewer), routes!(content_of_run))
}

/// Which file of which run a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RunFile {
    /// The id of the run.
    pub(super) id: String,
    /// The id of the file.
    pub(super) file: String,
}

/// Gives the content of an upload
///
/// A header `Range` with one range gives a part.
#[utoipa::path(get, path = "/api/files/{id}/content", tag = "files", params(Id),
    responses((status = 200, content_type = "*/*"), (status = 206, description = "A part")))]
async fn content(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Path(Id { id }): Path<Id>,
) -> Result<Response, Problem> {
    let row = app.upload(&caller.space(), &id).await?;
    reply(&app, row.file, &headers).await
}

/// Shows a file of a run
///
/// It was given to the run, or the run made it.
#[utoipa::path(get, path = "/api/runs/{id}/files/{file}", tag = "files", params(RunFile),
    responses((status = 200, body = File)))]
async fn of_run(State(app): State<Arc<App>>, caller: Caller, Path(path): Path<RunFile>) -> Result<Json<File>, Problem> {
    Ok(Json(app.file_of_run(&caller, &path).await?.into()))
}

/// Gives the content of a file of a run
///
/// A header `Range` with one range gives a part.
#[utoipa::path(get, path = "/api/runs/{id}/files/{file}/content", tag = "files", params(RunFile),
    responses((status = 200, content_type = "*/*"), (status = 206, description = "A part")))]
async fn content_of_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Path(path): Path<RunFile>,
) -> Result<Response, Problem> {
    let file = app.file_of_run(&caller, &path).await?;
    reply(&app, file, &headers).await
}

impl App {
    /// A file of a run that a caller may see.
    pub(super) async fn file_of_run(&self, caller: &Caller, path: &RunFile) -> Result<FileValue, Problem> {
        let row = visible(self, caller, &path.id).await?;
        self.files.find(row.id, &path.file).await?.ok_or_else(|| no_file(&path.file))
    }
}

/// The content of a file, or the part that is asked for.
pub(super) async fn reply(app: &App, file: FileValue, asked: &HeaderMap) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", file.sha256);
    let is_same = |name| asked.get(name).is_none_or(|known: &HeaderValue| known.as_bytes() == tag.as_bytes());
    let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok()).filter(|_| is_same(header::IF_RANGE));
    let part = match range.map(|range| part(range, file.size)) {
        None | Some(Part::Whole) => None,
        Some(Part::Of(part)) => Some(part),
        Some(Part::Nowhere) => {
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                codes::REQUEST_PARAMETER,
                format!("`Range` asks for what the file of {} bytes does not have", file.size),
            );
            let mut response = problem.hint("ask for bytes that are there").into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, text(&format!("bytes */{}", file.size)));
            return Ok(response);
        }
    };
    let digest = file.sha256.parse().map_err(StoreError::Damaged)?;
    let bytes = part.clone().unwrap_or(0..file.size);
    let pieces = app.stores.blobs.get_pieces(&digest, bytes.clone()).await?;
    let pieces = pieces.ok_or_else(|| StoreError::Damaged(format!("the content of `{}` is gone", file.name)))?;

    let kind = if SHOWN.contains(&&*file.mime) { "inline" } else { "attachment" };
    let mime = if file.mime == "text/plain" { "text/plain; charset=utf-8" } else { &file.mime };
    let mut response = Response::new(Body::from_stream(pieces));
    if let Some(part) = part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let place = format!("bytes {}-{}/{}", part.start, part.end - 1, file.size);
        response.headers_mut().insert(header::CONTENT_RANGE, text(&place));
    }
    let mime = HeaderValue::from_str(mime).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, mime);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.end - bytes.start));
    headers.insert(header::CONTENT_DISPOSITION, text(&disposition(kind, &file.name)));
    headers.insert(header::CONTENT_SECURITY_POLICY, CAGE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, text(&tag));
    Ok(response)
}

/// A header of a text that has only what headers may have.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("it is made of visible ASCII characters")
}

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All: also for what is not understood, and for several ranges, as RFC 9110 allows.
    Whole,
    Of(Range<u64>),
    Nowhere,
}

fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>().ok());
    let (start, end) = match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(Some(first)), None) => (first, size),
        (None, Some(Some(last))) => (size.saturating_sub(last), size),
        _ => return Part::Whole,
    };
    if start < end { Part::Of(start..end) } else { Part::Nowhere }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_everything_else_the_whole() {
        for (range, expected) in [
            ("bytes=0-0", Part::Of(0..1)),
            ("bytes=2-", Part::Of(2..10)),
            ("bytes=-3", Part::Of(7..10)),
            ("bytes=-99", Part::Of(0..10)),
            ("bytes=5-99", Part::Of(5..10)),
            ("bytes=10-", Part::Nowhere),
            ("bytes=-0", Part::Nowhere),
            ("bytes=18446744073709551615-18446744073709551615", Part::Nowhere),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Nowhere);
    }
}
