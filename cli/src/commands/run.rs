//! `run`: starts a run and follows it.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    codes,
    definition::{self, Definition},
    engine::Start,
    id::RunId,
    time::{Clock as _, SystemClock, iso},
    value,
    value::Value,
};
use serde_json::json;

use crate::{
    config::models::{asks_default, notice},
    definition::load_for_use,
    failure::{Exit, Failure},
    follow::{by, follow},
    inputs::{InputArgs, Inputs},
    platform::{Platform, block_on},
    progress::{Detail, Progress},
    project::Project,
    remote::{
        self, Choice, Client,
        api::{Reply, Workflow},
        segment,
    },
    sandbox,
    shell::Shell,
};

/// Starts a run of a workflow, shows it while it goes on, and prints its outputs.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// The file, or the name of the workflow
    #[arg(value_name = "FILE|NAME")]
    workflow: String,
    #[command(flatten)]
    inputs: InputArgs,
    /// Fires this trigger of the workflow by hand: its inputs are taken, `--input` wins over them
    #[arg(long, value_name = "KEY")]
    trigger: Option<String>,
    /// The conversation that the run belongs to
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Whom the run is about: `liteagent forget --subject` deletes it by this
    #[arg(long, value_name = "SUBJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    subject: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
}

/// How a run is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Prints one JSON object with status and outputs, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Shows the nodes of every frame too
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

impl ShowArgs {
    /// What shows the run.
    pub(crate) fn progress(&self, shell: &Shell) -> Arc<Progress> {
        let detail = match (self.json, self.verbose) {
            (true, _) => Detail::Nothing,
            (false, true) => Detail::Frames,
            (false, false) => Detail::Nodes,
        };
        Arc::new(Progress::new(detail, shell.is_live(), shell.colors_err()))
    }
}

impl Run {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        if let Some(server) = server.named()? {
            return block_on(self.on(&Client::open(server)?, shell));
        }
        let project = Project::here()?;
        let path = project.find(&self.workflow)?;
        let bundle = Arc::new(load_for_use(&path, shell)?);
        sandbox::check(&project, &bundle)?;
        let definition = entry(&bundle)?;
        let trigger = self.trigger(definition)?;
        let id = RunId::random();
        let mut inputs = self.inputs.read(&definition.inputs)?;
        if let Some(key) = &self.trigger {
            inputs.fill(inputs_of_trigger(&bundle, id, key, &trigger)?);
        }
        inputs.ask(&definition.inputs, shell)?;
        block_on(self.start(shell, &project, id, bundle, inputs, trigger))
    }

    /// Starts it on a server, and follows it from here.
    async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        if self.trigger.is_some() {
            return Err(Failure::usage(codes::NOT_REMOTE, "a server fires its triggers itself")
                .hint("leave `--trigger` out, and give the inputs; POST /api/schedules/{workflow}/{name}/fire fires a schedule"));
        }
        let workflow: Workflow = client.get(&format!("/api/workflows/{}", segment(&self.workflow))).await?;
        let declared = workflow.inputs();
        let mut inputs = self.inputs.read(&declared)?;
        inputs.refuse_files()?;
        inputs.ask(&declared, shell)?;
        let body = json!({
            "workflow": workflow.name,
            "inputs": inputs.values(),
            "mode": "async",
            "conversation": self.conversation,
            "subject": self.subject,
        });
        // Whatever becomes of the connection, it begins once.
        let key = RunId::random().to_string();
        let started: Reply = match client.send_once("/api/runs", &key, &body).await {
            Err(failure) if failure.code == Some(codes::SERVER_UNREACHABLE) => {
                client.send_once("/api/runs", &key, &body).await?
            }
            started => started?,
        };
        remote::follow::follow(client, started.id, &self.show.progress(shell), shell, (&self.show).into()).await
    }

    async fn start(
        &self,
        shell: &Shell,
        project: &Project,
        id: RunId,
        bundle: Arc<Bundle>,
        mut inputs: Inputs,
        trigger: Value,
    ) -> Result<Exit, Failure> {
        let platform = Platform::open(project, self.show.progress(shell)).await?;
        if !self.show.json && asks_default(&bundle, &liteagent_nodes::registry()) {
            shell.note(notice(&platform.models));
        }
        inputs.upload(id, &*platform.files, &entry(&bundle)?.inputs).await?;
        platform.progress.watch(id);
        let start = Start {
            id: Some(id),
            user: by().map_or(Value::Null, |name| value!({ "name": name })),
            conversation: self.conversation.clone(),
            subject: self.subject.clone(),
            ..Start::new(bundle, inputs.values(), trigger)
        };
        let run = platform.engine.start(start).await?;
        let exit = follow(&platform, run, shell, (&self.show).into()).await;
        platform.close().await?;
        exit
    }

    /// `trigger` as templates see it.
    fn trigger(&self, definition: &Definition) -> Result<Value, Failure> {
        let Some(key) = &self.trigger else { return Ok(value!({ "type": "cli" })) };
        let declared = definition.triggers.get(key);
        if let Some(kind) = declared.map(definition::Trigger::kind).filter(|kind| *kind != "schedule") {
            let message = format!("the workflow has no schedule `{key}`: its type is `{kind}`");
            return Err(Failure::usage(codes::UNKNOWN_NAME, message).hint("leave `--trigger` out, and give the inputs"));
        }
        if declared.is_none() {
            let known = definition.triggers.keys().map(String::as_str);
            return Err(Failure::usage(codes::UNKNOWN_NAME, format!("the workflow has no trigger `{key}`")).near(
                key,
                known,
                "look under `triggers` in the workflow",
            ));
        }
        Ok(value!({ "type": "schedule", "name": key, "scheduled_at": iso(SystemClock.now()), "previous_at": null }))
    }
}

fn entry(bundle: &Bundle) -> Result<&Definition, Failure> {
    bundle.entry().ok_or_else(|| Failure::platform(codes::NODE_PANICKED, "the bundle does not hold its own workflow"))
}

fn inputs_of_trigger(
    bundle: &Arc<Bundle>,
    id: RunId,
    key: &str,
    trigger: &Value,
) -> Result<Vec<(String, Value)>, Failure> {
    let Some(declared) = entry(bundle)?.triggers.get(key) else { return Ok(Vec::new()) };
    let start = Start::triggered(bundle.clone(), id, declared.inputs(), trigger.clone(), SystemClock.now())
        .map_err(|error| Failure::usage(error.code, format!("the trigger `{key}`: {error}")))?;
    let inputs = start.inputs.as_object().into_iter().flatten();
    Ok(inputs.map(|(name, value)| (name.to_string(), value.clone())).collect())
}
