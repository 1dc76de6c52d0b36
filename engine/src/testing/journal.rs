//! Journals from elsewhere: put into a store, and folded.

use std::sync::Arc;

use crate::{
    bundle::Bundle,
    executor,
    export::Export,
    id::RunId,
    node::Registry,
    plan::Plan,
    run::RunState,
    store::{Created, NewRun, StoreError, StoredRecord, Stores},
    units::Millis,
};

/// Puts an exported run into a store, `queued`, with its first `count` records.
///
/// # Errors
/// When the store fails.
///
/// # Panics
/// When the export has no well-formed records, or the store has the run.
pub async fn restore(stores: &Stores, export: &Export, count: usize) -> Result<RunId, StoreError> {
    let row = export.run.clone();
    stores.journal.put_bundle(&row.digest, export.bundle.to_string().into()).await?;
    let mut blobs = Vec::new();
    for (digest, content) in &export.blobs {
        blobs.push(stores.blobs.put(content.to_string().into()).await?);
        assert_eq!(blobs.last().map(ToString::to_string).as_ref(), Some(digest), "a blob is named by its content");
    }
    let records = export.records.iter().take(count).map(|record| StoredRecord {
        seq: record["seq"].as_u64().expect("a record has a seq"),
        at: record["at"].as_i64().expect("a record has a time"),
        body: record.to_string().into(),
    });
    let new = NewRun {
        holds: Vec::new(),
        subject: None,
        account: None,
        id: row.id,
        workflow: row.workflow,
        digest: row.digest,
        parent: row.parent,
        trigger: row.trigger,
        conversation: row.conversation,
        turn: None,
        idempotency: None,
        at: row.created_at,
        records: records.collect(),
        blobs,
    };
    assert_eq!(stores.journal.create(new).await?, Created::New);
    Ok(row.id)
}

/// Folds the journal of a run with the plan of its stored bundle.
///
/// # Errors
/// When the store fails, or the journal does not fit the plan.
///
/// # Panics
/// When there is no such run, or its bundle does not compile.
pub async fn replayed(stores: &Stores, run: RunId, registry: &Registry) -> Result<(Arc<Plan>, RunState), StoreError> {
    let row = stores.journal.run(run).await?.expect("there is such a run");
    let text = stores.journal.bundle(&row.digest).await?.expect("the bundle is there");
    let bundle = Arc::new(Bundle::parse(&text).expect("the bundle can be read"));
    let plan = Plan::compile_entry(&bundle, row.digest, &row.workflow, registry);
    let plan = Arc::new(plan.expect("the bundle compiles"));
    let records = executor::load_records(stores, run, 0).await?;
    let state = executor::fold(&plan, records)?;
    Ok((plan, state))
}

/// What comes after every time that a run may wait for.
pub const FAR: Millis = Millis::MAX / 2;
