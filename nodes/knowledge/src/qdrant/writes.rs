//! What is written: each call is some requests, made of the points and filters of this module's neighbours.

use std::collections::HashMap;

use liteagent_engine::value::Object;
use qdrant_client::qdrant::{
    self, DeletePoints, DeletePointsBuilder, GetPointsBuilder, OrderByBuilder, PointStruct, PointsIdsList,
    PointsUpdateOperation, ScrollPointsBuilder, UpdateBatchPoints, UpdateBatchPointsBuilder, UpdateMode, UpsertPoints,
    UpsertPointsBuilder,
    points_update_operation::{self as update, Operation},
};

use super::{
    Qdrant,
    failure::Fails as _,
    filters,
    points::{self, Head, field},
};
use crate::{
    catalog::Revision,
    error::Error,
    store::{Counts, Put, PutChunk, Settings, StoredChunk},
};

/// How many chunks are sent at once.
const BATCH: usize = 100;
/// How many points are read at once.
const PAGE: u32 = 1_000;
/// How many numbers of a base are drawn before a deletion is forgotten: no write takes as long.
const REMEMBERED: Revision = 10_000;

/// Points that are put in the place of what they were.
pub(super) fn upsert(name: &str, points: Vec<PointStruct>, mode: UpdateMode) -> UpsertPoints {
    let mut request = UpsertPointsBuilder::new(name, points).wait(true).build();
    request.update_mode = Some(mode as i32);
    request
}

/// Points that are deleted.
fn delete(name: &str, filter: qdrant::Filter) -> DeletePoints {
    DeletePointsBuilder::new(name).points(filter).wait(true).build()
}

fn batch(name: &str, operations: impl IntoIterator<Item = Operation>) -> UpdateBatchPoints {
    let operations = operations
        .into_iter()
        .map(|operation| PointsUpdateOperation { operation: Some(operation) })
        .collect::<Vec<_>>();
    UpdateBatchPointsBuilder::new(name, operations).wait(true).build()
}

fn set(filter: qdrant::Filter, payload: HashMap<String, qdrant::Value>) -> Operation {
    Operation::SetPayload(update::SetPayload {
        payload,
        points_selector: Some(filter.into()),
        ..update::SetPayload::default()
    })
}

fn delete_where(filter: qdrant::Filter) -> Operation {
    Operation::DeletePoints(update::DeletePoints { points: Some(filter.into()), ..update::DeletePoints::default() })
}

/// The settings of a document as its head has them.
fn head_settings(settings: &Settings) -> Result<HashMap<String, qdrant::Value>, Error> {
    let mut payload = points::settings(settings);
    payload.insert(field::METADATA.to_owned(), points::metadata(&settings.metadata)?.into());
    Ok(payload)
}

fn head_revision(revision: Revision, deleted: bool) -> HashMap<String, qdrant::Value> {
    [(field::REVISION.to_owned(), revision.into()), (field::DELETED.to_owned(), deleted.into())].into()
}

/// Makes the chunks of a revision those that count, and deletes older ones. Settings that are newer stay.
pub(super) fn switch(
    name: &str,
    document: &str,
    revision: Revision,
    settings: &Settings,
) -> Result<UpdateBatchPoints, Error> {
    let head = points::head_id(document);
    let mut with_settings = filters::head_before(&head, revision);
    with_settings.must.push(filters::set_at_most(settings.revision));
    let mut all = head_settings(settings)?;
    all.extend(head_revision(revision, false));
    let operations = [
        // In one point, in one operation: searches see both or neither.
        set(with_settings, all),
        set(filters::head_before(&head, revision), head_revision(revision, false)),
        delete_where(filters::older_chunks(document, revision)),
    ];
    Ok(batch(name, operations))
}

/// Changes the settings of a document that is there.
pub(super) fn describe(name: &str, document: &str, settings: &Settings) -> Result<UpdateBatchPoints, Error> {
    let head = points::head_id(document);
    // The head last: until it says so, a document that is enabled is not found yet.
    let operations = [
        set(filters::chunks_set_before(document, settings.revision), points::settings(settings)),
        set(filters::head_set_before(&head, settings.revision), head_settings(settings)?),
    ];
    Ok(batch(name, operations))
}

/// Deletes documents, and forgets deletions of long ago.
pub(super) fn bury(name: &str, documents: &[(String, Revision)]) -> Result<UpdateBatchPoints, Error> {
    let mut operations = Vec::new();
    for (document, revision) in documents {
        let head = points::head_id(document);
        let mut payload = head_revision(*revision, true);
        payload.insert(field::METADATA.to_owned(), points::metadata(&Object::default())?.into());
        operations.push(set(filters::head_at_most(&head, *revision), payload));
        operations.push(delete_where(filters::older_chunks(document, revision + 1)));
    }
    let newest = documents.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
    if newest > REMEMBERED {
        operations.push(delete_where(filters::old_tombstones(newest - REMEMBERED)));
    }
    Ok(batch(name, operations))
}

