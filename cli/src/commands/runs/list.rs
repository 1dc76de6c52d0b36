//! `runs list`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use liteagent_engine::{
    store::{RunFilter, RunPhase, RunRow},
    time::iso,
    units::Money,
    view::check_readable,
};
use liteagent_server::Standing;

use super::standing;
use crate::{
    failure::{Exit, Failure},
    platform::open_stores_to_read,
    progress::{duration, grouped},
    project::Project,
    remote::{Client, api::RunPage, segment},
    shell::Shell,
};

/// Lists runs, newest first.
#[derive(clap::Args)]
pub(crate) struct List {
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only runs that stand so
    #[arg(long, value_parser = standings())]
    status: Option<Standing>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// The names that `--status` takes.
pub(super) fn standings() -> impl TypedValueParser<Value = Standing> {
    let of = |name: String| Standing::ALL.into_iter().find(|one| one.as_str() == name).ok_or("there is no such status");
    PossibleValuesParser::new(Standing::ALL.map(Standing::as_str)).try_map(of)
}

impl List {
    /// Lists runs that are held.
    pub(super) fn held(workflow: Option<String>, limit: u32, json: bool) -> Self {
        Self { workflow, status: Some(Standing::Held), limit, json }
    }

    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores_to_read(project).await?.stores;
        let mut rows = stores.journal.runs(self.filter()).await?;
        // What nobody here can go on with stays in the queue.
        for row in rows.iter_mut().filter(|row| row.phase == RunPhase::Queued) {
            if let Err(error) = check_readable(&stores, row).await {
                row.error = Some(format!("{}: {error}", error.code()));
            }
        }
        if self.json {
            shell.json(&rows)?;
            return Ok(Exit::Done);
        }
        self.print(&rows, shell)
    }

    /// Those of a server.
    pub(crate) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let mut path = format!("/api/runs?limit={}", self.limit);
        if let Some(workflow) = &self.workflow {
            path.push_str(&format!("&workflow={}", segment(workflow)));
        }
        if let Some(status) = self.status {
            path.push_str(&format!("&status={}", status.as_str()));
        }
        if self.json {
            let page: serde_json::Value = client.get(&path).await?;
            shell.json(&page["runs"])?;
            return Ok(Exit::Done);
        }
        let page: RunPage = client.get(&path).await?;
        let rows: Vec<RunRow> = page.runs.into_iter().map(RunRow::from).collect();
        self.print(&rows, shell)
    }

    fn print(&self, rows: &[RunRow], shell: &Shell) -> Result<Exit, Failure> {
        if rows.is_empty() {
            shell.note(if self.workflow.is_some() || self.status.is_some() {
                "no such runs; leave out `--workflow` and `--status` to see all"
            } else {
                "no runs here yet; `liteagent run NAME` starts one"
            });
            return Ok(Exit::Done);
        }
        let width = rows.iter().map(|row| row.workflow.len()).max().unwrap_or(0).max(8);
        // Columns that would be empty are left out.
        let used = rows.iter().any(|row| row.usage.calls > 0);
        let mut head = format!("{:30}  {:width$}  {:9}  {:24}  {:>10}", "RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK");
        if used {
            head.push_str(&format!("  {:>9}  {:>12}", "TOKENS", "COST"));
        }
        let mut lines = vec![head];
        lines.extend(rows.iter().map(|row| line(row, width, used)));
        shell.out(lines.join("\n"))?;
        Ok(Exit::Done)
    }

    fn filter(&self) -> RunFilter {
        let filter = self.status.map(Standing::filter).unwrap_or_default();
        RunFilter { workflow: self.workflow.clone(), limit: self.limit, ..filter }
    }
}

fn line(row: &RunRow, width: usize, used: bool) -> String {
    let took = if row.phase == RunPhase::Ended { duration(row.updated_at - row.created_at) } else { String::new() };
    let error = row.error.as_deref().unwrap_or_default();
    let usage = match (used, row.usage.calls, row.usage.cost) {
        (false, ..) => String::new(),
        (true, 0, _) => format!("{:25}", ""),
        (true, _, 0) => format!("  {:>9}{:14}", grouped(row.usage.tokens()), ""),
        (true, _, cost) => format!("  {:>9}  {:>12}", grouped(row.usage.tokens()), Money(cost).to_string()),
    };
    let line = format!(
        "{}  {:width$}  {:9}  {}  {took:>10}{usage}  {error}",
        row.id,
        row.workflow,
        standing(row),
        iso(row.created_at)
    );
    line.trim_end().to_owned()
}
