//! `workflow`: another workflow as a run of its own.

use liteagent_engine::{error::ErrorReport, node::prelude::*};

/// Runs another workflow and gives its outputs.
///
/// The other workflow is a run of its own, with its own journal. It is cancelled with this one, and a retry starts a
/// new one. A workflow cannot run itself, directly or through others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowConfig {
    /// The name of the workflow, `support/billing`, or a path that begins with `./`. No template.
    #[schemars(length(min = 1))]
    pub workflow: String,
    /// Its inputs by name. They are checked against what it declares.
    #[serde(default)]
    pub inputs: IndexMap<String, TemplateTree>,
}

/// The outputs of the other workflow, by name.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct WorkflowOutput(#[schemars(with = "IndexMap<String, Value>")] Value);

/// See [`WorkflowConfig`].
pub struct Workflow {
    config: WorkflowConfig,
}

impl Node for Workflow {
    const TYPE: &'static str = "workflow";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = WorkflowConfig;
    type Output = WorkflowOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.workflow.is_empty() || liteagent_engine::template::is_template(&config.workflow) {
            let message = format!("expected the name of a workflow, found `{}`", config.workflow);
            return Err(ConfigError::new(codes::WORKFLOW_NAME, "/workflow", message)
                .hint("write the name itself, as in `workflow: support/billing`; `if-else` chooses between several"));
        }
        Ok(Self { config })
    }

    fn starts(&self) -> Option<&str> {
        Some(&self.config.workflow)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let inputs = self.config.inputs.iter().map(|(name, value)| Ok((name.as_str(), ctx.render_tree(value)?)));
        Ok(Outcome::Child {
            workflow: self.config.workflow.clone(),
            inputs: Value::from_pairs(inputs.collect::<Result<Vec<_>, NodeError>>()?),
        })
    }

    async fn resume(&self, _: &NodeCtx, event: Resume) -> Result<Outcome<Self::Output>, NodeError> {
        match event {
            Resume::ChildEnded { result: Ok(outputs) } => Ok(Outcome::Done(WorkflowOutput(outputs))),
            Resume::ChildEnded { result: Err(error) } => Err(failed(&self.config.workflow, &error)),
            other => Err(NodeError::internal(format!("expected the end of a child run, found {other:?}"))),
        }
    }
}

/// The failure of a run that a node started. Its class decides about retries here, too.
pub(crate) fn failed(workflow: &str, error: &ErrorReport) -> NodeError {
    let place = error.node.as_deref().map(|node| format!(" at `{node}`")).unwrap_or_default();
    let message = format!("the workflow `{workflow}` failed{place} with {}: {}", error.code, error.message);
    let failed = NodeError::new(codes::CHILD_FAILED, error.class, message);
    match &error.hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Hands a ticket to another workflow",
        yaml: "\
type: workflow
workflow: support/billing
inputs:
  ticket: \"{{ inputs.ticket }}\"
  language: de
",
        scope: "inputs: { ticket: Where is my invoice? }",
        gives: "{ child: { workflow: support/billing, inputs: { ticket: Where is my invoice?, language: de } } }",
    },
    Example {
        title: "The name is never a template",
        yaml: "\
type: workflow
workflow: \"{{ inputs.which }}\"
",
        scope: "inputs: { which: support/billing }",
        gives: "{ error: LA1118 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    #[tokio::test]
    async fn the_end_of_the_child_is_the_end_of_the_node() {
        let node = NodeTest::new(&crate::registry(), "type: workflow\nworkflow: a/b").build().unwrap();
        let done = node.resume(Resume::ChildEnded { result: Ok(value!({ "total": 3 })) }).await;
        assert_eq!(done, value!({ "output": { "total": 3 } }));

        let report = ErrorReport {
            code: "LA2201".to_owned(),
            class: ErrorClass::Unavailable,
            message: "the endpoint answered 503".to_owned(),
            hint: None,
            node: Some("fetch".to_owned()),
        };
        let error = node.node.resume(&node.ctx, Resume::ChildEnded { result: Err(report) }).await.unwrap_err();
        assert_eq!((error.code, error.class), (codes::CHILD_FAILED, ErrorClass::Unavailable));
        assert_eq!(error.message, "the workflow `a/b` failed at `fetch` with LA2201: the endpoint answered 503");
    }
}