impl Qdrant {
    /// What is known of a document.
    pub(super) async fn head(&self, name: &str, document: &str) -> Result<Option<Head>, Error> {
        let request = GetPointsBuilder::new(name, [points::head_id(document)]).with_payload(true);
        let reply = self.client().await?.get_points(request).await.in_collection()?;
        reply.result.first().map(|point| Head::read(&point.payload)).transpose()
    }

    async fn send(&self, request: UpsertPoints) -> Result<(), Error> {
        self.client().await?.upsert_points(request).await.in_collection().map(drop)
    }

    async fn update(&self, request: UpdateBatchPoints) -> Result<(), Error> {
        self.client().await?.update_points_batch(request).await.in_collection().map(drop)
    }

    pub(super) async fn put_document(&self, name: &str, put: &Put) -> Result<(), Error> {
        let Put { document, revision, settings, chunks } = put;
        self.index_numbers(name, points::number_keys(&settings.metadata)).await?;
        let head = match self.head(name, document).await? {
            Some(head) if head.refuses(*revision) => return Ok(()),
            Some(head) => Some(head),
            None => {
                self.send(upsert(name, vec![points::blank_head(document)?], UpdateMode::InsertOnly)).await?;
                None
            }
        };
        let newer = head.map(|head| head.settings).filter(|known| known.revision > settings.revision);
        let settings = newer.as_ref().unwrap_or(settings);
        for part in chunks.chunks(BATCH) {
            let points = part.iter().map(|chunk| points::chunk(document, *revision, settings, chunk));
            self.send(upsert(name, points.collect::<Result<_, _>>()?, UpdateMode::Upsert)).await?;
        }
        self.update(switch(name, document, *revision, settings)?).await?;
        // Another write, or a deletion, may have been faster: then nobody finds these chunks, and nobody else deletes them.
        if !self.head(name, document).await?.is_some_and(|head| head.has(*revision)) {
            let request = delete(name, filters::chunks_of(document, *revision));
            self.client().await?.delete_points(request).await.in_collection()?;
        }
        Ok(())
    }

    pub(super) async fn describe_document(&self, name: &str, document: &str, settings: &Settings) -> Result<(), Error> {
        self.index_numbers(name, points::number_keys(&settings.metadata)).await?;
        self.update(describe(name, document, settings)?).await
    }

    pub(super) async fn delete_documents(&self, name: &str, documents: &[(String, Revision)]) -> Result<(), Error> {
        self.numbers(name).await?;
        for some in documents.chunks(BATCH) {
            let blank = some.iter().map(|(document, _)| points::blank_head(document)).collect::<Result<_, _>>()?;
            self.send(upsert(name, blank, UpdateMode::InsertOnly)).await?;
            self.update(bury(name, some)?).await?;
        }
        Ok(())
    }

    pub(super) async fn read_chunks(
        &self,
        name: &str,
        document: &str,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<StoredChunk>, Error> {
        self.numbers(name).await?;
        let Some(head) = self.head(name, document).await?.filter(|head| !head.deleted) else { return Ok(Vec::new()) };
        let request = ScrollPointsBuilder::new(name)
            .filter(filters::chunks_after(document, head.revision, after))
            .order_by(OrderByBuilder::new(field::POSITION))
            .limit(u32::try_from(limit).unwrap_or(u32::MAX))
            .with_payload(points::only(&[field::POSITION, field::BODY]));
        let reply = self.client().await?.scroll(request).await.in_collection()?;
        reply.result.iter().map(|point| points::stored(&point.payload)).collect()
    }

    pub(super) async fn edit_chunk(
        &self,
        name: &str,
        document: &str,
        position: u32,
        chunk: Option<PutChunk>,
    ) -> Result<Option<Counts>, Error> {
        self.numbers(name).await?;
        let Some(head) = self.head(name, document).await?.filter(|head| !head.deleted) else { return Ok(None) };
        let id = points::chunk_id(document, head.revision, position);
        let there = GetPointsBuilder::new(name, [id.clone()]).with_payload(false);
        if self.client().await?.get_points(there).await.in_collection()?.result.is_empty() {
            return Ok(None);
        }
        if let Some(chunk) = chunk {
            let point = points::chunk(document, head.revision, &head.settings, &chunk)?;
            // Not what a write has deleted meanwhile.
            self.send(upsert(name, vec![point], UpdateMode::UpdateOnly)).await?;
        } else {
            let request = DeletePointsBuilder::new(name).points(PointsIdsList { ids: vec![id] }).wait(true);
            self.client().await?.delete_points(request).await.in_collection()?;
        }
        self.counts(name, document, head.revision).await.map(Some)
    }

    async fn counts(&self, name: &str, document: &str, revision: Revision) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let mut offset = None;
        loop {
            let mut request = ScrollPointsBuilder::new(name)
                .filter(filters::chunks_of(document, revision))
                .limit(PAGE)
                .with_payload(points::only(&[field::TOKENS]))
                .build();
            request.offset = offset;
            let reply = self.client().await?.scroll(request).await.in_collection()?;
            for point in &reply.result {
                counts.chunks += 1;
                counts.tokens += points::number(&point.payload, field::TOKENS)?.unsigned_abs();
            }
            offset = reply.next_page_offset;
            if offset.is_none() {
                return Ok(counts);
            }
        }
    }
}
