//! Searches: Qdrant ranks, and the rankings are joined as in the embedded store. `docs/adr` says why not in Qdrant.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet},
};

use liteagent_engine::capability::knowledge::Filter;
use qdrant_client::qdrant::{
    self, Condition, CountPoints, CountPointsBuilder, GetPointsBuilder, PointId, QueryBatchPoints,
    QueryBatchPointsBuilder, QueryPoints, QueryPointsBuilder, ScoredPoint, ScrollPointsBuilder, SearchParamsBuilder,
    VectorInput, vector_output,
};

use super::{
    Qdrant,
    collections::{MEANING, WORDS},
    failure::Fails as _,
    filters,
    points::{self, Head, field},
};
use crate::{
    catalog::Revision,
    error::Error,
    fuse::{self, Hit, cosine, results, wanted},
    store::{Found, Query},
    terms::Question,
};

/// How many nodes of its graph Qdrant looks at, where it has one: more than its default, so that less is missed.
const BREADTH: usize = 256;
/// How many heads are read at once.
const PAGE: u32 = 1_000;

/// How many chunks there are.
pub(super) fn count(name: &str) -> CountPoints {
    CountPointsBuilder::new(name).filter(filters::chunks()).exact(true).build()
}

/// The rankings that a query wants, as one request: by meaning, then by words, each where it is wanted.
pub(super) fn rankings(name: &str, query: &Query, look_at: &qdrant::Filter, take: (usize, usize)) -> QueryBatchPoints {
    let (near, worded) = take;
    let mut queries = Vec::new();
    if let Some(vector) = query.vector.clone().filter(|_| near > 0) {
        queries.push(ranking(name, vector.into(), MEANING, look_at, near));
    }
    if worded > 0 {
        let words: Vec<(u32, f32)> = query.question.terms.iter().map(|term| (*term, 1.0)).collect();
        let mut request = ranking(name, words.as_slice().into(), WORDS, look_at, worded);
        // What tells the cosine of a chunk that is found by its words alone, and whether it has all of them.
        let vectors: Vec<&str> = [(query.vector.is_some(), MEANING), (query.question.all, WORDS)]
            .iter()
            .filter(|v| v.0)
            .map(|v| v.1)
            .collect();
        request.with_vectors = (!vectors.is_empty()).then(|| vectors.into());
        queries.push(request);
    }
    QueryBatchPointsBuilder::new(name, queries).build()
}

fn ranking(name: &str, of: VectorInput, using: &str, look_at: &qdrant::Filter, limit: usize) -> QueryPoints {
    let breadth = BREADTH.max(limit) as u64;
    QueryPointsBuilder::new(name)
        .query(qdrant::Query::new_nearest(of))
        .using(using)
        .filter(look_at.clone())
        .limit(limit as u64)
        .params(SearchParamsBuilder::default().hnsw_ef(breadth))
        .with_payload(points::only(&[field::DOCUMENT, field::POSITION, field::REVISION, field::GROUP]))
        .build()
}

/// A chunk that was ranked.
struct Candidate {
    id: PointId,
    document: String,
    position: u32,
    revision: Revision,
    group: u32,
    /// Where a search by words asked for them.
    meaning: Vec<f32>,
    words: Vec<u32>,
}

/// Every chunk that was ranked, each once.
#[derive(Default)]
struct Candidates {
    all: Vec<Candidate>,
    rows: HashMap<(String, u32), u32>,
    groups: HashMap<(String, Option<String>, u32), u32>,
}

impl Candidates {
    /// Takes a ranking in: its rows with their scores.
    fn take(&mut self, ranking: Vec<ScoredPoint>) -> Result<Vec<(u32, f32)>, Error> {
        ranking.into_iter().map(|point| self.row(point)).collect()
    }

