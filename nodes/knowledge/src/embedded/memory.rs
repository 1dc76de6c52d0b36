//! A collection in memory: its vectors as one matrix, where its words stand, and what filters see of its documents. It is
//! brought up to date by the documents that changed since.

use std::{
    collections::HashMap,
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use liteagent_backends::database::{self, Database};
use liteagent_engine::{capability::knowledge::Filter, value::Object};
use rusqlite::{Row, params};

use super::{Collection, damaged, matrix::Matrix, postings::Postings};

/// Fewer dead rows than these are not worth reading all anew.
const DEAD_ROWS: usize = 1_000;
/// How many filters are remembered.
const SELECTIONS: usize = 64;

/// A set of rows.
#[derive(Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn has(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|bits| bits >> (row % 64) & 1 == 1)
    }

    fn set(&mut self, row: u32) {
        let word = row as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (row % 64);
    }

    fn clear(&mut self, row: u32) {
        if let Some(bits) = self.0.get_mut(row as usize / 64) {
            *bits &= !(1 << (row % 64));
        }
    }
}

/// The rows that a search looks at.
pub(super) struct Selection {
    /// In order.
    pub(super) rows: Vec<u32>,
    /// The same as a set.
    pub(super) bits: Bits,
}

/// A chunk.
pub(super) struct Chunk {
    /// Its row in the table.
    pub(super) row: i64,
    /// Its document.
    pub(super) document: u32,
    /// Its position there.
    pub(super) position: u32,
    /// The first row of those that are one result with it.
    pub(super) group: u32,
}

/// A document.
pub(super) struct Source {
    /// Its id.
    pub(super) id: Arc<str>,
    enabled: bool,
    metadata: Arc<Object>,
    rows: Range<u32>,
}

/// A collection in memory.
pub(super) struct Loaded {
    /// The count of changes that it knows.
    pub(super) at: i64,
    pub(super) dimensions: usize,
    pub(super) vectors: Matrix,
    pub(super) chunks: Vec<Chunk>,
    pub(super) sources: Vec<Source>,
    pub(super) live: Bits,
    pub(super) postings: Postings,
    /// Whether some rows are one result together.
    pub(super) has_groups: bool,
    dead: usize,
    by_row: HashMap<i64, u32>,
    metadata: HashMap<String, Arc<Object>>,
    selections: Mutex<HashMap<String, Arc<Selection>>>,
}

impl Loaded {
    /// Nothing yet.
    pub(super) fn new(dimensions: u32) -> Self {
        Self {
            at: 0,
            dimensions: dimensions as usize,
            vectors: Matrix::default(),
            chunks: Vec::new(),
            sources: Vec::new(),
            live: Bits::default(),
            postings: Postings::default(),
            has_groups: false,
            dead: 0,
            by_row: HashMap::new(),
            metadata: HashMap::new(),
            selections: Mutex::default(),
        }
    }

    /// Reads what changed. Must be called in the snapshot that the row of the collection was read in.
    pub(super) fn refresh(&mut self, db: &Database, collection: Collection) -> Result<(), database::Error> {
        if self.at >= collection.changes {
            return Ok(());
        }
        if self.at < collection.purged || (self.dead > DEAD_ROWS && self.dead * 2 > self.chunks.len()) {
            *self = Self::new(collection.dimensions);
        }
        if self.at == 0 {
            self.reserve(db, collection.id)?;
        }
        let sql = "SELECT row, document, enabled, metadata, deleted, content FROM sources \
                   WHERE collection = ?1 AND change > ?2 ORDER BY row";
        let changed = db.all(sql, params![collection.id, self.at], |row| {
            let texts: (String, String) = (row.get(1)?, row.get(3)?);
            let flags: (bool, bool) = (row.get(2)?, row.get(4)?);
            Ok((row.get::<_, i64>(0)?, texts, flags, row.get::<_, i64>(5)?))
        })?;
        // What is half read is not known: the next search reads all anew.
        let known = std::mem::replace(&mut self.at, -1);
        for (row, (id, metadata), (enabled, deleted), content) in changed {
            let document = self.source(row, &id);
            let metadata = self.shared(metadata).map_err(|error| damaged(&id, error))?;
            let source = &mut self.sources[document as usize];
            (source.enabled, source.metadata) = (enabled, metadata);
            if content > known {
                self.kill(document);
                if !deleted {
                    self.read(db, row, document)?;
                }
            }
        }
        self.selections.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.at = collection.changes;
        Ok(())
    }

