//! A search in the plainest way, to compare stores with. Nothing is kept: every chunk is looked at for every question.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use liteagent_engine::{
    capability::knowledge::{Filter, Search, SearchMode},
    value::{Object, Value},
};

use super::put_chunk;
use crate::store::{Put, PutChunk, Query, Question, Settings, VectorStore};

/// Something that happens to a collection.
#[derive(Clone, Debug)]
pub enum Act {
    /// A document is put.
    Put {
        /// Which.
        document: u8,
        /// Whether it is found.
        enabled: bool,
        /// What filters see.
        year: u8,
        /// Words, vector in eighths, and passage of each chunk; passage 0 is none.
        chunks: Vec<(Vec<u8>, [i8; 4], u8)>,
    },
    /// A document is deleted.
    Delete {
        /// Which.
        document: u8,
    },
    /// A document is enabled or disabled.
    Enable {
        /// Which.
        document: u8,
        /// Whether it is found.
        enabled: bool,
    },
    /// A chunk is deleted.
    Cut {
        /// Of which document.
        document: u8,
        /// Which.
        position: u8,
    },
    /// A question is asked.
    Ask(Ask),
}

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How to look.
    pub mode: SearchMode,
    /// The words.
    pub words: BTreeSet<u8>,
    /// Whether all of them are needed.
    pub all: bool,
    /// The vector, in eighths.
    pub vector: [i8; 4],
    /// How many results.
    pub top_k: usize,
    /// The least cosine, in eighths.
    pub threshold: Option<i8>,
    /// What the rankings count.
    pub weights: (u8, u8),
    /// Documents of this year or later.
    pub year: Option<u8>,
}

#[derive(Clone)]
struct Held {
    enabled: bool,
    metadata: Object,
    chunks: Vec<PutChunk>,
}

struct Row<'a> {
    document: &'a str,
    held: &'a Held,
    chunk: &'a PutChunk,
}

/// Does things to a collection `c` of vectors of four numbers, and compares every answer with that of the plainest search.
///
/// # Panics
/// When one differs.
pub async fn compare(store: &dyn VectorStore, acts: &[Act]) {
    let mut documents: BTreeMap<String, Held> = BTreeMap::new();
    for (act, revision) in acts.iter().zip(1..) {
        match act {
            Act::Put { document, enabled, year, chunks } => {
                let document = format!("d{document}");
                let chunks = (0..).zip(chunks).map(|(position, (words, vector, passage))| {
                    let words: Vec<u32> = words.iter().copied().map(u32::from).collect();
                    let mut chunk = put_chunk(position, &format!("{revision}"), &words, vector.map(eighths));
                    chunk.chunk.passage = (*passage > 0).then(|| format!("{passage}").into());
                    chunk
                });
                let chunks: Vec<PutChunk> = chunks.collect();
                let metadata: Object = [("year".into(), Value::from(i64::from(*year)))].into_iter().collect();
                let settings = Settings { revision, enabled: *enabled, metadata: metadata.clone() };
                let put = Put { document: document.clone(), revision, settings, chunks: chunks.clone() };
                store.put("c", Arc::new(put)).await.unwrap();
                documents.insert(document, Held { enabled: *enabled, metadata, chunks });
            }
            Act::Delete { document } => {
                let document = format!("d{document}");
                store.delete("c", &[(document.clone(), revision)]).await.unwrap();
                documents.remove(&document);
            }
            Act::Enable { document, enabled } => {
                let document = format!("d{document}");
                if let Some(held) = documents.get_mut(&document) {
                    held.enabled = *enabled;
                    let settings = Settings { revision, enabled: *enabled, metadata: held.metadata.clone() };
                    store.describe("c", &document, &settings).await.unwrap();
                }
            }
            Act::Cut { document, position } => {
                let (document, position) = (format!("d{document}"), u32::from(*position));
                let cut = store.edit("c", &document, position, None).await.unwrap();
                let held = documents.get_mut(&document).map(|held| &mut held.chunks);
                let known = held.and_then(|chunks| {
                    let index = chunks.iter().position(|chunk| chunk.position == position)?;
                    Some(chunks.remove(index))
                });
                assert_eq!(cut.is_some(), known.is_some(), "{act:?}");
            }
            Act::Ask(ask) => {
                let query = query_of(ask);
                let found = store.search("c", &query).await.unwrap();
                let found: Vec<_> =
                    found.iter().map(|hit| (hit.document.clone(), hit.position, round(hit.score))).collect();
                assert_eq!(found, search(&documents, &query), "{ask:?} after {acts:?}");
            }
        }
    }
    let count: usize = documents.values().map(|held| held.chunks.len()).sum();
    assert_eq!(store.count("c").await.unwrap(), count as u64);
}

/// Products of these are exact, in whatever order they are added.
fn eighths(value: i8) -> f32 {
    f32::from(value) / 8.0
}

fn query_of(ask: &Ask) -> Query {
    let year = ask.year.map(|year| {
        let least = Value::from_pairs([(">=", Value::from(i64::from(year)))]);
        Filter::read(&Value::from_pairs([("year", least)])).unwrap()
    });
    Query {
        mode: ask.mode,
        question: Question { terms: ask.words.iter().copied().map(u32::from).collect(), all: ask.all },
        vector: (ask.mode != SearchMode::Keyword).then(|| ask.vector.map(eighths).to_vec()),
        top_k: ask.top_k,
        score_threshold: ask.threshold.map(eighths),
        weights: (f32::from(ask.weights.0), f32::from(ask.weights.1)),
        filter: year,
    }
}

