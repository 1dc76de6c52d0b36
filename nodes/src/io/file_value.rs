//! File values: opened by their id alone.

use bytes::Bytes;
use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
    node::NodeCtx,
    store::{FileValue, StoreError},
    value::Value,
};

/// Opens a file value. Only its `id` is believed; what else the object says is ignored.
pub(crate) async fn open(ctx: &NodeCtx, value: &Value, field: &str) -> Result<(FileValue, Bytes), NodeError> {
    let id = value.get("id").and_then(Value::as_str).ok_or_else(|| {
        wrong(format!("expected a file value in `{field}`, found {}", value.kind()))
            .hint("give it an input of type `file`, or the `file` of another node; `file-read` takes a `path`")
    })?;
    let found = ctx.files()?.open(ctx.run, id).await.map_err(store_failed)?;
    found.ok_or_else(|| {
        wrong(format!("the object in `{field}` is no file of this run"))
            .hint("pass on the file value as it is: an input of type `file`, or the `file` of another node")
    })
}

/// Stores a file for this run.
pub(super) async fn create(ctx: &NodeCtx, name: &str, mime: &str, content: Bytes) -> Result<FileValue, NodeError> {
    ctx.files()?.create(ctx.run, name, mime, content).await.map_err(store_failed)
}

/// The failure of a store, as a node reports it.
pub(super) fn store_failed(error: StoreError) -> NodeError {
    let class = match &error {
        StoreError::Full(_) => ErrorClass::LimitExceeded,
        StoreError::ReadOnly(_) => ErrorClass::Forbidden,
        StoreError::Failed(_) | StoreError::Objects { .. } => ErrorClass::Unavailable,
        StoreError::Damaged(_) | StoreError::NewerRun(_) | StoreError::Newer { .. } | StoreError::Older { .. } => {
            ErrorClass::Internal
        }
    };
    NodeError::new(error.code(), class, error.to_string())
        .hint("run `liteagent doctor`, then do this node again: `liteagent runs restart RUN --from NODE`")
}

/// The media type that the name of a file suggests.
pub(super) fn mime_of(name: &str) -> String {
    mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream").to_owned()
}

fn wrong(message: String) -> NodeError {
    NodeError::new(codes::FILES_VALUE, ErrorClass::Invalid, message)
}
