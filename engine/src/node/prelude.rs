//! What the file of a node type imports.

pub use std::sync::Arc;

pub use indexmap::IndexMap;
pub use schemars::{self, JsonSchema, Schema};
pub use serde::{Deserialize, Serialize};

pub use super::{
    Capability, ConfigError, ConfigFinding, Container, Effect, Example, Family, FrameClose, FrameInfo, Known, Node,
    NodeCtx, NodeMeta, Outcome, Resume, Spot,
};
pub use crate::{
    codes,
    error::{Code, ErrorClass, NodeError},
    event::{OnItemError, Wait, Write},
    queue::Group,
    scope::Scope,
    template::{SecretTemplate, Template, TemplateTree},
    types::Type,
    units::{Duration, Millis, Size},
    usage::{Usage, UsageReport},
    value::Value,
};
