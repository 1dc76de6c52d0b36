//! `runs restart`, `runs fork`: new runs that keep a part of another.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle,
    codes,
    engine::Cut,
    event::{Event, Record},
    id::RunId,
    value::Value,
};
use serde_json::json;

use super::{find, load_payload, remote};
use crate::{
    commands::run::ShowArgs,
    definition::load_for_use,
    failure::{Exit, Failure},
    follow::follow,
    inputs::InputArgs,
    platform::{Platform, open_stores},
    progress::count,
    project::Project,
    remote::{
        Client,
        api::{Reply, Workflow},
        follow::{follow as follow_on, path},
        segment,
    },
    shell::Shell,
};

/// Does a node and all that follows again, in a new run.
#[derive(clap::Args)]
pub(crate) struct Restart {
    /// The run to begin with; it stays as it is
    #[arg(value_name = "RUN")]
    run: String,
    /// The first node that is done again
    #[arg(long, value_name = "NODE")]
    from: String,
    #[command(flatten)]
    show: ShowArgs,
}

/// Does what changed again, in a new run.
#[derive(clap::Args)]
pub(crate) struct Fork {
    /// The run to begin with; it stays as it is
    #[arg(value_name = "RUN")]
    run: String,
    /// The definition of the new run; that of the old one without it
    #[arg(value_name = "FILE|NAME")]
    definition: Option<String>,
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    show: ShowArgs,
}

impl Restart {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        cut(project, shell, &self.show, &self.run, Cut::Restart { node: self.from.clone() }).await
    }
}

impl Restart {
    /// One of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let run = remote::find(client, &self.run).await?.id;
        let new: Reply = client.send("POST", &path(run, "/restart"), &json!({ "node": self.from })).await?;
        follow_on(client, new.id, &self.show.progress(shell), shell, (&self.show).into()).await
    }
}

impl Fork {
    /// Whether the new run is of a definition of this machine.
    pub(super) fn has_a_definition(&self) -> bool {
        self.definition.is_some()
    }

    /// One of a server: the old inputs with those that were given over them.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        if let Some(definition) = &self.definition {
            let message = format!("a server has its own workflows: `{definition}` is one of this machine");
            return Err(Failure::usage(codes::NOT_REMOTE, message).hint("deploy it, and leave it out here"));
        }
        let row = remote::find(client, &self.run).await?;
        let mut body = json!({});
        if !self.inputs.is_empty() {
            let workflow: Workflow = client.get(&format!("/api/workflows/{}", segment(&row.workflow))).await?;
            let mut inputs = self.inputs.read(&workflow.inputs())?;
            inputs.refuse_files()?;
            let before = remote::detail(client, row.id).await?.inputs;
            let members = before.as_object().into_iter().flatten();
            inputs.fill(members.map(|(name, value)| (name.to_string(), value.clone())));
            body = json!({ "inputs": inputs.values() });
        }
        let new: Reply = client.send("POST", &path(row.id, "/fork"), &body).await?;
        follow_on(client, new.id, &self.show.progress(shell), shell, (&self.show).into()).await
    }

    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let bundle = match &self.definition {
            Some(definition) => Some(Arc::new(load_for_use(&project.find(definition)?, shell)?)),
            None => None,
        };
        let inputs = self.inputs(project, bundle.as_deref()).await?;
        cut(project, shell, &self.show, &self.run, Cut::Fork { bundle, inputs }).await
    }

    /// The old inputs with those that were given over them; `None` when none were.
    async fn inputs(&self, project: &Project, bundle: Option<&Bundle>) -> Result<Option<Value>, Failure> {
        if self.inputs.is_empty() {
            return Ok(None);
        }
        let stores = open_stores(project).await?.stores;
        let row = find(&*stores.journal, &self.run).await?;
        let old = match bundle {
            Some(_) => None,
            None => stores.journal.bundle(&row.digest).await?.and_then(|text| Bundle::parse(&text).ok()),
        };
        let declared = bundle.or(old.as_ref()).and_then(Bundle::entry).map(|entry| entry.inputs.clone());
        let mut inputs = self.inputs.read(&declared.unwrap_or_default())?;
        let first = stores.journal.read(row.id, 0, 1).await?;
        let started = first.first().and_then(|record| serde_json::from_str::<Record>(&record.body).ok());
        if let Some(Event::RunStarted { inputs: before, .. }) = started.map(|record| record.event) {
            let before = load_payload(&stores, before).await?;
            let members = before.as_object().into_iter().flatten();
            inputs.fill(members.map(|(name, value)| (name.to_string(), value.clone())));
        }
        Ok(Some(inputs.values()))
    }
}

/// How many nodes a new run took from the old one.
async fn kept(platform: &Platform, run: RunId) -> Result<Option<u64>, Failure> {
    let first = platform.stores.journal.read(run, 0, 2).await?;
    let events = first.iter().filter_map(|record| serde_json::from_str::<Record>(&record.body).ok());
    Ok(events.map(|record| record.event).find_map(|event| match event {
        Event::RunForked { kept, .. } => Some(kept),
        _ => None,
    }))
}

async fn cut(project: &Project, shell: &Shell, show: &ShowArgs, from: &str, cut: Cut) -> Result<Exit, Failure> {
    let platform = Platform::open(project, show.progress(shell)).await?;
    let row = find(&*platform.stores.journal, from).await?;
    let run = platform.engine.fork(row.id, cut).await?;
    platform.progress.watch(run);
    if let Some(kept) = kept(&platform, run).await? {
        shell.note(format!("{run} keeps {} of {}", count(kept as usize, "settled node"), row.id));
    }
    let exit = follow(&platform, run, shell, show.into()).await;
    platform.close().await?;
    exit
}
