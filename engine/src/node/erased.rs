//! A node type without its types.

use std::{future::Future, pin::Pin, sync::Arc};

use indexmap::IndexMap;
use schemars::Schema;
use serde::Serialize;

use super::{ConfigFinding, Effect, FrameClose, FrameInfo, Known, Node, NodeCtx, Outcome, Registry, Resume, schema_of};
use crate::{
    composite::Inner,
    definition::NodeMap,
    error::NodeError,
    scope::Scope,
    template::{Compiled, Template},
    value::Value,
};

/// A node without its types: what plans and the executor hold.
pub trait ErasedNode: Send + Sync + 'static {
    /// See [`Node::ports`].
    fn ports(&self) -> Vec<String>;
    /// See [`Node::output_schema`].
    fn output_schema(&self) -> Schema;
    /// See [`Node::effect`].
    fn effect(&self) -> Effect;
    /// See [`Node::acts`].
    fn acts(&self) -> bool;
    /// See [`Node::branches`].
    fn branches(&self) -> IndexMap<String, NodeMap>;
    /// The nodes inside of it whose body does not stand in the file: of a composite, and of calls of tools.
    fn inner(&self, registry: &Registry) -> Vec<Inner>;
    /// See [`Node::check`].
    fn check(&self, known: &Known) -> Vec<ConfigFinding>;
    /// See [`Node::answer`].
    fn answer(&self) -> Option<&Template<String>> {
        None
    }
    /// See [`Node::starts`].
    fn starts(&self) -> Option<&str> {
        None
    }
    /// See [`Node::waits`].
    fn waits(&self) -> bool {
        false
    }
    /// See [`Node::inner_text`].
    fn inner_text(&self) -> Option<(&str, &Compiled)> {
        None
    }
    /// See [`Node::run`].
    fn run<'a>(&'a self, ctx: &'a NodeCtx) -> NodeFuture<'a>;
    /// See [`Node::resume`].
    fn resume<'a>(&'a self, ctx: &'a NodeCtx, event: Resume) -> NodeFuture<'a>;
    /// See [`Node::close_frame`].
    fn close_frame(&self, scope: &Arc<Scope>, frame: FrameInfo) -> Result<FrameClose, NodeError>;
}

/// One attempt of a node.
pub type NodeFuture<'a> = Pin<Box<dyn Future<Output = Result<Outcome<Value>, NodeError>> + Send + 'a>>;

impl<N: Node> ErasedNode for N {
    fn ports(&self) -> Vec<String> {
        Node::ports(self)
    }

    fn output_schema(&self) -> Schema {
        Node::output_schema(self).unwrap_or_else(schema_of::<N::Output>)
    }

    fn effect(&self) -> Effect {
        Node::effect(self)
    }

    fn acts(&self) -> bool {
        Node::acts(self)
    }

    fn branches(&self) -> IndexMap<String, NodeMap> {
        Node::branches(self)
    }

    fn inner(&self, registry: &Registry) -> Vec<Inner> {
        crate::composite::of_calls(self, registry)
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        Node::check(self, known)
    }

    fn answer(&self) -> Option<&Template<String>> {
        Node::answer(self)
    }

    fn starts(&self) -> Option<&str> {
        Node::starts(self)
    }

    fn waits(&self) -> bool {
        Node::waits(self)
    }

    fn inner_text(&self) -> Option<(&str, &Compiled)> {
        Node::inner_text(self)
    }

    fn run<'a>(&'a self, ctx: &'a NodeCtx) -> NodeFuture<'a> {
        Box::pin(async move { erase(Node::run(self, ctx).await?) })
    }

    fn resume<'a>(&'a self, ctx: &'a NodeCtx, event: Resume) -> NodeFuture<'a> {
        Box::pin(async move { erase(Node::resume(self, ctx, event).await?) })
    }

    fn close_frame(&self, scope: &Arc<Scope>, frame: FrameInfo) -> Result<FrameClose, NodeError> {
        Node::close_frame(self, scope, frame)
    }
}

fn erase<T: Serialize>(outcome: Outcome<T>) -> Result<Outcome<Value>, NodeError> {
    let output = |output: T| {
        Value::from_serialize(&output)
            .map_err(|error| NodeError::internal(format!("the output has no JSON form: {error}")))
    };
    Ok(match outcome {
        Outcome::Done(value) => Outcome::Done(output(value)?),
        Outcome::Port(port, value) => Outcome::Port(port, output(value)?),
        Outcome::Wrote(value, writes) => Outcome::Wrote(output(value)?, writes),
        Outcome::Wait(wait) => Outcome::Wait(wait),
        Outcome::Items { items, parallel, on_item_error } => Outcome::Items { items, parallel, on_item_error },
        Outcome::Rounds { state } => Outcome::Rounds { state },
        Outcome::Composite { fields, state } => Outcome::Composite { fields, state },
        Outcome::Calls { calls, parallel } => Outcome::Calls { calls, parallel },
        Outcome::Child { workflow, inputs } => Outcome::Child { workflow, inputs },
    })
}
