//! What must be true of journals and effects, whatever happened to the processes that made them.

use std::collections::HashMap;

use liteagent_engine::{
    event::{Event, Record, RunStatus},
    id::RunId,
    store::{RunFilter, RunRow, Stores},
    view::RunView,
};

use crate::{counting::CountingServer, crash};

/// Nodes of the workflows of [`crash`] that call nobody.
const SILENT: [&str; 6] = ["note", "each", "child", "rounds", "compute", "rest"];

/// What the books say.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Every run.
    pub runs: Vec<RunId>,
    /// How often a node was lost while it ran.
    pub lost: u32,
    /// How often an effect happened again because of that.
    pub repeated: usize,
}

/// Reads every journal and every call, and compares.
///
/// # Panics
/// When they do not fit: a run has not succeeded, a journal has a gap, a finished node ran again, an effect is missing,
/// happened more often than its node was lost, or under two idempotency keys.
pub async fn audit(stores: &Stores, server: &CountingServer) -> Books {
    let mut calls = server.by_path();
    let mut books = Books::default();
    let runs = all_runs(stores).await;
    let failed: Vec<_> = runs.iter().filter(|run| run.status != Some(RunStatus::Succeeded)).collect();
    assert!(failed.is_empty(), "every run ends as without faults: {failed:#?}");
    for run in &runs {
        books.runs.push(run.id);
        audit_run(stores, run, &mut calls, &mut books).await;
    }
    assert!(calls.is_empty(), "effects of runs that nobody knows: {calls:?}");
    books
}

/// Every run, the newest first.
///
/// # Panics
/// When the store fails.
pub async fn all_runs(stores: &Stores) -> Vec<RunRow> {
    let mut all: Vec<RunRow> = Vec::new();
    loop {
        let filter = RunFilter { before: all.last().map(|run| run.id), limit: 1000, ..RunFilter::default() };
        let page = stores.journal.runs(filter).await.expect("the store answers");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn audit_run(stores: &Stores, run: &RunRow, calls: &mut HashMap<String, Vec<String>>, books: &mut Books) {
    let records = records(stores, run.id).await;
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record.seq, at as u64 + 1, "R1: {} has no gap and no double", run.id);
        let last = at + 1 == records.len();
        assert_eq!(matches!(record.event, Event::RunEnded { .. }), last, "R2: {}", run.id);
    }
    let mut settled: HashMap<&str, u32> = HashMap::new();
    for record in &records {
        if let Event::NodeSucceeded { node, .. } | Event::NodeSkipped { node, .. } = &record.event {
            *settled.entry(node).or_default() += 1;
        }
    }
    assert!(settled.values().all(|count| *count == 1), "a finished node of {} ran again: {settled:?}", run.id);

    let view = RunView::of(&records);
    let end = view.end.as_ref().expect("the last record is the end");
    assert_eq!(end.outputs.to_json(), crash::expected(&run.workflow), "{} ends as without faults", run.id);

    for (path, node) in &view.nodes {
        books.lost += node.losses;
        let Some(name) = effect_name(path) else { continue };
        let keys = calls.remove(&format!("/{}/{name}", run.id)).unwrap_or_default();
        let [first, again @ ..] = &*keys else { panic!("{path} of {} had no effect", run.id) };
        assert!(
            again.len() <= node.losses as usize,
            "{path} of {} acted {} times and was lost {} times",
            run.id,
            keys.len(),
            node.losses
        );
        assert!(keys.iter().all(|key| key == first && !key.is_empty()), "one idempotency key: {keys:?}");
        books.repeated += again.len();
    }
}

/// The journal of a run.
///
/// # Panics
/// When the store fails, or a record cannot be read.
pub async fn records(stores: &Stores, run: RunId) -> Vec<Record> {
    let stored = stores.journal.read(run, 0, usize::MAX >> 1).await.expect("the store answers");
    stored.iter().map(|record| serde_json::from_str(&record.body).expect("records can be read")).collect()
}

/// The last part of the URL that the node at a path calls; `None` for nodes that call nothing.
fn effect_name(path: &str) -> Option<String> {
    let frame = |container: &str| -> Option<(u32, &str)> {
        let (index, node) = path.strip_prefix(container)?.strip_prefix('[')?.split_once("].")?;
        Some((index.parse().ok()?, node))
    };
    if let Some((index, node)) = frame("each").or_else(|| frame("rounds")) {
        return Some(format!("{node}-{}", index + 1));
    }
    let name = path.strip_prefix("finally.").unwrap_or(path);
    (!SILENT.contains(&name)).then(|| name.to_owned())
}
