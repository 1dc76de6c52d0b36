//! Runs of a server.

use liteagent_engine::{id::RunId, store::RunRow};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{SEARCHED, no_run, several};
use crate::{
    failure::Failure,
    remote::{
        Client,
        api::{Detail, RunPage},
        follow::path,
    },
};

/// The run that a person means: a whole id, the end of one, or `last`.
pub(crate) async fn find(client: &Client, meant: &str) -> Result<RunRow, Failure> {
    if let Ok(id) = meant.parse::<RunId>() {
        return Ok(detail(client, id).await?.run.into());
    }
    let limit = if meant == "last" { 1 } else { SEARCHED };
    let page: RunPage = client.get(&format!("/api/runs?limit={limit}")).await?;
    let mut rows: Vec<RunRow> = page.runs.into_iter().map(RunRow::from).collect();
    if meant != "last" {
        rows.retain(|row| row.id.to_string().ends_with(meant));
    }
    match rows.len() {
        0 => Err(no_run(meant)),
        1 => Ok(rows.remove(0)),
        count => Err(several(meant, count)),
    }
}

/// A run with its inputs, its outputs and what it waits for.
pub(super) async fn detail(client: &Client, run: RunId) -> Result<Detail, Failure> {
    client.get(&path(run, "")).await
}

/// What a person is asked by a node that waits.
pub(super) async fn asked(
    client: &Client,
    run: RunId,
    node: &str,
) -> Result<Option<liteagent_engine::value::Value>, Failure> {
    let whole: Json = client.get(&path(run, "")).await?;
    let nodes = whole["nodes"].as_array().cloned().unwrap_or_default();
    let found = nodes.into_iter().find(|one| one["path"] == node && one["status"] == "waiting");
    Ok(found.map(|mut node| node["ask"].take().into()))
}

/// Does the same to many runs; gives those to which it was done.
pub(super) async fn bulk(client: &Client, body: &Json) -> Result<Vec<RunId>, Failure> {
    /// What became of many runs.
    #[derive(Deserialize)]
    struct Bulk {
        runs: Vec<One>,
        next: Option<RunId>,
    }
    /// What became of one.
    #[derive(Deserialize)]
    struct One {
        id: RunId,
        outcome: String,
    }
    let (mut body, mut done) = (body.clone(), Vec::new());
    loop {
        let answer: Bulk = client.send("POST", "/api/runs/bulk", &body).await?;
        done.extend(answer.runs.iter().filter(|run| run.outcome == "done").map(|run| run.id));
        let Some(next) = answer.next else { return Ok(done) };
        body["before"] = json!(next);
    }
}
