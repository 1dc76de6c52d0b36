//! Text to tokens and back. Marks such as the end of a message are no text: what a person writes never becomes one.

use tokenizers::{
    ModelWrapper, PreTokenizerWrapper, Tokenizer,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

use super::gguf::Gguf;

/// How GGUF says that a token is text. The others are marks.
const TEXT: f64 = 1.0;

const BEGIN: &str = "<|im_start|>";
const END: &str = "<|im_end|>";
const END_OF_TEXT: &str = "<|endoftext|>";

/// The tokens of a model.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// What each token stands for; empty for marks.
    bytes: Vec<Box<[u8]>>,
    marks: Vec<u32>,
    /// Before the role of a message.
    pub(super) begin: u32,
    /// After a message.
    pub(super) end: u32,
    /// Another way to end.
    pub(super) end_of_text: u32,
}

impl Vocabulary {
    /// Takes the tokens out of a file; the error says what is wrong with it.
    pub(super) fn read(gguf: &Gguf) -> Result<Self, String> {
        let (model, split) = (gguf.text("tokenizer.ggml.model")?, gguf.text("tokenizer.ggml.pre")?);
        if (model, split) != ("gpt2", "smollm") {
            return Err(format!("expected the tokenizer `gpt2` with `smollm`, found `{model}` with `{split}`"));
        }
        let tokens = gguf.texts("tokenizer.ggml.tokens")?;
        let vocabulary: Vocab = tokens.iter().zip(0..).map(|(token, id)| (token.clone(), id)).collect();
        let mark = |name: &str| vocabulary.get(name).copied().ok_or_else(|| format!("expected a token `{name}`"));
        let (begin, end, end_of_text) = (mark(BEGIN)?, mark(END)?, mark(END_OF_TEXT)?);
        let merges = gguf.texts("tokenizer.ggml.merges")?.iter().map(|merge| {
            let (left, right) = merge.split_once(' ').ok_or_else(|| format!("expected two parts in `{merge}`"))?;
            Ok((left.to_owned(), right.to_owned()))
        });
        let merges = merges.collect::<Result<Vec<_>, String>>()?;
        let model = BPE::builder().vocab_and_merges(vocabulary, merges).build().map_err(|error| error.to_string())?;
        let mut tokenizer = Tokenizer::new(ModelWrapper::BPE(model));
        // Each digit alone, then words as GPT-2 has them.
        let split = Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
        ]);
        tokenizer.with_pre_tokenizer(Some(split));
        let kinds = gguf.numbers("tokenizer.ggml.token_type")?;
        if kinds.len() != tokens.len() {
            return Err(format!("expected a type for each of {} tokens, found {}", tokens.len(), kinds.len()));
        }
        let bytes = |(token, kind): (&String, &f64)| match *kind {
            TEXT => token.chars().filter_map(byte).collect(),
            _ => Box::default(),
        };
        let bytes: Vec<Box<[u8]>> = tokens.iter().zip(kinds).map(bytes).collect();
        let marks = bytes.iter().zip(0..).filter(|(bytes, _)| bytes.is_empty()).map(|(_, token)| token).collect();
        Ok(Self { tokenizer, bytes, marks, begin, end, end_of_text })
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The tokens of a text; none of them is a mark.
    pub(super) fn tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoded = self.tokenizer.encode_fast(text, false).map_err(|error| error.to_string())?;
        Ok(encoded.get_ids().to_vec())
    }

    /// The tokens that are no text, those that end an answer among them.
    pub(super) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// What a token stands for; nothing for a mark.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], |bytes| bytes)
    }

    /// Whether a token ends an answer.
    pub(super) fn ends(&self, token: u32) -> bool {
        token == self.end || token == self.end_of_text
    }
}

/// GPT-2 writes a byte that is visible as itself, and the others, in order, as characters from 256 on.
fn byte(character: char) -> Option<u8> {
    const VISIBLE: [std::ops::RangeInclusive<u8>; 3] = [b'!'..=b'~', 0xa1..=0xac, 0xae..=0xff];
    let visible = |byte: &u8| VISIBLE.iter().any(|range| range.contains(byte));
    match u32::from(character) {
        code @ 0..=255 => Some(code as u8),
        code => (0..=255).filter(|byte| !visible(byte)).nth(code as usize - 256),
    }
}