    fn reserve(&mut self, db: &Database, collection: i64) -> Result<(), database::Error> {
        let sql = "SELECT count(*) FROM sources JOIN vectors ON vectors.source = sources.row WHERE collection = ?1";
        let count = db.first(sql, [collection], |row| row.get::<_, i64>(0))?.unwrap_or_default() as usize;
        self.vectors.reserve(count * self.dimensions).map_err(no_memory)?;
        self.chunks.reserve(count);
        Ok(())
    }

    fn source(&mut self, row: i64, id: &str) -> u32 {
        *self.by_row.entry(row).or_insert_with(|| {
            self.sources.push(Source { id: id.into(), enabled: true, metadata: Arc::default(), rows: 0..0 });
            self.sources.len() as u32 - 1
        })
    }

    /// Many documents have the same metadata.
    fn shared(&mut self, text: String) -> Result<Arc<Object>, serde_json::Error> {
        if let Some(known) = self.metadata.get(&text) {
            return Ok(known.clone());
        }
        let metadata: Arc<Object> = Arc::new(serde_json::from_str(&text)?);
        self.metadata.insert(text, metadata.clone());
        Ok(metadata)
    }

    fn kill(&mut self, document: u32) {
        let rows = std::mem::take(&mut self.sources[document as usize].rows);
        self.dead += rows.len();
        for row in rows {
            self.live.clear(row);
            self.postings.remove(row);
        }
    }

    fn read(&mut self, db: &Database, source: i64, document: u32) -> Result<(), database::Error> {
        let begin = self.chunks.len() as u32;
        let mut groups = HashMap::new();
        let sql =
            "SELECT row, position, passage, length, terms, vector FROM vectors WHERE source = ?1 ORDER BY position";
        db.each(sql, [source], |found| {
            let (terms, vector) = (blob(found, 4)?, blob(found, 5)?);
            let numbers = vector.as_chunks::<4>().0;
            if numbers.len() != self.dimensions {
                let expected = self.dimensions;
                return Err(damaged("a vector", format!("expected {expected} numbers, found {}", numbers.len())));
            }
            let row = self.chunks.len() as u32;
            let passage: i64 = found.get(2)?;
            let group = if passage < 0 { row } else { *groups.entry(passage).or_insert(row) };
            self.has_groups |= group != row;
            self.chunks.push(Chunk { row: found.get(0)?, document, position: found.get(1)?, group });
            self.postings.push(found.get(3)?, terms);
            self.vectors.push(numbers).map_err(no_memory)?;
            self.live.set(row);
            Ok(())
        })?;
        self.sources[document as usize].rows = begin..self.chunks.len() as u32;
        Ok(())
    }

    /// The vector of a row.
    pub(super) fn vector(&self, row: u32) -> &[f32] {
        let at = row as usize * self.dimensions;
        &self.vectors.numbers()[at..at + self.dimensions]
    }

    /// The rows of documents that are enabled and fit a filter.
    pub(super) fn select(&self, filter: Option<&Filter>) -> Arc<Selection> {
        let key = filter.map(|filter| format!("{filter:?}")).unwrap_or_default();
        let mut selections = self.selections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = selections.get(&key) {
            return known.clone();
        }
        let fits =
            |source: &&Source| source.enabled && filter.is_none_or(|filter| filter.holds(&source.id, &source.metadata));
        let mut rows: Vec<u32> = self.sources.iter().filter(fits).flat_map(|source| source.rows.clone()).collect();
        rows.sort_unstable();
        let mut bits = Bits::default();
        for row in &rows {
            bits.set(*row);
        }
        let selection = Arc::new(Selection { rows, bits });
        if selections.len() >= SELECTIONS {
            selections.clear();
        }
        selections.insert(key, selection.clone());
        selection
    }

    /// How much memory it takes, roughly.
    pub(super) fn bytes(&self) -> u64 {
        let documents = self.sources.len() * 200 + self.metadata.keys().map(|text| text.len() * 4).sum::<usize>();
        let chunks = self.chunks.capacity() * size_of::<Chunk>();
        (self.vectors.bytes() + chunks + documents + self.postings.bytes()) as u64
    }
}

fn no_memory(error: io::Error) -> database::Error {
    database::io_error(&error, "memory for vectors").into()
}

/// Bytes of a row, without a copy.
fn blob<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(column)?.as_blob()?)
}