    fn row(&mut self, point: ScoredPoint) -> Result<(u32, f32), Error> {
        let document = points::text(&point.payload, field::DOCUMENT)?.to_owned();
        let position = points::position(&point.payload)?;
        let revision = points::number(&point.payload, field::REVISION)?;
        let passage = point.payload.contains_key(field::GROUP).then(|| points::text(&point.payload, field::GROUP));
        let passage = passage.transpose()?.map(str::to_owned);
        let vectors = |name: &str| point.vectors.as_ref().and_then(|vectors| vectors.get_vector_by_name(name));
        let meaning = match vectors(MEANING) {
            Some(vector_output::Vector::Dense(dense)) => dense.data,
            _ => Vec::new(),
        };
        let words = match vectors(WORDS) {
            Some(vector_output::Vector::Sparse(sparse)) => sparse.indices,
            _ => Vec::new(),
        };
        let id = points::chunk_id(&document, revision, position);
        // Chunks of two revisions of a document may be here for a moment: each is a row.
        let key = (format!("{revision} {document}"), position);
        let next = self.all.len() as u32;
        let row = *self.rows.entry(key).or_insert(next);
        if row == next {
            let alone = if passage.is_some() { 0 } else { position };
            let group = *self.groups.entry((document.clone(), passage, alone)).or_insert(next);
            self.all.push(Candidate { id, document, position, revision, group, meaning, words });
        } else {
            let known = &mut self.all[row as usize];
            known.meaning = meaning;
            known.words = words;
        }
        Ok((row, point.score))
    }
}

/// Candidates, and the question's vector.
struct Asked<'a> {
    all: &'a [Candidate],
    vector: &'a [f32],
}

impl fuse::Rows for Asked<'_> {
    fn group(&self, row: u32) -> u32 {
        self.all[row as usize].group
    }

    fn cosine(&self, row: u32) -> f32 {
        cosine(self.vector.iter().zip(&self.all[row as usize].meaning).map(|(a, b)| a * b).sum())
    }

    fn order(&self, a: u32, b: u32) -> Ordering {
        let key = |row: u32| (&self.all[row as usize].document, self.all[row as usize].position);
        key(a).cmp(&key(b))
    }
}

/// One row of each group, in order: by score, then by document and position.
fn ordered(mut ranking: Vec<(u32, f32)>, asked: &Asked<'_>, is_found: impl Fn(&Candidate) -> bool) -> Vec<(u32, f32)> {
    use fuse::Rows as _;
    ranking.retain(|(row, _)| is_found(&asked.all[*row as usize]));
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| asked.order(a.0, b.0)));
    let mut seen = HashSet::new();
    ranking.retain(|(row, _)| seen.insert(asked.group(*row)));
    ranking
}

/// Whether a chunk has every word that it must have.
fn has_words(candidate: &Candidate, question: &Question) -> bool {
    !question.all || question.terms.iter().all(|term| candidate.words.contains(term))
}

impl Qdrant {
    pub(super) async fn search_collection(&self, name: &str, query: &Query) -> Result<Vec<Found>, Error> {
        self.numbers(name).await?;
        let (near, worded) = wanted(query);
        let worded = if query.question.terms.is_empty() { 0 } else { worded };
        let mut take = (near, worded);
        let mut outdated = HashMap::new();
        loop {
            let Some(look_at) = self.looked_at(name, query.filter.as_ref()).await? else { return Ok(Vec::new()) };
            let mut candidates = Candidates::default();
            let mut lists = self.ranked(name, rankings(name, query, &look_at, take)).await?.into_iter();
            let mut list = |wanted: usize| if wanted > 0 { lists.next().unwrap_or_default() } else { Vec::new() };
            let (near_list, worded_list) = (list(near), list(worded));
            let are_more = (near_list.len() >= take.0.max(1), worded_list.len() >= take.1.max(1));
            let near_list = candidates.take(near_list)?;
            let worded_list = candidates.take(worded_list)?;
            let asked = Asked { all: &candidates.all, vector: query.vector.as_deref().unwrap_or_default() };

            let heads = self.heads(name, &candidates.all).await?;
            // A document that was replaced while Qdrant ranked has chunks that were not there yet. When it is the same the
            // next time, its old chunks are what a process left that died.
            let now = superseded(&candidates.all, &heads);
            if now.iter().any(|changed| !outdated.contains_key(changed.0) || outdated.get(changed.0) != Some(changed.1))
            {
                outdated = now;
                continue;
            }
            let fits = |candidate: &Candidate| {
                let Some(head) = heads.get(&candidate.document) else { return false };
                let Head { settings, .. } = head;
                let holds = |filter: &Filter| filter.holds(&candidate.document, &settings.metadata);
                head.has(candidate.revision) && settings.enabled && query.filter.as_ref().is_none_or(holds)
            };
            let mut near_found = ordered(near_list, &asked, fits);
            let mut worded_found =
                ordered(worded_list, &asked, |candidate| fits(candidate) && has_words(candidate, &query.question));
            // Rows that are one result with a better one, or none, count for nothing: more are taken until there are enough.
            if (are_more.0 && near_found.len() < near) || (are_more.1 && worded_found.len() < worded) {
                take = (take.0.saturating_mul(4), take.1.saturating_mul(4));
                continue;
            }
            near_found.truncate(near);
            worded_found.truncate(worded);
            let hits = results(query, near_found, worded_found, &asked);
            if let Some(found) = self.bodies(name, &candidates.all, hits).await? {
                return Ok(found);
            }
        }
    }

