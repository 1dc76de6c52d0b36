//! Reading a journal back.

use std::sync::Arc;

use crate::{
    event::{Event, FrameEnd, Over, Payload, Record, Seq},
    id::RunId,
    plan::Plan,
    run::{Addr, RunState, path},
    store::{StoreError, StoredRecord, Stores},
    value::Value,
};

/// How many records are read at once.
const PAGE: usize = 1_000;

/// The records of a run after `after`, as they are stored.
pub(crate) async fn read_all(stores: &Stores, run: RunId, after: Seq) -> Result<Vec<StoredRecord>, StoreError> {
    let mut all: Vec<StoredRecord> = Vec::new();
    loop {
        let after = all.last().map_or(after, |record| record.seq);
        let page = stores.journal.read(run, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// The records of a run after `after`, with the blobs that they name loaded.
pub(crate) async fn load_records(stores: &Stores, run: RunId, after: Seq) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    for stored in read_all(stores, run, after).await? {
        let mut record = decode(&stored)?;
        load_payloads(stores, &mut record).await?;
        records.push(record);
    }
    Ok(records)
}

/// Fetches the blobs that a record names.
pub(crate) async fn load_payloads(stores: &Stores, record: &mut Record) -> Result<(), StoreError> {
    for payload in payloads(&mut record.event) {
        load(stores, payload).await?;
    }
    Ok(())
}

/// The record in its typed form.
///
/// # Errors
/// [`StoreError::NewerRun`] when it is a record, but of a kind or form that this release does not know.
pub(crate) fn decode(stored: &StoredRecord) -> Result<Record, StoreError> {
    #[derive(serde::Deserialize)]
    struct Kind {
        r#type: String,
    }

    serde_json::from_str(&stored.body).map_err(|error| match serde_json::from_str(&stored.body) {
        Ok(Kind { r#type }) => {
            // serde lists everything that it knows; that helps nobody here.
            let text = error.to_string();
            let what = text.split(", expected").next().unwrap_or(&text);
            StoreError::NewerRun(format!("this release cannot read record {} (`{}`): {what}", stored.seq, r#type))
        }
        Err(_) => StoreError::Damaged(format!("record {} cannot be read: {error}", stored.seq)),
    })
}

/// Fetches a value that is a blob.
pub(super) async fn load(stores: &Stores, payload: &mut Payload) -> Result<(), StoreError> {
    let Payload::Blob(digest) = payload else { return Ok(()) };
    let bytes =
        stores.blobs.get(digest).await?.ok_or_else(|| StoreError::Damaged(format!("the blob {digest} is missing")))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Damaged(format!("the blob {digest} cannot be read: {error}")))?;
    *payload = Payload::Value(value);
    Ok(())
}

/// The values of an event that may be blobs.
pub(crate) fn payloads<A>(event: &mut Event<A>) -> Vec<&mut Payload> {
    match event {
        Event::RunStarted { inputs, .. } => vec![inputs],
        Event::ContainerOpened { over, fields, .. } => {
            let items = match over {
                Over::Items { items, .. } | Over::Calls { calls: items, .. } => Some(items),
                Over::Rounds { .. } | Over::Once {} => None,
            };
            items.into_iter().chain(fields).collect()
        }
        Event::FrameFinished { end: FrameEnd::Item { output } | FrameEnd::Last { output, .. }, .. }
        | Event::NodeSucceeded { output, .. } => vec![output],
        Event::RunEnded { outputs: Some(outputs), .. } => vec![outputs],
        _ => Vec::new(),
    }
}

/// The record as the core folds it: paths become addresses.
///
/// # Errors
/// When it names a node that the plan does not have, or a frame that is not open.
pub(crate) fn address(plan: &Plan, state: &RunState, record: Record) -> Result<Record<Addr>, StoreError> {
    let Record { seq, at, event } = record;
    let mut unknown = None;
    let event = event.map(|name: String| {
        path::resolve(plan, state, &name).unwrap_or_else(|| {
            unknown = Some(name);
            Addr { frame: 0, node: 0 }
        })
    });
    match unknown {
        None => Ok(Record { seq, at, event }),
        Some(name) => {
            Err(StoreError::Damaged(format!("record {seq} names `{name}`, which the workflow does not have")))
        }
    }
}

/// A run's state after these records.
pub(crate) fn fold(plan: &Arc<Plan>, records: Vec<Record>) -> Result<RunState, StoreError> {
    let mut state = RunState::default();
    for record in records {
        let expected: Seq = state.seq + 1;
        if record.seq != expected {
            return Err(StoreError::Damaged(format!("expected record {expected}, found {}", record.seq)));
        }
        let record = address(plan, &state, record)?;
        state.apply(plan, &record);
    }
    Ok(state)
}
