//! Reuse of earlier outputs: the key covers the type, the configuration, what its templates read, and the author's key.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::{
    error::NodeError,
    id::Digest,
    plan::PlanNode,
    scope::{NodeView, Root, Scope},
    template::{Reference, Segment},
    value::Value,
};

/// The key of an output in the cache; `None` when the node does not say `cache`.
pub(super) fn key(node: &PlanNode, scope: &Arc<Scope>) -> Result<Option<Digest>, NodeError> {
    let Some(policy) = &node.cache else { return Ok(None) };
    let user = policy.key.as_ref().map(|key| key.render(scope)).transpose()?;
    Ok(Some(fingerprint(node, scope, user.as_ref())))
}

/// A digest of everything that the output of a pure node depends on.
fn fingerprint(node: &PlanNode, scope: &Arc<Scope>, user: Option<&Value>) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(&node.kind);
    part(&node.config.to_string());
    if let Some(user) = user {
        part(&user.to_string());
    }
    for reference in &node.references {
        if &*reference.root != "secrets" {
            part(&read(scope, reference).to_string());
        }
    }
    Digest::from_hash(&hash.finalize())
}

fn read(scope: &Scope, reference: &Reference) -> Value {
    let mut value = match scope.get(&reference.root) {
        Some(Root::Value(value)) => value,
        Some(Root::Node(NodeView::Ended { output, error, .. })) => {
            Value::from_pairs([("output", output.clone()), ("error", error.clone().unwrap_or_default())])
        }
        Some(Root::Node(_)) | None => Value::Null,
    };
    for segment in &reference.path {
        value = match segment {
            Segment::Member(key) => match value.get(key) {
                Some(member) => member.clone(),
                None => break,
            },
            Segment::Item(_) => break,
        };
    }
    value
}