    /// What is looked through; `None` when no document fits the filter.
    async fn looked_at(&self, name: &str, filter: Option<&Filter>) -> Result<Option<qdrant::Filter>, Error> {
        let Some(filter) = filter else { return Ok(Some(filters::looked_at(None))) };
        let seen = filters::seen(filter);
        if seen.is_exact {
            return Ok(Some(filters::looked_at(seen.condition)));
        }
        let documents = self.documents(name, filter, seen.condition).await?;
        Ok((!documents.is_empty()).then(|| filters::looked_at(Some(filters::of_any(documents)))))
    }

    /// The documents that fit a filter, among those that Qdrant cannot rule out.
    async fn documents(&self, name: &str, filter: &Filter, seen: Option<Condition>) -> Result<Vec<String>, Error> {
        let mut documents = Vec::new();
        let mut offset = None;
        loop {
            let mut request = ScrollPointsBuilder::new(name)
                .filter(filters::heads_seen(seen.clone()))
                .limit(PAGE)
                .with_payload(true)
                .build();
            request.offset = offset;
            let reply = self.client().await?.scroll(request).await.in_collection()?;
            for point in &reply.result {
                let document = points::text(&point.payload, field::DOCUMENT)?;
                if filter.holds(document, &Head::read(&point.payload)?.settings.metadata) {
                    documents.push(document.to_owned());
                }
            }
            offset = reply.next_page_offset;
            if offset.is_none() {
                return Ok(documents);
            }
        }
    }

    async fn ranked(&self, name: &str, request: QueryBatchPoints) -> Result<Vec<Vec<ScoredPoint>>, Error> {
        debug_assert_eq!(request.collection_name, name);
        if request.query_points.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.client().await?.query_batch(request).await.in_collection()?;
        Ok(reply.result.into_iter().map(|list| list.result).collect())
    }

    /// The heads of the documents of candidates.
    async fn heads(&self, name: &str, candidates: &[Candidate]) -> Result<HashMap<String, Head>, Error> {
        let documents: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.document.as_str()).collect();
        if documents.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PointId> = documents.into_iter().map(points::head_id).collect();
        let request = GetPointsBuilder::new(name, ids).with_payload(true);
        let reply = self.client().await?.get_points(request).await.in_collection()?;
        let read = |point: &qdrant::RetrievedPoint| {
            Ok((points::text(&point.payload, field::DOCUMENT)?.to_owned(), Head::read(&point.payload)?))
        };
        reply.result.iter().map(read).collect()
    }

    /// The chunks of hits; `None` when one was replaced a moment ago.
    async fn bodies(&self, name: &str, all: &[Candidate], hits: Vec<Hit>) -> Result<Option<Vec<Found>>, Error> {
        if hits.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let ids: Vec<PointId> = hits.iter().map(|hit| all[hit.row as usize].id.clone()).collect();
        let request = GetPointsBuilder::new(name, ids).with_payload(points::only(&[
            field::DOCUMENT,
            field::POSITION,
            field::BODY,
        ]));
        let reply = self.client().await?.get_points(request).await.in_collection()?;
        let mut chunks = HashMap::new();
        for point in &reply.result {
            let stored = points::stored(&point.payload)?;
            let document = points::text(&point.payload, field::DOCUMENT)?.to_owned();
            chunks.insert((document, stored.position), stored.chunk);
        }
        let found = |hit: Hit| {
            let Candidate { document, position, .. } = &all[hit.row as usize];
            let chunk = chunks.remove(&(document.clone(), *position))?;
            Some(Found { document: document.clone(), position: *position, chunk, score: hit.score, scores: hit.scores })
        };
        Ok(hits.into_iter().map(found).collect())
    }
}

/// Documents of which chunks were ranked that are older than the head says, and what it says.
fn superseded(candidates: &[Candidate], heads: &HashMap<String, Head>) -> HashMap<String, Revision> {
    let is_older =
        |candidate: &&Candidate| heads.get(&candidate.document).is_some_and(|head| head.revision > candidate.revision);
    let document = |candidate: &Candidate| (candidate.document.clone(), heads[&candidate.document].revision);
    candidates.iter().filter(is_older).map(document).collect()
}
