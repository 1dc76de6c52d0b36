//! Questions to one or several knowledge bases.

use futures::future::try_join_all;
use liteagent_engine::{
    capability::knowledge::{Filter, Search, SearchMode},
    node::prelude::*,
};

use super::{
    base::Bases,
    found::{Found, FoundOutput},
    vectors::{Use, embed},
};

/// How many passages are found where nothing is said.
pub(super) const TOP_K: u64 = 4;
const MOST: u64 = 1_000;

/// What a search is made of.
pub(super) struct Asked<'a> {
    pub(super) bases: Bases<'a>,
    pub(super) query: &'a Template<String>,
    pub(super) mode: SearchMode,
    pub(super) top_k: Option<&'a Template<u64>>,
    pub(super) score_threshold: Option<&'a Template<Option<f64>>>,
    pub(super) weights: (f32, f32),
    pub(super) filter: Option<&'a TemplateTree>,
}

impl Asked<'_> {
    pub(super) async fn search(&self, ctx: &NodeCtx) -> Result<FoundOutput, NodeError> {
        let names = self.bases.read(ctx)?;
        let text = ctx.render(self.query)?;
        let top_k = top_k(ctx, self.top_k)?;
        let score_threshold = self.score_threshold.map(|least| ctx.render(least)).transpose()?.flatten();
        let filter = match self.filter.map(|filter| ctx.render_tree(filter)).transpose()? {
            None | Some(Value::Null) => None,
            Some(filter) => Some(Filter::read(&filter)?),
        };
        let search = Search {
            mode: self.mode,
            text,
            vector: None,
            top_k,
            score_threshold: score_threshold.map(|least| least as f32),
            weights: self.weights,
            filter,
        };
        find(ctx, &names, &search).await
    }
}

/// Asks all knowledge bases, and joins what they give by its score. The vector of the question is made here.
pub(crate) async fn find(ctx: &NodeCtx, names: &[String], search: &Search) -> Result<FoundOutput, NodeError> {
    let knowledge = ctx.knowledge()?;
    let mut made: Vec<(String, Vec<f32>)> = Vec::new();
    let mut searches = Vec::with_capacity(names.len());
    for name in names {
        let model = knowledge.base(name).await?.model;
        if search.text.trim().is_empty() {
            continue;
        }
        let vector = match search.mode {
            SearchMode::Keyword => None,
            SearchMode::Vector | SearchMode::Hybrid => Some(vector(ctx, &model, &search.text, &mut made).await?),
        };
        searches.push((name, Search { vector, ..search.clone() }));
    }
    let hits = try_join_all(searches.iter().map(|(name, search)| knowledge.search(name, search))).await?;
    let found = searches.iter().zip(hits);
    let found = found.flat_map(|((name, _), hits)| hits.into_iter().map(|hit| Found::new(name, hit)));
    FoundOutput::best(found.collect(), search.top_k)
}

/// The vector of the question, made once for each model.
async fn vector(
    ctx: &NodeCtx,
    model: &str,
    text: &str,
    made: &mut Vec<(String, Vec<f32>)>,
) -> Result<(String, Vec<f32>), NodeError> {
    if let Some(known) = made.iter().find(|(name, _)| name == model) {
        return Ok(known.clone());
    }
    let (model, vectors) = embed(ctx, model, vec![text.to_owned()], Use::Questions).await?;
    let vector = vectors.into_iter().next().ok_or_else(|| NodeError::internal("the model embedded nothing"))?;
    made.push((model, vector));
    Ok(made[made.len() - 1].clone())
}

/// How many passages are wanted.
pub(super) fn top_k(ctx: &NodeCtx, given: Option<&Template<u64>>) -> Result<usize, NodeError> {
    let top_k = given.map(|top_k| ctx.render(top_k)).transpose()?.unwrap_or(TOP_K);
    if (1..=MOST).contains(&top_k) {
        return Ok(top_k as usize);
    }
    let message = format!("expected a number from 1 to {MOST} in `top_k`, found {top_k}");
    Err(NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message).hint("4 to 10 passages are usual"))
}
