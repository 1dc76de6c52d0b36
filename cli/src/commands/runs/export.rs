//! `runs export`.

use liteagent_engine::codes;
use serde_json::{Value, json};

use super::{find, show::read_all};
use crate::{
    failure::{Exit, Failure},
    platform::open_stores_to_read,
    project::Project,
    shell::Shell,
};

/// Prints a run as one JSON object: `run`, `bundle`, `records`. Secrets are in none of them.
#[derive(clap::Args)]
pub(crate) struct Export {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
}

impl Export {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores_to_read(project).await?.stores;
        let row = find(&*stores.journal, &self.run).await?;
        let bundle = match stores.journal.bundle(&row.digest).await? {
            Some(text) => parsed(&text)?,
            None => Value::Null,
        };
        let records: Vec<Value> = read_all(&*stores.journal, row.id)
            .await?
            .iter()
            .map(|record| parsed(&record.body))
            .collect::<Result<_, _>>()?;
        shell.json(&json!({ "format": 1, "run": row, "bundle": bundle, "records": records }))?;
        Ok(Exit::Done)
    }
}

fn parsed(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::platform(codes::STORE_DAMAGED, format!("the store is damaged: {error}")))
}
