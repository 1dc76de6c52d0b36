//! Passages that an answer comes from, and which of them it names.

use std::collections::BTreeSet;

use liteagent_engine::{node::prelude::*, scope::NodeView, value::Object};

/// The documents of the field `context`.
pub(super) fn given(value: &Value) -> Result<Vec<Value>, NodeError> {
    let misfit = |found: &Value| {
        NodeError::new(
            codes::MODEL_CONTEXT,
            ErrorClass::Invalid,
            format!("expected texts or documents with `content` in `context`, found {}", found.kind()),
        )
        .hint("give it the `documents` of a `knowledge-retrieval`, or a list of texts")
    };
    let documents = match value {
        Value::Null => return Ok(Vec::new()),
        Value::List(documents) => documents.as_slice(),
        one => std::slice::from_ref(one),
    };
    let document = |document: &Value| match document {
        Value::String(text) => Ok(Value::from_pairs([("content", Value::String(text.clone()))])),
        Value::Object(members) if members.get("content").is_some_and(|content| content.as_str().is_some()) => {
            Ok(document.clone())
        }
        other => Err(misfit(other)),
    };
    documents.iter().map(document).collect()
}

/// The documents of the retrieval whose numbered passages stand in the messages: that of the first node that the
/// templates read and that has both.
pub(super) fn retrieved(scope: &Scope) -> Vec<Value> {
    let documents = scope.nodes.iter().find_map(|(_, node)| match node {
        NodeView::Ended { output, .. } => {
            output.get("context")?.as_str()?;
            output.get("documents")?.as_list()
        }
        _ => None,
    });
    documents.unwrap_or_default().to_vec()
}

/// The passages that a text names as `[2]` or `[1, 3]`, each with its `number`, in the order of their first mention.
pub(super) fn named(text: &str, passages: &[Value]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for bracket in text.split('[').skip(1) {
        let Some((inside, _)) = bracket.split_once(']') else { continue };
        let numbers: Option<Vec<usize>> = inside.split(',').map(|number| number.trim().parse().ok()).collect();
        for number in numbers.into_iter().flatten() {
            let passage = number.checked_sub(1).and_then(|index| passages.get(index));
            if let Some(Value::Object(members)) = passage
                && seen.insert(number)
            {
                let mut citation = Object::default();
                citation.insert("number".into(), Value::from(number as u64));
                citation.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
                found.push(Value::Object(Arc::new(citation)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_that_are_no_numbers_of_passages_are_no_citations() {
        let passages = [1, 2, 3].map(|n| Value::from_pairs([("content", Value::from(format!("p{n}")))]));
        let numbers = |text: &str| {
            let found = named(text, &passages);
            found.iter().map(|citation| citation.get("number").and_then(Value::as_i64).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers("So it is [3], and [1, 3] too. See [note], [4], [0], [2"), [3, 1]);
        assert_eq!(numbers("a[1]"), [1]);
        assert_eq!(numbers(""), [] as [i64; 0]);
    }
}
