//! Node types that reach outside: HTTP, files, state between runs.

use liteagent_engine::node::Registry;

pub mod file_list;
pub mod file_read;
pub(crate) mod file_value;
pub mod file_write;
pub(crate) mod folder;
pub mod http_request;
mod kv;
pub mod kv_get;
pub mod kv_set;
pub mod webhook_reply;

/// Adds the node types of this family.
pub fn register(registry: Registry) -> Registry {
    registry
        .with::<http_request::HttpRequest>()
        .with::<file_list::FileList>()
        .with::<file_read::FileRead>()
        .with::<file_write::FileWrite>()
        .with::<kv_get::KvGet>()
        .with::<kv_set::KvSet>()
        .with::<webhook_reply::WebhookReply>()
}
