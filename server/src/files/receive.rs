//! Receiving files: piece by piece from the request into the blob store.

use axum::{
    extract::{Multipart, multipart::Field, multipart::MultipartError},
    http::StatusCode,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use liteagent_backends::Room;
use liteagent_engine::{
    codes,
    id::Digest,
    store::{FileValue, StoreError, file_id},
    units::{Millis, Size},
};

use super::{Uploads, name, sniff};
use crate::{app::App, problem::Problem, store::UploadRow};

/// What has been seen of a file.
struct Seen {
    most: Size,
    size: u64,
    head: Vec<u8>,
    /// Why no more of it is taken.
    stopped: Option<Problem>,
}

/// Stores every file of a request, and nothing that is no file.
pub(super) async fn receive(app: &App, mut form: Multipart, owner: &str) -> Result<Vec<UploadRow>, Problem> {
    let limits = &app.settings.uploads;
    let now = app.clock.now();
    let mut rows = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        let Some(sent) = field.file_name().map(str::to_owned) else {
            let part: String = field.name().unwrap_or_default().escape_debug().take(100).collect();
            return Err(Problem::invalid(codes::UPLOAD_REFUSED, format!("the part `{part}` is no file"))
                .hint("send files alone: `curl -F file=@report.pdf`"));
        };
        if rows.len() == limits.count {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                codes::UPLOAD_LIMIT,
                format!("expected at most {} files in a request, found more", limits.count),
            )
            .hint("send them in several requests"));
        }
        limits.check_room()?;
        rows.push(receive_one(app, field, &sent, owner, now).await?);
    }
    if rows.is_empty() {
        return Err(Problem::invalid(codes::UPLOAD_REFUSED, "expected a file, found none")
            .hint("send a form with a file in it: `curl -F file=@report.pdf`"));
    }
    Ok(rows)
}

async fn receive_one(app: &App, field: Field<'_>, sent: &str, owner: &str, now: Millis) -> Result<UploadRow, Problem> {
    let limits = &app.settings.uploads;
    let name = name::cleaned(sent).map_err(|length| {
        let detail = format!("expected the name of a file of at most {} bytes, found {length}", name::LONGEST);
        Problem::invalid(codes::UPLOAD_REFUSED, detail).hint("give the file a shorter name")
    })?;
    let declared = field.content_type().map(str::to_owned);
    let mut seen = Seen { most: limits.size, size: 0, head: Vec::new(), stopped: None };
    let pieces = stream::try_unfold((field, &mut seen), |(mut field, seen)| async move {
        let piece = match field.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(None),
            Err(error) => return Err(seen.stop(unreadable(&error))),
        };
        seen.take(&piece)?;
        Ok(Some((piece, (field, seen))))
    });
    let stored = app.stores.blobs.put_pieces(pieces.boxed()).await;
    let (digest, size): (Digest, u64) = match (stored, seen.stopped) {
        (_, Some(why)) => return Err(why),
        (stored, None) => stored?,
    };
    let (mime, note) = sniff::sniff(&name, declared.as_deref(), &seen.head);
    limits.admit(&mime)?;
    let file = FileValue { id: file_id(), name, mime, size, sha256: digest.to_string() };
    Ok(UploadRow { file, owner: owner.to_owned(), note, created_at: now })
}

impl Seen {
    fn take(&mut self, piece: &Bytes) -> Result<(), StoreError> {
        self.size += piece.len() as u64;
        let missing = sniff::HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..missing.min(piece.len())]);
        if self.size <= self.most.0 {
            return Ok(());
        }
        let detail = format!("expected a file of at most {}, found a larger one", self.most);
        Err(self.stop(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, codes::UPLOAD_LIMIT, detail)
                .hint("split the file, or let the operator raise `[uploads] max_size`"),
        ))
    }

    /// Ends the file: what was stored of it is dropped.
    fn stop(&mut self, why: Problem) -> StoreError {
        let error = StoreError::Failed(why.said().to_owned());
        self.stopped = Some(why);
        error
    }
}

impl Uploads {
    /// Refuses what would take the room that runs need to record what they do.
    pub(crate) fn check_room(&self) -> Result<(), Problem> {
        let Some((folder, reserve)) = &self.room else { return Ok(()) };
        let room = Room::of(folder)?;
        let needed = reserve.needed(room);
        if room.free >= needed {
            return Ok(());
        }
        let detail =
            format!("no file is taken: the disk has {} free, expected at least {}", Size(room.free), Size(needed));
        Err(StoreError::Full(detail).into())
    }

    /// Refuses types that the operator does not want.
    fn admit(&self, mime: &str) -> Result<(), Problem> {
        let is_meant = |rule: &String| match rule.strip_suffix('*') {
            Some(begin) => mime.starts_with(begin),
            None => rule == mime,
        };
        if !self.refuse.iter().any(is_meant) {
            return Ok(());
        }
        let detail = format!("files of the type `{mime}` are not taken here");
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::UPLOAD_TYPE, detail)
            .hint("send the content in another format"))
    }
}

/// A form that is none, or ends too early.
fn unreadable(error: &MultipartError) -> Problem {
    let status = if error.status().is_server_error() { StatusCode::BAD_REQUEST } else { error.status() };
    Problem::new(status, codes::UPLOAD_REFUSED, format!("the form cannot be read: {}", error.body_text()))
        .hint("send a form with files: `curl -F file=@report.pdf`")
}
