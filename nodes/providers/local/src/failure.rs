//! What can fail, each with its code.

use std::{fmt::Display, path::Path};

use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
};

use crate::weights::Model;

const PULL: &str = "run `liteagent models pull`";

/// The name after `local/` is none of ours.
pub(crate) fn unknown(name: &str) -> NodeError {
    let names: Vec<String> = crate::weights::MODELS.iter().map(|model| format!("`{}`", model.full_name())).collect();
    NodeError::new(codes::LOCAL_UNKNOWN, ErrorClass::NotFound, format!("expected a local model, found `{name}`"))
        .hint(format!("use {}", names.join(" or ")))
}

/// A file of weights is not there.
pub(crate) fn missing(model: &Model, path: &Path) -> NodeError {
    let what = format!("expected the weights of `{}` in {}, found no such file", model.full_name(), path.display());
    NodeError::new(codes::LOCAL_MISSING, ErrorClass::NotFound, what)
        .hint(format!("{PULL}: it downloads {} MB once", model.download / 1_000_000))
}

/// A file of weights cannot be used.
pub(crate) fn broken(path: &Path, what: impl Display) -> NodeError {
    NodeError::new(codes::LOCAL_BROKEN, ErrorClass::Invalid, format!("cannot use {}: {what}", path.display()))
        .hint(format!("{PULL}: it replaces files that are broken"))
}

/// Weights could not be fetched.
pub(crate) fn fetch(model: &Model, what: impl Display, hint: &str) -> NodeError {
    let what = format!("cannot fetch the weights of `{}`: {what}", model.full_name());
    NodeError::new(codes::LOCAL_FETCH, ErrorClass::Unavailable, what).hint(hint)
}

/// The model is there, and is not made for this.
pub(crate) fn unable(model: &Model, what: &str) -> NodeError {
    let hint = if model.chats {
        "use a model of another provider; `liteagent models list` shows what there is"
    } else {
        "it makes vectors of texts: use it where an embedding model is wanted"
    };
    NodeError::new(codes::LOCAL_UNABLE, ErrorClass::Invalid, format!("`{}` cannot {what}", model.full_name()))
        .hint(hint)
}

/// An answer cannot be held to a schema.
pub(crate) fn schema(what: String) -> NodeError {
    NodeError::new(
        codes::LOCAL_SCHEMA,
        ErrorClass::Invalid,
        format!("a local model cannot be held to this schema: {what}"),
    )
    .hint("use a simpler schema, or a model of another provider")
}

/// A question leaves no room for an answer.
pub(crate) fn context(tokens: usize, context: usize) -> NodeError {
    let what = format!("expected a question of fewer than {context} tokens, found {tokens}");
    NodeError::new(codes::LOCAL_CONTEXT, ErrorClass::LimitExceeded, what)
        .hint("give it fewer passages or a shorter history: `history: { tokens: 4000 }`")
}
