//! The chat model: messages become an answer, token by token.
//!
//! # Layout
//! - `gguf`: the file; `llama`, `attention`: the forward pass; `cache`: what was read before;
//! - `vocabulary`, `prompt`: text to tokens and back; `sample`: the choice of the next one;
//! - `grammar`: holds an answer to a schema; `answer`: the text that is given out;
//! - `generate`: all of them, for one question; `turns`: who computes when.

mod answer;
mod attention;
mod cache;
mod generate;
mod gguf;
mod grammar;
mod llama;
mod prompt;
mod sample;
mod turns;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use liteagent_engine::{capability::model::ChatRequest, error::NodeError};

use self::{
    cache::{Cache, Kept},
    gguf::Gguf,
    grammar::{Grammar, mask::Sorted},
    llama::Llama,
    vocabulary::Vocabulary,
};
pub(crate) use self::{
    generate::Question,
    turns::{Turns, threads_of},
};
use crate::{failure, weights::CHAT};

/// The most tokens of an answer where the question does not say: small models go round in circles.
const ANSWER: u64 = 1024;

/// How many conversations are kept at most.
const CONVERSATIONS: usize = 8;

/// SmolLM2-135M-Instruct, loaded.
pub(crate) struct Chat {
    llama: Llama,
    vocabulary: Vocabulary,
    /// The tokens in order, made when the first answer is held to a schema.
    sorted: OnceLock<Sorted>,
    kept: Mutex<Kept>,
}

impl Chat {
    /// Loads the model from the folder of all weights. `kept` is how many tokens of conversations are kept in memory.
    pub(crate) fn load(folder: &Path, kept: usize) -> Result<Self, NodeError> {
        let path = CHAT.path(folder, "model.gguf")?;
        let read = || {
            let gguf = Gguf::read(&path)?;
            let (llama, vocabulary) = (Llama::read(&gguf)?, Vocabulary::read(&gguf)?);
            if llama.vocabulary() != vocabulary.len() || llama.shape.context != CHAT.context {
                let (tokens, context) = (vocabulary.len(), CHAT.context);
                return Err(format!("expected {tokens} tokens and a context of {context}, found {}", llama.sizes()));
            }
            Ok((llama, vocabulary))
        };
        let (llama, vocabulary) = read().map_err(|what: String| failure::broken(&path, what))?;
        Ok(Self { llama, vocabulary, sorted: OnceLock::new(), kept: Mutex::new(Kept::new(CONVERSATIONS, kept)) })
    }

    /// Makes a question of a request: everything that can be wrong with it is found here.
    pub(crate) fn question(&self, request: &ChatRequest) -> Result<Question, NodeError> {
        let tokens = prompt::tokens(&request.messages, &self.vocabulary)?;
        let room = CHAT.context.saturating_sub(tokens.len());
        if room == 0 {
            return Err(failure::context(tokens.len(), CHAT.context));
        }
        Ok(Question {
            most: request.sampling.max_tokens.unwrap_or(ANSWER).clamp(1, room as u64),
            grammar: request.schema.as_ref().map(Grammar::new).transpose()?,
            sampling: request.sampling.clone(),
            tokens,
        })
    }

    /// A conversation that begins like a question.
    fn begun(&self, question: &[u32]) -> Cache {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take(question)
    }

    fn keep(&self, cache: Cache) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(cache);
    }
}
