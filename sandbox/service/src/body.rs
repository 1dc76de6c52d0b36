//! Bodies, read in pieces against a limit.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;

use crate::problem::Problem;

/// How long a body may take.
const TIME: Duration = Duration::from_mins(1);
/// So many times the limit is read and thrown away before the connection is closed: a caller that is still writing when it
/// is closed never reads why.
const PATIENCE: usize = 4;
/// From this size on, reading or writing JSON is too much work for a thread that others wait for.
const HEAVY: usize = 256 * 1024;

/// Reads a body.
pub(crate) async fn read(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let read = tokio::time::timeout(TIME, read_all(body.into_data_stream(), most)).await;
    read.unwrap_or_else(|_| Err(Problem::too_slow()))
}

async fn read_all(mut pieces: BodyDataStream, most: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Problem::unreadable(format!("the body broke off: {error}")))?;
        length += piece.len();
        if length <= most {
            body.extend_from_slice(&piece);
        } else {
            body = Vec::new();
        }
        if length > most.saturating_mul(PATIENCE) {
            break;
        }
    }
    if length > most { Err(Problem::too_large(most)) } else { Ok(body) }
}

/// Works on `size` bytes: here when they are few, else on a thread of its own.
pub(crate) async fn work<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if size < HEAVY {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
