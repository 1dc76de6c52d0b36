//! `chat`: a conversation with a workflow.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    capability::model::{Models as _, ToolUse},
    codes,
};
use serde_json::Value as Json;

use crate::{
    chat::{Chat as Conversation, Opening},
    config::models::{asks_default, notice},
    definition::load_for_use,
    failure::{Exit, Failure},
    inputs::InputArgs,
    platform::block_on,
    project::Project,
    sandbox,
    shell::Shell,
};

/// Talks with a workflow that has a `conversation`. On a terminal it asks for message after message; else each line of stdin is
/// one. Answers go to stdout as they come, everything else to stderr.
#[derive(clap::Args)]
pub(crate) struct Chat {
    /// The file, or the name of the workflow
    #[arg(value_name = "FILE|NAME")]
    workflow: String,
    #[command(flatten)]
    inputs: InputArgs,
    /// Goes on with this conversation, or begins one under this id
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    conversation: Option<String>,
    /// Says this, and leaves after the answer
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Whom the conversation is about: `liteagent forget --subject` deletes it by this
    #[arg(long, value_name = "SUBJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    subject: Option<String>,
    /// Prints a line of JSON for each turn, and nothing else
    #[arg(long)]
    json: bool,
}

impl Chat {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let path = project.find(&self.workflow)?;
        let bundle = Arc::new(load_for_use(&path, shell)?);
        if bundle.entry().is_none_or(|entry| entry.conversation.is_none()) {
            let message = format!("expected a chat workflow, found `{}`, which has no `conversation`", bundle.entry);
            return Err(Failure::usage(codes::NOT_A_CHAT, message).hint(format!(
                "add `conversation: {{}}` and read `inputs.message`, or run it: `liteagent run {}`",
                self.workflow
            )));
        }
        sandbox::check(&project, &bundle)?;
        let opening = Opening {
            name: self.workflow,
            bundle: bundle.clone(),
            inputs: self.inputs,
            conversation: self.conversation,
            subject: self.subject,
            message: self.message,
            json: self.json,
        };
        block_on(async {
            let chat = Conversation::open(shell, &project, opening).await?;
            if !self.json && asks_default(&bundle, &liteagent_nodes::registry()) {
                shell.note(notice(chat.models()));
                let default = chat.models().describe("default");
                if let Some(info) = default.ok().filter(|info| info.tools == ToolUse::No && has_tools(&bundle)) {
                    shell.note(format!(
                        "this workflow has tools, and {} is not made to call any: do not trust what it does with them",
                        info.name
                    ));
                }
            }
            chat.talk().await
        })
    }
}

/// Whether a node of a bundle's own workflow gives tools to a model.
fn has_tools(bundle: &Bundle) -> bool {
    fn any(nodes: &Json) -> bool {
        let nodes = nodes.as_object().into_iter().flatten();
        nodes
            .into_iter()
            .any(|(_, node)| node["tools"].as_object().is_some_and(|tools| !tools.is_empty()) || any(&node["nodes"]))
    }
    serde_json::to_value(bundle).is_ok_and(|json| any(&json["workflows"][bundle.entry.as_str()]["nodes"]))
}
