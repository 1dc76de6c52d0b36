//! A test made from a run: its inputs, what its nodes gave, how it ended.

use std::collections::HashSet;

use indexmap::IndexMap;
use liteagent_engine::{
    bundle::Bundle,
    id::RunId,
    node::{Effect, Registry},
    store::{StoreError, Stores},
    view::{NodeSeen, RunView, ViewStatus},
};
use serde_json::{Value as Json, json};

use super::{lookup::Lookup, path::shown};

/// The text of a test file that repeats a run, with everything outside faked as it was.
///
/// # Errors
/// When the store fails.
pub(crate) async fn record(
    stores: &Stores,
    run: RunId,
    bundle: &Bundle,
    registry: &Registry,
) -> Result<String, StoreError> {
    let lookup = Lookup::new(bundle, registry);
    let view = RunView::load(stores, run).await?;
    let mut fakes = IndexMap::new();
    let mut open = vec![(run, String::new())];
    let mut known = HashSet::from([run]);
    while let Some((run, before)) = open.pop() {
        for (path, node) in &RunView::load(stores, run).await?.nodes {
            let full = format!("{before}{}", shown(path));
            let Ok(def) = lookup.node(&full) else { continue };
            if def.config.contains_key("workflow") {
                let child = RunId::child(run, path, node.attempt);
                if known.insert(child) && stores.journal.run(child).await?.is_some() {
                    open.push((child, format!("{full}.")));
                }
                continue;
            }
            let acts = lookup.build(&def).is_some_and(|node| node.effect() != Effect::Pure);
            if acts || def.kind == "human-input" {
                fakes.extend(fake(node).map(|fake| (full, fake)));
            }
        }
    }
    Ok(text(run, &view, &fakes))
}

/// What a node gave.
fn fake(node: &NodeSeen) -> Option<Json> {
    let failed = |times: Option<usize>| {
        let (_, error) = node.failures.last()?;
        let mut fail = json!({ "class": error.class, "code": error.code, "message": error.message });
        if let Some(times) = times {
            fail["times"] = times.into();
        }
        Some(fail)
    };
    match &node.status {
        ViewStatus::Succeeded { port, output, .. } => {
            let mut fake = json!({});
            if let Some(fail) = failed(Some(node.failures.len())) {
                fake["fail"] = fail;
            }
            if let Some(port) = port {
                fake["port"] = port.as_str().into();
            }
            fake["outputs"] = output.to_json();
            Some(fake)
        }
        ViewStatus::Failed { .. } => Some(json!({ "fail": failed(None)? })),
        _ => None,
    }
}

fn text(run: RunId, view: &RunView, fakes: &IndexMap<String, Json>) -> String {
    let mut text = format!("workflow: {}\ntests:\n  - name: as in {run}\n", view.workflow);
    text.push_str(&format!("    inputs: {}\n", view.inputs));
    if !fakes.is_empty() {
        text.push_str("    fakes:\n");
        for (path, fake) in fakes {
            // JSON is YAML; a path with a frame needs quotes.
            text.push_str(&format!("      {}: {fake}\n", json!(path)));
        }
    }
    let expect = match &view.end {
        Some(end) => match &end.error {
            Some(error) => json!({ "error": { "code": error.code, "class": error.class } }),
            None => json!({ "status": end.status.as_str(), "outputs": end.outputs }),
        },
        None => json!({ "status": "waiting" }),
    };
    text.push_str(&format!("    expect: {expect}\n"));
    text
}
