//! `runs show`.

use liteagent_engine::{
    error::ErrorReport,
    event::{Event, Record, RunStatus},
    id::RunId,
    store::{Journal, RunPhase, RunRow, StoredRecord},
    time::iso,
    units::Millis,
    usage::Spent,
    value::Value,
    view::check_readable,
};

use super::{find, load_payload, standing};
use crate::{
    commands::logs::records,
    failure::{Exit, Failure},
    follow::{described, runs},
    platform::open_stores_to_read,
    progress::{Story, count, duration, used},
    project::Project,
    remote::{Client, api::Detail},
    shell::Shell,
};

/// So many records are read at a time.
const PAGE: usize = 5_000;

/// Shows what happened in a run.
#[derive(clap::Args)]
pub(crate) struct Show {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Every record as a line of JSON
    #[arg(long)]
    journal: bool,
    /// Shows the nodes of every frame too
    #[arg(long, short)]
    verbose: bool,
}

impl Show {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores_to_read(project).await?.stores;
        let row = find(&*stores.journal, &self.run).await?;
        if self.journal {
            for record in read_all(&*stores.journal, row.id).await? {
                shell.out(&*record.body)?;
            }
            return Ok(Exit::Done);
        }
        let ahead = match row.phase {
            RunPhase::Queued => stores.journal.ahead(row.id).await?,
            _ => Vec::new(),
        };
        let mut lines = head(&row, &ahead);
        if row.phase != RunPhase::Ended
            && let Err(error) = check_readable(&stores, &row).await
        {
            lines.extend([
                format!("error[{}]: {error}", error.code()),
                format!("  = help: {}", error.hint()),
                String::new(),
            ]);
        }
        let mut story = Story::new(self.verbose, shell.colors_out());
        let mut end = Vec::new();
        for record in read_all(&*stores.journal, row.id).await? {
            let record = match read(&record) {
                Ok(record) => record,
                Err(unknown) => {
                    lines.push(unknown);
                    continue;
                }
            };
            lines.extend(line(&mut story, &record, row.created_at));
            if let Event::RunEnded { outputs, error, handled_errors, .. } = record.event {
                let outputs = match outputs {
                    Some(outputs) => Some(load_payload(&stores, outputs).await?),
                    None => None,
                };
                end = ending(outputs.as_ref(), error.as_ref(), handled_errors);
            }
        }
        lines.extend(end);
        lines.extend(usage(story.total()));
        shell.out(lines.join("\n"))?;
        Ok(Exit::Done)
    }
}

impl Show {
    /// One of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let id = super::remote::find(client, &self.run).await?.id;
        let records = records(client, id).await?;
        if self.journal {
            for record in records {
                shell.out(record.to_string())?;
            }
            return Ok(Exit::Done);
        }
        let Detail { run, outputs, failure, handled_errors, .. } = super::remote::detail(client, id).await?;
        let row = RunRow::from(run);
        let mut story = Story::new(self.verbose, shell.colors_out());
        let mut lines = head(&row, &[]);
        for record in records {
            match serde_json::from_value(record) {
                Ok(record) => lines.extend(line(&mut story, &record, row.created_at)),
                Err(_) => lines.push(format!("{:>10}  a record of a kind that this release does not know", "")),
            }
        }
        if row.status.is_some() {
            let outputs = row.status.filter(|status| *status == RunStatus::Succeeded).map(|_| &outputs);
            lines.extend(ending(outputs, failure.as_ref(), handled_errors));
        }
        lines.extend(usage(story.total()));
        shell.out(lines.join("\n"))?;
        Ok(Exit::Done)
    }
}

/// Every node of a run with its times, frames too, as lines.
pub(crate) async fn told(journal: &dyn Journal, run: RunId, color: bool) -> Result<Vec<String>, Failure> {
    let mut story = Story::new(true, color);
    let records = read_all(journal, run).await?;
    let begin = records.first().map_or(0, |record| record.at);
    let tell = |record| match read(record) {
        Ok(record) => line(&mut story, &record, begin),
        Err(unknown) => Some(unknown),
    };
    Ok(records.iter().filter_map(tell).collect())
}

/// A record; for one that a newer release wrote, a line that says so. `--journal` shows it as it is.
fn read(record: &StoredRecord) -> Result<Record, String> {
    let unknown = |_| format!("{:>10}  record {} is of a kind that this release does not know", "", record.seq);
    serde_json::from_str(&record.body).map_err(unknown)
}

/// What a person sees of a record, and when it was.
fn line(story: &mut Story, record: &Record, begin: Millis) -> Option<String> {
    let text = story.tell(record)?.replace('\n', &format!("\n{:10}", ""));
    Some(format!("{:>10}{text}", duration(record.at - begin)))
}

/// What was used in all, and of which model when there is more than one.
fn usage(spent: &Spent) -> Vec<String> {
    let total = spent.total();
    if total.calls == 0 {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("used      {}", used(&total))];
    if spent.models.len() > 1 {
        lines.extend(spent.models.iter().map(|(model, usage)| format!("          {model}: {}", used(usage))));
    }
    lines
}

/// Every stored record of a run.
pub(super) async fn read_all(journal: &dyn Journal, run: RunId) -> Result<Vec<StoredRecord>, Failure> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map_or(0, |record: &StoredRecord| record.seq);
        let page = journal.read(run, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn head(row: &RunRow, ahead: &[RunId]) -> Vec<String> {
    let mut lines = vec![
        format!("run       {}", row.id),
        format!("workflow  {} ({})", row.workflow, row.digest.as_str().get(..12).unwrap_or_default()),
        format!("status    {}", standing(row)),
        format!("started   {} by {}", iso(row.created_at), row.trigger),
    ];
    lines.extend(row.parent.as_ref().map(|parent| match &*parent.node {
        // A server tells only which run.
        "" => format!("parent    {}", parent.run),
        node => format!("parent    {} at `{node}`", parent.run),
    }));
    lines.extend(row.wake_at.map(|at| format!("wakes     {}", iso(at))));
    lines.extend((!ahead.is_empty()).then(|| format!("waits     for {} to end", runs(ahead))));
    lines.extend(row.subject.as_ref().map(|subject| format!("about     {subject}")));
    lines.extend(row.conversation.as_ref().map(|id| format!("belongs   to the conversation {id}")));
    lines.push(String::new());
    lines
}

fn ending(outputs: Option<&Value>, error: Option<&ErrorReport>, handled_errors: u32) -> Vec<String> {
    let mut lines = vec![String::new()];
    if handled_errors > 0 {
        lines.push(count(handled_errors as usize, "handled error"));
    }
    if let Some(error) = error {
        lines.push(format!("error[{}]: {}", error.code, described(error)));
        lines.extend(error.hint.as_ref().map(|hint| format!("  = help: {hint}")));
    }
    if let Some(outputs) = outputs {
        lines.push(format!("outputs {}", serde_json::to_string_pretty(outputs).unwrap_or_default()));
    }
    lines
}
