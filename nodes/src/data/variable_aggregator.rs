//! `variable-aggregator`: the first of several candidates that has a value.

use liteagent_engine::{
    node::prelude::*,
    scope::{NodeView, Root},
    template::{Compiled, Reads, Reference, Segment},
};

/// Gives the first of several candidates that has a value.
///
/// It joins branches: a candidate whose node was skipped or failed has no value, and neither has `null`. Then the
/// next one is tried. When no candidate has a value, the result is `null`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableAggregatorConfig {
    /// The candidates by name, in the order in which they are tried.
    #[schemars(extend("minProperties" = 1, "x-liteagent-optional" = true))]
    pub first: IndexMap<String, Vec<TemplateTree>>,
}

/// The values by name.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct VariableAggregatorOutput(#[schemars(with = "IndexMap<String, Value>")] Value);

/// See [`VariableAggregatorConfig`].
pub struct VariableAggregator {
    first: Vec<(Arc<str>, Vec<TemplateTree>)>,
}

impl Node for VariableAggregator {
    const TYPE: &'static str = "variable-aggregator";
    const META: NodeMeta = NodeMeta::pure(Family::Data, EXAMPLES);
    type Config = VariableAggregatorConfig;
    type Output = VariableAggregatorOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let empty = config.first.iter().find(|(_, candidates)| candidates.is_empty());
        let field = match empty {
            Some((name, _)) => format!("/first/{name}"),
            None if config.first.is_empty() => "/first".to_owned(),
            None => {
                let first = config.first.into_iter().map(|(name, candidates)| (name.into(), candidates));
                return Ok(Self { first: first.collect() });
            }
        };
        Err(ConfigError::new(codes::NOTHING_TO_DO, field, "expected at least one candidate, found none")
            .hint("list candidates: `first: { text: [\"{{ a.text }}\", \"{{ b.text }}\"] }`"))
    }

    fn output_schema(&self) -> Option<Schema> {
        let names: serde_json::Map<_, _> =
            self.first.iter().map(|(name, _)| (name.to_string(), serde_json::json!({}))).collect();
        Some(schemars::json_schema!({
            "type": "object",
            "required": names.keys().collect::<Vec<_>>(),
            "properties": names,
            "additionalProperties": false,
        }))
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let values = self.first.iter().map(|(name, candidates)| Ok((name.clone(), first_value(ctx, candidates)?)));
        let values = values.collect::<Result<Vec<_>, NodeError>>()?;
        Ok(Outcome::Done(VariableAggregatorOutput(Value::from_pairs(values))))
    }
}

fn first_value(ctx: &NodeCtx, candidates: &[TemplateTree]) -> Result<Value, NodeError> {
    for candidate in candidates.iter().filter(|candidate| is_there(ctx, candidate)) {
        let value = ctx.render_tree(candidate)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// Whether everything that the candidate must read is there.
fn is_there(ctx: &NodeCtx, candidate: &TemplateTree) -> bool {
    let mut references = candidate.templates().into_iter().flat_map(Compiled::references);
    references.all(|reference| reference.guarded || reference.reads != Reads::Output || has_value(ctx, reference))
}

fn has_value(ctx: &NodeCtx, reference: &Reference) -> bool {
    let root = match ctx.scope.get(&reference.root) {
        Some(Root::Node(NodeView::Ended { output, .. })) => output.clone(),
        Some(Root::Node(_)) => Value::Null,
        Some(Root::Value(value)) => value,
        // Not a root: what the template says of it is the better message.
        None => return true,
    };
    let mut value = &root;
    for segment in &reference.path {
        let next = match segment {
            Segment::Member(name) => value.get(name),
            Segment::Item(Some(index)) => value.as_list().and_then(|items| items.get(usize::try_from(*index).ok()?)),
            Segment::Item(None) => return true,
        };
        let Some(next) = next else { return false };
        value = next;
    }
    !value.is_null()
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Joins two branches",
        yaml: "\
type: variable-aggregator
first:
  text: [\"{{ bug.text }}\", \"{{ billing.text }}\"]
",
        scope: "{ bug: null, billing: { text: Here is your invoice. } }",
        gives: "{ output: { text: Here is your invoice. } }",
    },
    Example {
        title: "Nothing has a value",
        yaml: "\
type: variable-aggregator
first:
  text: [\"{{ bug.text }}\"]
  score: [\"{{ bug.score }}\", 0]
",
        scope: "bug: null",
        gives: "{ output: { text: null, score: 0 } }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    async fn first(candidates: &str, scope: &str) -> Value {
        let yaml = format!("type: variable-aggregator\nfirst: {{ x: [{candidates}] }}");
        let outcome = NodeTest::new(&crate::registry(), &yaml).scope(scope).run().await;
        outcome.get("output").and_then(|output| output.get("x")).cloned().unwrap_or(outcome)
    }

    #[tokio::test]
    async fn a_candidate_without_a_value_is_passed_over() {
        let scope = "{ a: { form: null, list: [], zero: 0, no: false, text: '' }, skipped: null }";
        assert_eq!(first("'{{ skipped.text }}', '{{ a.zero }}'", scope).await, value!(0));
        assert_eq!(first("'{{ a.form.reply }}', '{{ a.no }}'", scope).await, value!(false));
        assert_eq!(first("'{{ a.list[0] }}', '{{ a.text }}'", scope).await, value!(""));
        assert_eq!(first("'Hello {{ skipped.name }}', { n: '{{ a.zero }}' }", scope).await, value!({ "n": 0 }));
        assert_eq!(first("{ n: '{{ skipped.n }}' }", scope).await, value!(null));
    }

    #[test]
    fn a_name_needs_candidates() {
        for fields in ["{}", "{ x: [] }"] {
            let test = NodeTest::new(&crate::registry(), &format!("type: variable-aggregator\nfirst: {fields}"));
            assert_eq!(test.build().err().unwrap().code, codes::NOTHING_TO_DO);
        }
    }
}
