//! Vectors of texts, in requests of a bounded size.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use liteagent_engine::{
    capability::model::{EmbedRequest, Embeddings, Usage},
    error::NodeError,
};

use super::{Service, exchange::Failed, tries::Tries};
use crate::{
    catalog::Facts,
    estimate,
    failure::{Fault, Kind},
    wire::{Used, openai::Batch},
};

/// The most tokens of one request, by estimate: less than every provider takes.
const TOKENS: u64 = 100_000;

/// Requests of one call that are sent at once; the limiter may hold them back.
const AT_ONCE: usize = 4;

/// The most bytes of an answer.
const MOST: usize = 128 << 20;

impl Service {
    /// Turns texts into vectors with one of its models.
    pub(super) async fn vectors(&self, model: &str, request: &EmbedRequest) -> Result<Embeddings, NodeError> {
        let facts = self.provider.facts(model);
        let before = if request.questions { &facts.question } else { &facts.passage };
        let texts: Vec<String> = match before {
            Some(before) => request.texts.iter().map(|text| format!("{before}{text}")).collect(),
            None => request.texts.clone(),
        };
        let mut calls = Vec::new();
        for texts in self.batches(&texts) {
            calls.push(self.batch(model, &facts, request, texts));
        }
        let done: Vec<Batch> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        let mut usage = Usage::default();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in done {
            usage += batch.usage;
            vectors.extend(batch.vectors);
        }
        if let Some(other) = vectors.iter().find(|vector| vector.len() != vectors[0].len()) {
            let said = format!("expected vectors of one length, found {} and {}", vectors[0].len(), other.len());
            return Err(self.error(model, &Fault::answer(said)));
        }
        Ok(Embeddings { model: format!("{}/{model}", self.provider.name), vectors, usage })
    }

    /// Neighbours that go into one request. A text that is too long for any stands alone.
    fn batches<'t>(&self, texts: &'t [String]) -> Vec<&'t [String]> {
        let mut batches = Vec::new();
        let (mut start, mut tokens) = (0, 0);
        for (at, text) in texts.iter().enumerate() {
            let more = estimate::text(text.len());
            if at > start && (at - start >= self.provider.batch || tokens + more > TOKENS) {
                batches.push(&texts[start..at]);
                (start, tokens) = (at, 0);
            }
            tokens += more;
        }
        if start < texts.len() {
            batches.push(&texts[start..]);
        }
        batches
    }

    async fn batch(
        &self,
        model: &str,
        facts: &Facts,
        request: &EmbedRequest,
        texts: &[String],
    ) -> Result<Batch, NodeError> {
        let tokens = texts.iter().map(|text| estimate::text(text.len())).sum();
        let mut tries = Tries::new(self, request.run, tokens, true);
        loop {
            match self.attempt(model, texts, &tries).await {
                Ok(mut batch) => {
                    if batch.usage.input_tokens == 0 {
                        batch.usage.input_tokens = tokens;
                    }
                    batch.usage = facts.price(Used { usage: batch.usage, written: 0 });
                    return Ok(batch);
                }
                Err(failed) => tries.after(failed).await.map_err(|failed| self.told(model, failed))?,
            }
        }
    }

    async fn attempt(&self, model: &str, texts: &[String], tries: &Tries<'_>) -> Result<Batch, Failed> {
        let body = self.provider.format.embed(model, texts)?;
        let pass = tries.enter().await?;
        let call = self.call(self.url(model, "embeddings"), &body)?;
        let mut reply = self.exchange(call, pass).await?;
        let told = self.limits_of(&reply);
        reply.pass.taken(&told);
        let read = self.read(reply.body, MOST).await.and_then(|body| {
            let fault = || Fault::new(Kind::Answer, "it is too long");
            if body.len() < MOST { Ok(Batch::read(&body, texts.len())?) } else { Err(fault().into()) }
        });
        match read {
            Ok(batch) => {
                reply.pass.answered();
                reply.pass.ended(batch.usage.input_tokens);
                Ok(batch)
            }
            Err(Failed::Fault(fault, said)) => Err(self.settle(fault, said, reply.pass, &told)),
            Err(failed) => Err(failed),
        }
    }
}
