//! Vectors of texts, made by the model of a knowledge base.

use liteagent_engine::{
    capability::{
        knowledge::{Base, NewBase},
        model::EmbedRequest,
    },
    node::prelude::*,
};

/// How many texts one call of a model has at most: a call that fails is repeated whole, and budgets are looked at between.
const BATCH: usize = 256;

/// The alias of the embedding model that is taken where none is named.
pub(super) fn embed_alias() -> String {
    "embed".to_owned()
}

/// The language of knowledge bases where none is named.
pub(super) fn english() -> String {
    "en".to_owned()
}

/// What is asked of an embedding model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Texts that are searched.
    Passages,
    /// Texts that are looked for.
    Questions,
}

/// Embeds texts in calls of a fair size, and counts what they use. Gives the name of the model, never an alias.
pub(super) async fn embed(
    ctx: &NodeCtx,
    model: &str,
    texts: Vec<String>,
    what: Use,
) -> Result<(String, Vec<Vec<f32>>), NodeError> {
    let models = ctx.models()?;
    let mut name = models.describe(model)?.name;
    let mut vectors = Vec::with_capacity(texts.len());
    let mut left = texts;
    let mut is_first = true;
    while !left.is_empty() {
        if !is_first {
            ctx.may_call()?;
        }
        is_first = false;
        let rest = left.split_off(left.len().min(BATCH));
        let request = EmbedRequest {
            model: model.to_owned(),
            texts: std::mem::replace(&mut left, rest),
            questions: what == Use::Questions,
            run: Some(ctx.run),
            node: ctx.path.to_string(),
        };
        let asked = request.texts.len();
        let embedded = models.embed(request).await?;
        ctx.spend(&embedded.model, embedded.usage);
        if embedded.vectors.len() != asked {
            let message = format!("expected {asked} vectors of `{}`, found {}", embedded.model, embedded.vectors.len());
            return Err(NodeError::new(codes::MODEL_ANSWER, ErrorClass::Invalid, message));
        }
        name = embedded.model;
        vectors.extend(embedded.vectors);
    }
    Ok((name, vectors))
}

/// The knowledge base of a name, which is made when it is not there.
pub(super) async fn base(ctx: &NodeCtx, name: &str, model: &str, language: &str) -> Result<Base, NodeError> {
    let knowledge = ctx.knowledge()?;
    match knowledge.base(name).await {
        Err(error) if error.code == codes::KNOWLEDGE_UNKNOWN => {
            // Nobody says how long the vectors of a model are but a vector.
            let (model, vectors) = embed(ctx, model, vec![name.to_owned()], Use::Passages).await?;
            let dimensions = vectors.first().map_or(0, |vector| vector.len() as u32);
            let base = NewBase { name: name.to_owned(), model, dimensions, language: language.to_owned() };
            knowledge.ensure(base).await
        }
        found => found,
    }
}
