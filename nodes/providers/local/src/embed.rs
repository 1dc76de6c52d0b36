//! The embedding model: texts become vectors.

use std::path::Path;

use liteagent_engine::error::NodeError;
use rayon::{
    ThreadPool,
    iter::{IntoParallelRefIterator as _, ParallelIterator as _},
};
use tokenizers::{Tokenizer, TruncationParams};

use self::bert::{Bert, Scratch};
use crate::{failure, mapped, stop::Stop, weights::EMBEDDING};

mod bert;
mod linear;

/// The most tokens of a text, the marks of its begin and end included. What is beyond is cut, as sentence-transformers
/// does; the model was trained on 128.
pub(crate) const LONGEST: usize = 256;

/// How many tokens are computed together: enough for fast products, few enough for the cache of a core.
const BATCH: usize = 512;

/// all-MiniLM-L6-v2, loaded.
pub(crate) struct Embedder {
    bert: Bert,
    tokenizer: Tokenizer,
    /// The same, which cuts nothing.
    whole: Tokenizer,
    threads: ThreadPool,
}

/// Vectors of texts, and how many tokens were read.
pub(crate) struct Embedded {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) tokens: u64,
}

impl Embedder {
    /// Loads the model from the folder of all weights.
    pub(crate) fn load(folder: &Path, threads: ThreadPool) -> Result<Self, NodeError> {
        let weights = EMBEDDING.path(folder, "model.safetensors")?;
        let map = mapped::map(&weights).map_err(|error| failure::broken(&weights, error))?;
        let bert = Bert::read(map).map_err(|what| failure::broken(&weights, what))?;
        let path = EMBEDDING.path(folder, "tokenizer.json")?;
        let tokenizer = tokenizer(&path).map_err(|error| failure::broken(&path, error))?;
        let mut whole = tokenizer.clone();
        whole.with_truncation(None).map_err(|error| failure::broken(&path, error))?;
        Ok(Self { bert, tokenizer, whole, threads })
    }

    /// For each text the bytes at which its tokens end.
    pub(crate) fn ends(&self, texts: &[String]) -> Result<Vec<Vec<usize>>, NodeError> {
        let ends = |text: &String| {
            let encoded = self.whole.encode(text.as_str(), false).map_err(untold)?;
            Ok(encoded.get_offsets().iter().map(|(_, end)| *end).collect())
        };
        texts.iter().map(ends).collect()
    }

    /// Computes on the threads of the pool, and returns when all is done. Nothing when it was stopped.
    pub(crate) fn embed(&self, texts: &[String], stop: &Stop) -> Result<Option<Embedded>, NodeError> {
        self.threads.install(|| {
            let texts: Vec<Vec<u32>> = texts.par_iter().map(|text| self.tokens(text)).collect::<Result<_, _>>()?;
            let tokens: usize = texts.iter().map(Vec::len).sum();
            let most = BATCH.min(tokens.div_ceil(self.threads.current_num_threads()));
            let batches: Vec<Option<Vec<Vec<f32>>>> = batches(&texts, most)
                .par_iter()
                .map_init(Scratch::default, |scratch, batch| (!stop.is_set()).then(|| self.bert.embed(batch, scratch)))
                .collect();
            let vectors: Option<Vec<_>> = batches.into_iter().collect();
            Ok(vectors.map(|vectors| Embedded { vectors: vectors.concat(), tokens: tokens as u64 }))
        })
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, NodeError> {
        let encoded = self.tokenizer.encode_fast(text, true);
        Ok(encoded.map_err(untold)?.get_ids().to_vec())
    }
}

fn untold(error: tokenizers::Error) -> NodeError {
    NodeError::internal(format!("a text has no tokens: {error}"))
}

fn tokenizer(path: &Path) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_file(path)?;
    // The file says 128 tokens, and fills short texts up to that.
    tokenizer.with_truncation(Some(TruncationParams { max_length: LONGEST, ..TruncationParams::default() }))?;
    tokenizer.with_padding(None);
    let words = tokenizer.get_vocab_size(true);
    if words > bert::WORDS {
        return Err(format!("expected {} words at most, found {words}", bert::WORDS).into());
    }
    Ok(tokenizer)
}

/// Neighbours whose tokens together are at most so many, or one text alone.
fn batches(texts: &[Vec<u32>], most: usize) -> Vec<&[Vec<u32>]> {
    let mut batches = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, text) in texts.iter().enumerate() {
        if index > start && tokens + text.len() > most {
            batches.push(&texts[start..index]);
            (start, tokens) = (index, 0);
        }
        tokens += text.len();
    }
    if start < texts.len() {
        batches.push(&texts[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_are_not_too_large() {
        let lengths = [3, 4, 9, 1, 1, 1, 5, 12];
        let texts: Vec<Vec<u32>> = lengths.iter().map(|length| vec![7; *length]).collect();
        let found: Vec<Vec<usize>> =
            batches(&texts, 8).iter().map(|batch| batch.iter().map(Vec::len).collect()).collect();
        assert_eq!(found, [vec![3, 4], vec![9], vec![1, 1, 1, 5], vec![12]]);
        assert!(batches(&[], 8).is_empty());
    }
}
