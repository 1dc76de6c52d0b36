//! `runs usage`.

use liteagent_engine::{
    store::{DAY, UsageRow},
    time::{Clock as _, SystemClock},
    units::Money,
    usage::Usage,
};

use crate::{
    failure::{Exit, Failure},
    platform::open_stores_to_read,
    progress::{grouped, used},
    project::Project,
    remote::{Client, api::UsagePage},
    shell::Shell,
};

/// Shows what the runs that ended used of models, by day, workflow and model.
#[derive(clap::Args)]
pub(crate) struct ShowUsage {
    /// So many days, today included
    #[arg(long, default_value_t = 30, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

impl ShowUsage {
    pub(crate) async fn run(self, project: &Project, shell: &Shell) -> Result<Exit, Failure> {
        let stores = open_stores_to_read(project).await?.stores;
        let now = SystemClock.now();
        let rows = stores.journal.usage(now - DAY * i64::from(self.days - 1), now).await?;
        self.show(&rows, shell)
    }

    /// The same for the runs of a server.
    pub(super) async fn on(self, client: &Client, shell: &Shell) -> Result<Exit, Failure> {
        let page: UsagePage = client.get(&format!("/api/usage?days={}", self.days)).await?;
        self.show(&page.usage.into_iter().map(UsageRow::from).collect::<Vec<_>>(), shell)
    }

    fn show(&self, rows: &[UsageRow], shell: &Shell) -> Result<Exit, Failure> {
        if self.json {
            shell.json(&rows.iter().map(UsageRow::report).collect::<Vec<_>>())?;
        } else if rows.is_empty() {
            shell.note("no run that ended in these days used a model");
        } else {
            shell.out(table(rows))?;
        }
        Ok(Exit::Done)
    }
}

fn table(rows: &[UsageRow]) -> String {
    let width =
        |of: fn(&UsageRow) -> &str, head: &str| rows.iter().map(|row| of(row).len()).max().unwrap_or(0).max(head.len());
    let (workflow, model) = (width(|row| &row.workflow, "WORKFLOW"), width(|row| &row.model, "MODEL"));
    let mut lines = vec![format!(
        "{:10}  {:workflow$}  {:model$}  {:>6}  {:>7}  {:>12}  {:>12}  {:>12}",
        "DAY", "WORKFLOW", "MODEL", "RUNS", "CALLS", "IN", "OUT", "COST"
    )];
    let mut total = Usage::default();
    for row in rows {
        let Usage { calls, input_tokens, output_tokens, cost, .. } = row.usage;
        let cost = if cost == 0 { String::new() } else { Money(cost).to_string() };
        let line = format!(
            "{:10}  {:workflow$}  {:model$}  {:>6}  {:>7}  {:>12}  {:>12}  {cost:>12}",
            row.report().day,
            row.workflow,
            row.model,
            grouped(row.runs),
            grouped(calls),
            grouped(input_tokens),
            grouped(output_tokens),
        );
        lines.push(line.trim_end().to_owned());
        total += row.usage;
    }
    lines.push(format!("in all: {}", used(&total)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_a_table() {
        let row = |day, model: &str, cost| UsageRow {
            day: day * DAY,
            workflow: "chat/support".to_owned(),
            model: model.to_owned(),
            runs: 12,
            usage: Usage { calls: 40, input_tokens: 51_200, output_tokens: 900, cost, ..Usage::default() },
        };
        let rows = [row(20_000, "local/smollm2-135m-instruct", 0), row(20_001, "openai/gpt-4.1-mini", 21_900)];
        insta::assert_snapshot!(table(&rows), @r"
        DAY         WORKFLOW      MODEL                          RUNS    CALLS            IN           OUT          COST
        2024-10-04  chat/support  local/smollm2-135m-instruct      12       40        51,200           900
        2024-10-05  chat/support  openai/gpt-4.1-mini              12       40        51,200           900    0.0219 USD
        in all: 104,200 tokens in 80 calls, 0.0219 USD
        ");
    }
}
