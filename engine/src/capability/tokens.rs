//! Where the tokens of a text end, as an embedding model reads it.

use async_trait::async_trait;

use crate::error::NodeError;

/// Cuts texts into the tokens of a model.
#[async_trait]
pub trait Tokenizer: Send + Sync {
    /// For each text the byte at which each of its tokens ends, in order. White space belongs to no token. Tokens that the
    /// model adds by itself do not count.
    ///
    /// # Errors
    /// When the tokens of the model cannot be had.
    async fn ends(&self, texts: Vec<String>) -> Result<Vec<Vec<usize>>, NodeError>;
}

/// About the tokens that models have on average: for models whose own are not known here.
#[derive(Clone, Copy, Debug, Default)]
pub struct EstimatedTokens;

/// Letters of a token, about.
const LETTERS: usize = 4;

#[async_trait]
impl Tokenizer for EstimatedTokens {
    async fn ends(&self, texts: Vec<String>) -> Result<Vec<Vec<usize>>, NodeError> {
        Ok(texts.iter().map(|text| estimated_ends(text)).collect())
    }
}

/// A token for every four letters of a word, and for every other sign.
fn estimated_ends(text: &str) -> Vec<usize> {
    let (mut ends, mut letters) = (Vec::new(), 0);
    for (start, letter) in text.char_indices() {
        let is_word = letter.is_alphanumeric() && letter.is_ascii();
        if letters > 0 && (!is_word || letters == LETTERS) {
            ends.push(start);
            letters = 0;
        }
        if is_word {
            letters += 1;
        } else if !letter.is_whitespace() {
            ends.push(start + letter.len_utf8());
        }
    }
    if letters > 0 {
        ends.push(text.len());
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_into_fours_and_signs_stand_alone() {
        let tokens = |text: &str| {
            let mut start = 0;
            let cut = |end| text[std::mem::replace(&mut start, end)..end].trim().to_owned();
            estimated_ends(text).into_iter().map(cut).collect::<Vec<_>>()
        };
        assert_eq!(tokens("Hello, you"), ["Hell", "o", ",", "you"]);
        assert_eq!(tokens(" 漢字 ab "), ["漢", "字", "ab"]);
        assert_eq!(tokens(""), [""; 0]);
    }
}