/// Scores are compared to four places.
fn round(score: f32) -> i32 {
    (score * 10_000.0).round() as i32
}

fn search(documents: &BTreeMap<String, Held>, query: &Query) -> Vec<(String, u32, i32)> {
    let all: Vec<Row<'_>> = documents
        .iter()
        .flat_map(|(document, held)| held.chunks.iter().map(move |chunk| Row { document, held, chunk }))
        .collect();
    let looked_at: Vec<&Row<'_>> = all
        .iter()
        .filter(|row| {
            let fits = |filter: &Filter| filter.holds(row.document, &row.held.metadata);
            row.held.enabled && query.filter.as_ref().is_none_or(fits)
        })
        .collect();
    let vector = query.vector.as_deref().unwrap_or_default();
    // A sum of negative zeros is one, which sorts below zero; whether there is one depends on the order of additions.
    let cosine = |row: &Row<'_>| vector.iter().zip(&row.chunk.vector).map(|(a, b)| a * b).sum::<f32>() + 0.0;
    let near = || ranking(looked_at.iter().map(|row| (*row, cosine(row))));
    let worded = || ranking(looked_at.iter().filter_map(|row| Some((*row, bm25(&all, row, &query.question)?))));
    let fits = |row: &Row<'_>| vector.is_empty() || query.score_threshold.is_none_or(|least| cosine(row) >= least);

    let found: Vec<(&Row<'_>, f32)> = match query.mode {
        SearchMode::Vector => near().into_iter().map(|(row, cosine)| (row, cosine.max(0.0))).collect(),
        SearchMode::Keyword => {
            let worded = worded();
            let best = worded.first().map_or(1.0, |(_, score)| *score);
            worded.into_iter().map(|(row, score)| (row, score / best)).collect()
        }
        SearchMode::Hybrid => {
            let most = query.top_k.max(Search::CANDIDATES);
            let (vector, keyword) = query.weights;
            let (vector, keyword) = if vector + keyword > 0.0 { (vector, keyword) } else { (1.0, 1.0) };
            let mut shares: Vec<(&Row<'_>, f32)> = Vec::new();
            for (ranking, weight) in [(near(), vector), (worded(), keyword)] {
                for ((row, _), rank) in ranking.into_iter().take(most).zip(1_u8..).filter(|_| weight > 0.0) {
                    let share = weight / (vector + keyword) * (Search::RRF + 1.0) / (Search::RRF + f32::from(rank));
                    match shares.iter_mut().find(|(known, _)| group(known) == group(row)) {
                        Some((_, sum)) => *sum += share,
                        None => shares.push((row, share)),
                    }
                }
            }
            shares.sort_by(|a, b| by_score(a, b));
            shares
        }
    };
    let found = found.into_iter().filter(|(row, _)| fits(row)).take(query.top_k);
    found.map(|(row, score)| (row.document.to_owned(), row.chunk.position, round(score))).collect()
}

/// What is one result: a passage of a document, or a chunk.
fn group<'a>(row: &Row<'a>) -> (&'a str, Option<&'a str>, u32) {
    match row.chunk.chunk.passage.as_deref() {
        Some(passage) => (row.document, Some(passage), 0),
        None => (row.document, None, row.chunk.position),
    }
}

fn by_score(a: &(&Row<'_>, f32), b: &(&Row<'_>, f32)) -> Ordering {
    let key = |row: &Row<'_>| (row.document.to_owned(), row.chunk.position);
    b.1.total_cmp(&a.1).then_with(|| key(a.0).cmp(&key(b.0)))
}

fn ranking<'a>(scored: impl Iterator<Item = (&'a Row<'a>, f32)>) -> Vec<(&'a Row<'a>, f32)> {
    let mut ranking: Vec<_> = scored.collect();
    ranking.sort_by(by_score);
    let mut seen = BTreeSet::new();
    ranking.retain(|(row, _)| seen.insert(group(row)));
    ranking
}

/// Lucene's form of BM25; `None` when the chunk is not found. Words are added in order, because floats are.
fn bm25(all: &[Row<'_>], row: &Row<'_>, question: &Question) -> Option<f32> {
    let count = |row: &Row<'_>, term: u32| {
        row.chunk.terms.counts.iter().find(|(known, _)| *known == term).map_or(0.0, |(_, count)| *count as f32)
    };
    let total: u32 = all.iter().map(|row| row.chunk.terms.length).sum();
    let average = (total as f32 / all.len() as f32).max(1.0);
    let mut score = 0.0;
    for term in &question.terms {
        let found = count(row, *term);
        if found == 0.0 && question.all {
            return None;
        }
        let holding = all.iter().filter(|row| count(row, *term) > 0.0).count() as f32;
        let rarity = (1.0 + (all.len() as f32 - holding + 0.5) / (holding + 0.5)).ln();
        let length = row.chunk.terms.length as f32 / average;
        score += rarity * 2.2 * found / (found + 1.2 * (0.25 + 0.75 * length));
    }
    (score > 0.0).then_some(score)
}
