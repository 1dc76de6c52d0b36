//! A knowledge base in memory that does what [`Knowledge`] promises in the plainest way.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::models::letters;
use crate::{
    capability::knowledge::{
        Base, Chunk, Document, DocumentStatus, Hit, Knowledge, Mark, NewBase, Scores, Search, SearchMode, WriteDocument,
    },
    codes,
    error::{ErrorClass, NodeError},
    value::{Object, Value},
};

/// Knowledge bases of a test. A word counts where it stands in a chunk; there are no stop words and no stems.
#[derive(Default)]
pub struct FakeKnowledge(Mutex<BTreeMap<String, Held>>);

struct Held {
    base: NewBase,
    documents: BTreeMap<String, (Document, WriteDocument)>,
}

impl FakeKnowledge {
    /// Knowledge bases by name, each an object of documents by id, each a text or a list of them: its chunks. The model is
    /// `test/embed`, whose vectors [`super::FakeModels`] makes.
    pub fn holding(bases: &Object) -> Self {
        Self(Mutex::new(
            bases.iter().map(|(name, documents)| (name.to_string(), Held::holding(name, documents))).collect(),
        ))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, base: &str, act: impl FnOnce(&mut Held) -> T) -> Result<T, NodeError> {
        let mut bases = self.lock();
        let known: Vec<String> = bases.keys().map(|name| format!("`{name}`")).collect();
        let Some(held) = bases.get_mut(base) else {
            let message = format!("expected one of the knowledge bases {}, found `{base}`", known.join(", "));
            return Err(NodeError::new(codes::KNOWLEDGE_UNKNOWN, ErrorClass::NotFound, message));
        };
        Ok(act(held))
    }
}

impl Held {
    fn holding(name: &str, documents: &Value) -> Self {
        let model = "test/embed".to_owned();
        let base =
            NewBase { name: name.to_owned(), model, dimensions: letters("").len() as u32, language: "en".to_owned() };
        let document = |(id, texts): (&Arc<str>, &Value)| {
            let texts = texts.as_list().unwrap_or(std::slice::from_ref(texts));
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            let chunk = |text: &&str| Chunk { text: (*text).to_owned(), ..Chunk::default() };
            let written = WriteDocument {
                id: id.to_string(),
                title: id.to_string(),
                url: None,
                hash: texts.concat(),
                metadata: Object::default(),
                model: base.model.clone(),
                chunks: texts.iter().map(chunk).collect(),
                vectors: texts.iter().map(|text| letters(text)).collect(),
            };
            (id.to_string(), (document_of(&written), written))
        };
        let documents = documents.as_object().into_iter().flatten().map(document).collect();
        Self { base, documents }
    }

    fn describe(&self) -> Base {
        let NewBase { name, model, dimensions, language } = self.base.clone();
        let chunks = self.documents.values().map(|(document, _)| u64::from(document.chunks)).sum();
        Base { name, model, dimensions, language, documents: self.documents.len() as u64, chunks, created_at: 0 }
    }

    fn mark(&mut self, mark: &Mark) {
        let title = mark.title.clone().unwrap_or_else(|| mark.id.clone());
        let (document, _) = self.documents.entry(mark.id.clone()).or_insert_with(|| {
            let nothing = WriteDocument {
                id: mark.id.clone(),
                title: title.clone(),
                url: None,
                hash: String::new(),
                metadata: Object::default(),
                model: self.base.model.clone(),
                chunks: Vec::new(),
                vectors: Vec::new(),
            };
            (document_of(&nothing), nothing)
        });
        document.status = mark.status;
        document.error.clone_from(&mark.error);
    }

    fn search(&self, search: &Search) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for (id, (document, written)) in &self.documents {
            let fits = search.filter.as_ref().is_none_or(|filter| filter.holds(id, &document.metadata));
            if !document.enabled || !fits {
                continue;
            }
            for (position, (chunk, vector)) in written.chunks.iter().zip(&written.vectors).enumerate() {
                let words = search.text.split_whitespace().filter(|word| chunk.text.contains(*word)).count() as f32;
                let cosine =
                    search.vector.as_ref().map(|(_, of)| of.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>());
                let scores = Scores { vector: cosine, keyword: (words > 0.0).then_some(words), ..Scores::default() };
                let (score, is_found) = match search.mode {
                    SearchMode::Vector => (cosine.unwrap_or_default(), true),
                    SearchMode::Keyword => (words, words > 0.0),
                    SearchMode::Hybrid => (cosine.unwrap_or_default() + words, true),
                };
                let is_near = search.score_threshold.is_none_or(|least| cosine.is_none_or(|cosine| cosine >= least));
                if is_found && is_near {
                    hits.push(Hit {
                        document: id.clone(),
                        title: document.title.clone(),
                        url: document.url.clone(),
                        metadata: document.metadata.clone(),
                        position: position as u32,
                        chunk: chunk.clone(),
                        score,
                        scores,
                    });
                }
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(search.top_k);
        hits
    }
}

fn document_of(written: &WriteDocument) -> Document {
    Document {
        id: written.id.clone(),
        title: written.title.clone(),
        url: written.url.clone(),
        hash: written.hash.clone(),
        status: DocumentStatus::Ready,
        error: None,
        enabled: true,
        metadata: written.metadata.clone(),
        chunks: written.chunks.len() as u32,
        tokens: written.chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum(),
        updated_at: 0,
    }
}

#[async_trait]
impl Knowledge for FakeKnowledge {
    async fn base(&self, name: &str) -> Result<Base, NodeError> {
        self.with(name, |held| held.describe())
    }

    async fn ensure(&self, base: NewBase) -> Result<Base, NodeError> {
        let name = base.name.clone();
        self.lock().entry(name.clone()).or_insert_with(|| Held { base, documents: BTreeMap::new() });
        self.base(&name).await
    }

    async fn documents(&self, base: &str, ids: &[String]) -> Result<Vec<Option<Document>>, NodeError> {
        let one = |held: &Held, id: &String| held.documents.get(id).map(|(document, _)| document.clone());
        self.with(base, |held| ids.iter().map(|id| one(held, id)).collect())
    }

    async fn ids(&self, base: &str, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<String>, NodeError> {
        let fits = |id: &&String| id.starts_with(prefix) && after.is_none_or(|after| id.as_str() > after);
        self.with(base, |held| held.documents.keys().filter(fits).take(most).cloned().collect())
    }

    async fn mark(&self, base: &str, marks: &[Mark]) -> Result<(), NodeError> {
        self.with(base, |held| marks.iter().for_each(|mark| held.mark(mark)))
    }

    async fn write(&self, base: &str, document: WriteDocument) -> Result<(), NodeError> {
        self.with(base, |held| {
            held.documents.insert(document.id.clone(), (document_of(&document), document));
        })
    }

    async fn delete(&self, base: &str, ids: &[String]) -> Result<u64, NodeError> {
        self.with(base, |held| ids.iter().filter(|id| held.documents.remove(*id).is_some()).count() as u64)
    }

    async fn search(&self, base: &str, search: &Search) -> Result<Vec<Hit>, NodeError> {
        self.with(base, |held| held.search(search))
    }
}
