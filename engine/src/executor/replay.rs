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

/// The records of a run after `after`, with the blobs that they name loaded.
pub(crate) async fn load_records(stores: &Stores, run: RunId, after: Seq) -> Result<Vec<Record>, StoreError> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map_or(after, |record| record.seq);
        let page = stores.journal.read(run, after, PAGE).await?;
        let last = page.len() < PAGE;
        for stored in page {
            let mut record = decode(&stored)?;
            for payload in payloads(&mut record.event) {
                load(stores, payload).await?;
            }
            records.push(record);
        }
        if last {
            return Ok(records);
        }
    }
}

/// The record in its typed form.
pub(crate) fn decode(stored: &StoredRecord) -> Result<Record, StoreError> {
    serde_json::from_str(&stored.body)
        .map_err(|error| StoreError::Damaged(format!("record {} cannot be read: {error}", stored.seq)))
}

async fn load(stores: &Stores, payload: &mut Payload) -> Result<(), StoreError> {
    let Payload::Blob(digest) = payload else { return Ok(()) };
    let bytes =
        stores.blobs.get(digest).await?.ok_or_else(|| StoreError::Damaged(format!("the blob {digest} is missing")))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Damaged(format!("the blob {digest} cannot be read: {error}")))?;
    *payload = Payload::Value(value);
    Ok(())
}

/// The values of an event that may be blobs.
pub(super) fn payloads<A>(event: &mut Event<A>) -> Vec<&mut Payload> {
    match event {
        Event::RunStarted { inputs, .. } => vec![inputs],
        Event::ContainerOpened { over: Over::Items { items, .. }, .. } => vec![items],
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
pub(super) fn replay(plan: &Arc<Plan>, records: Vec<Record>) -> Result<RunState, StoreError> {
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
