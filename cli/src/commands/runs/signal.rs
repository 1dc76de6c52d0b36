//! `runs signal`.

use liteagent_engine::{
    codes,
    event::{Event, Record, SignalTo, Wait},
    store::RunPhase,
    value::Value,
};
use serde_json::json;

use super::{find, remote, show::read_all};
use crate::{
    answer,
    commands::run::ShowArgs,
    failure::{Exit, Failure},
    follow::{by, follow, go_on},
    platform::Platform,
    project::Project,
    remote::{
        Client,
        api::Reply,
        follow::{follow as follow_on, path, send_answer},
    },
    shell::Shell,
};

/// Answers a node that waits, and goes on with the run.
#[derive(clap::Args)]
pub(crate) struct Signal {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// The path of the node that waits, or the name of the signal
    #[arg(value_name = "NODE|NAME")]
    to: String,
    /// The action that a person chose
    #[arg(long, conflicts_with = "payload")]
    action: Option<String>,
    /// A field of the form; text as it is, other types as JSON
    #[arg(long, value_name = "NAME=VALUE", requires = "action")]
    form: Vec<String>,
    /// What the signal carries, as JSON
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
}

impl Signal {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let platform = Platform::open(project, self.show.progress(shell)).await?;
        let row = find(&*platform.stores.journal, &self.run).await?;
        if row.phase == RunPhase::Ended {
            return Err(Failure::usage(codes::RUN_STATE, format!("{} has ended", row.id))
                .hint(format!("`liteagent runs show {}` tells how", row.id)));
        }
        let asked = self.question(&platform, row.id).await?;
        let payload = self.payload(asked.as_ref())?;
        let to = if asked.is_some() { SignalTo::Node(self.to.clone()) } else { SignalTo::Name(self.to.clone()) };
        platform.progress.watch(row.id);
        platform.engine.signal(row.id, to, payload, by()).await?;
        go_on(&platform, row.id).await?;
        let exit = follow(&platform, row.id, shell, (&self.show).into()).await;
        platform.close().await?;
        exit
    }

    /// One of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let run = remote::find(client, &self.run).await?.id;
        if let Some(ask) = remote::asked(client, run, &self.to).await?.filter(|ask| !ask.is_null()) {
            let wait = Wait { signal: None, until: None, ask };
            send_answer(client, run, &self.to, &self.payload(Some(&wait))?).await?;
        } else {
            let body = json!({ "name": self.to, "payload": self.payload(None)? });
            client.send::<Reply>("POST", &path(run, "/signal"), &body).await?;
        }
        follow_on(client, run, &self.show.progress(shell), shell, (&self.show).into()).await
    }

    /// What the node waits for, when `to` is the path of one that does.
    async fn question(&self, platform: &Platform, run: liteagent_engine::id::RunId) -> Result<Option<Wait>, Failure> {
        let mut found = None;
        for record in read_all(&*platform.stores.journal, run).await? {
            let Ok(record) = serde_json::from_str::<Record>(&record.body) else { continue };
            if let Event::NodeWaiting { node, wait, .. } = record.event
                && node == self.to
            {
                found = Some(wait);
            }
        }
        Ok(found)
    }

    fn payload(&self, asked: Option<&Wait>) -> Result<Value, Failure> {
        if let Some(action) = &self.action {
            let question = asked.map_or(&Value::Null, |wait| &wait.ask);
            return Ok(answer::payload(action, answer::fields(question, &self.form)?));
        }
        if let Some(question) = asked.map(|wait| &wait.ask).filter(|ask| !ask.is_null() && self.payload.is_none()) {
            let actions: Vec<_> =
                question.get("actions").and_then(Value::as_object).into_iter().flat_map(|all| all.keys()).collect();
            let known = actions.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage(codes::WRONG_INPUT, format!("`{}` waits for one of {known}", self.to))
                .hint("say which with `--action`"));
        }
        let Some(payload) = &self.payload else { return Ok(Value::Null) };
        serde_json::from_str(payload).map_err(|error| {
            Failure::usage(codes::INPUT_UNREADABLE, format!("`--payload` is not JSON: {error}"))
                .hint("write text in double quotes: `--payload '\"paid\"'`")
        })
    }
}
