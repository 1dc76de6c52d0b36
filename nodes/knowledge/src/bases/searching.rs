//! Searching a base: the question becomes terms, the chunks found get what is known of their documents.

use std::collections::HashMap;

use liteagent_engine::{
    capability::{
        knowledge::{Hit, Search, SearchMode},
        model::{EmbedRequest, Models},
    },
    codes,
    error::{ErrorClass, NodeError},
};

use super::{KnowledgeBases, checks, documents::aside};
use crate::{
    catalog::BaseRow,
    error::{Error, failed},
    store::{Found, Query},
    terms::{Analysis, Question},
};

impl KnowledgeBases {
    /// Searches, with a vector by the model of the base where one is needed: `vector` of the search is not read.
    ///
    /// # Errors
    /// LA2601; what the model says.
    pub async fn ask(&self, models: &dyn Models, base: &str, search: Search) -> Result<Vec<Hit>, NodeError> {
        let model = self.row(base).await?.base.model;
        let vector = match search.mode {
            SearchMode::Keyword => None,
            SearchMode::Vector | SearchMode::Hybrid => {
                let texts = vec![search.text.clone()];
                let request = EmbedRequest { model, texts, questions: true, ..EmbedRequest::default() };
                let embedded = models.embed(request).await?;
                embedded.vectors.into_iter().next().map(|vector| (embedded.model, vector))
            }
        };
        self.search_base(base, &Search { vector, ..search }).await
    }

    pub(super) async fn search_base(&self, base: &str, search: &Search) -> Result<Vec<Hit>, NodeError> {
        if search.top_k == 0 {
            return self.row(base).await.map(|_| Vec::new());
        }
        let mut row = self.row(base).await?;
        loop {
            let query = query(&row, search).await?;
            match self.store.search(&row.collection, &query).await {
                Ok(found) => return self.hits(&row, found).await,
                Err(Error::NoCollection) => {
                    // It was rebuilt a moment ago; or nothing was ever written to it.
                    let now = self.row(base).await?;
                    if now.collection == row.collection {
                        // Or its chunks are in another store.
                        return if now.base.chunks == 0 { Ok(Vec::new()) } else { Err(failed(Error::NoCollection)) };
                    }
                    row = now;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    async fn hits(&self, base: &BaseRow, found: Vec<Found>) -> Result<Vec<Hit>, NodeError> {
        let mut ids: Vec<String> = found.iter().map(|found| found.document.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = self.catalog.documents(base.id, &ids).await.map_err(failed)?;
        let known: HashMap<String, _> = ids.into_iter().zip(rows).collect();
        let hit = |found: Found| {
            // A document that was deleted a moment ago is found no more.
            let document = known.get(&found.document)?.as_ref()?.document.clone();
            Some(Hit {
                document: found.document,
                title: document.title,
                url: document.url,
                metadata: document.metadata,
                position: found.position,
                chunk: found.chunk,
                score: found.score,
                scores: found.scores,
            })
        };
        Ok(found.into_iter().filter_map(hit).collect())
    }
}

async fn query(base: &BaseRow, search: &Search) -> Result<Query, NodeError> {
    let vector = match (&search.vector, search.mode) {
        (_, SearchMode::Keyword) => None,
        (Some((model, vector)), _) => {
            checks::model(&base.base, model)?;
            checks::vector(&base.base, vector)?;
            Some(vector.clone())
        }
        (None, _) => {
            let message =
                format!("expected the vector of the question to the knowledge base `{}`, found none", base.base.name);
            return Err(NodeError::new(codes::KNOWLEDGE_MODEL, ErrorClass::Invalid, message)
                .hint("embed the question with the model of the base, or search with `mode: keyword`"));
        }
    };
    let question = match search.mode {
        SearchMode::Vector => Question::default(),
        SearchMode::Keyword | SearchMode::Hybrid => {
            let (language, text) = (base.base.language.clone(), search.text.clone());
            aside(move || Analysis::of(&language).question(&text)).await?
        }
    };
    Ok(Query {
        mode: search.mode,
        question,
        vector,
        top_k: search.top_k,
        score_threshold: search.score_threshold,
        weights: search.weights,
        filter: search.filter.clone(),
    })
}
