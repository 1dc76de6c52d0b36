//! The words of a text as every store searches them: lower case, without endings, as numbers.
//!
//! Stop words are indexed like all others, so that a question made of nothing else finds something.

use std::collections::{BTreeMap, HashSet};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A word without its ending, as a number. Of 100,000 words one pair shares a number by chance.
pub(crate) type Term = u32;

/// The words of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many words there are.
    pub length: u32,
    /// How often each stands there, by term.
    pub counts: Vec<(u32, u32)>,
}

/// The words of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The words, each once, in order of their numbers.
    pub terms: Vec<u32>,
    /// Whether all of them must stand in a chunk: when the question has stop words only. Else one is enough.
    pub all: bool,
}

/// How texts of a language become words.
pub(crate) struct Analysis {
    stop_words: HashSet<&'static str>,
    stemmer: Option<Stemmer>,
    /// Whether an apostrophe ends a word, as in `l'homme`.
    elides: bool,
}

impl Analysis {
    /// The analysis of a language, as ISO 639-1 has it. One that is not known has no stop words and keeps endings.
    pub(crate) fn of(language: &str) -> Self {
        let language = if matches!(language, "nb" | "nn") { "no" } else { language };
        let stop_words = stop_words::lookup(language).unwrap_or_default().iter().copied().collect();
        Self {
            stop_words,
            stemmer: algorithm(language).map(Stemmer::create),
            elides: matches!(language, "fr" | "it" | "ca"),
        }
    }

    /// The words of a chunk.
    pub(crate) fn terms(&self, text: &str) -> Terms {
        let mut counts = BTreeMap::new();
        let mut length = 0;
        self.words(text, |word| {
            length += 1;
            *counts.entry(self.term(word)).or_insert(0) += 1;
        });
        Terms { length, counts: counts.into_iter().collect() }
    }

    /// The words of a question.
    pub(crate) fn question(&self, text: &str) -> Question {
        let (mut content, mut stop) = (Vec::new(), Vec::new());
        self.words(text, |word| {
            let of = if self.stop_words.contains(word) { &mut stop } else { &mut content };
            of.push(self.term(word));
        });
        let all = content.is_empty();
        let mut terms = if all { stop } else { content };
        terms.sort_unstable();
        terms.dedup();
        Question { terms, all }
    }

    fn words(&self, text: &str, mut each: impl FnMut(&str)) {
        let text: String =
            text.nfkc().flat_map(char::to_lowercase).map(|letter| if letter == '’' { '\'' } else { letter }).collect();
        for word in text.unicode_words() {
            if self.elides {
                word.split('\'').filter(|part| !part.is_empty()).for_each(&mut each);
            } else {
                each(word);
            }
        }
    }

    fn term(&self, word: &str) -> Term {
        let stem = self.stemmer.as_ref().map(|stemmer| stemmer.stem(word));
        number(stem.as_deref().filter(|stem| !stem.is_empty()).unwrap_or(word))
    }
}

fn algorithm(language: &str) -> Option<Algorithm> {
    Some(match language {
        "ar" => Algorithm::Arabic,
        "da" => Algorithm::Danish,
        "nl" => Algorithm::Dutch,
        "en" => Algorithm::English,
        "fi" => Algorithm::Finnish,
        "fr" => Algorithm::French,
        "de" => Algorithm::German,
        "el" => Algorithm::Greek,
        "hu" => Algorithm::Hungarian,
        "it" => Algorithm::Italian,
        "no" => Algorithm::Norwegian,
        "pt" => Algorithm::Portuguese,
        "ro" => Algorithm::Romanian,
        "ru" => Algorithm::Russian,
        "es" => Algorithm::Spanish,
        "sv" => Algorithm::Swedish,
        "ta" => Algorithm::Tamil,
        "tr" => Algorithm::Turkish,
        _ => return None,
    })
}

/// FNV-1a of 64 bits, folded. Stored: never to be changed.
fn number(word: &str) -> Term {
    let hash = word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash ^ (hash >> 32)) as Term
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_meet_whatever_their_form() {
        let english = Analysis::of("en");
        let text = english.terms("The Guarantees, and the guaranteed guarantee — naïve cafe\u{301}s don’t lie.");
        assert_eq!(text.length, 10);
        let of = |word: &str| english.question(word).terms[0];
        assert!(text.counts.contains(&(of("guarantee"), 3)));
        assert!(text.counts.contains(&(of("CAFÉ"), 1)), "accents are one letter, however they are written");
        assert!(text.counts.is_sorted());
        let question = english.question("What is the guarantee of the guarantee?");
        assert_eq!(question, Question { terms: vec![of("guarantees")], all: false });
        assert!(english.question("to be or not to be").all);
        assert_eq!(english.question("to be or not to be").terms.len(), 4);
        assert_eq!(english.question(" … ?! "), Question { terms: vec![], all: true });

        assert_eq!(Analysis::of("fr").question("de l'homme").terms, Analysis::of("fr").question("hommes").terms);
        assert_eq!(Analysis::of("de").question("der Häuser").terms, Analysis::of("de").question("hauser").terms);
        assert_eq!(Analysis::of("ja").terms("保証書").length, 3, "each character is a word where none are known");
    }

    proptest! {
        #[test]
        fn any_text_has_words(text in "\\PC{0,40}", language in "(ar|da|de|el|en|es|fi|fr|hu|it|nl|no|pt|ro|ru|sv|ta|tr|xx)") {
            let analysis = Analysis::of(&language);
            let terms = analysis.terms(&text);
            prop_assert_eq!(terms.counts.iter().map(|(_, count)| count).sum::<u32>(), terms.length);
            let question = analysis.question(&text);
            prop_assert!(question.terms.iter().all(|term| terms.counts.iter().any(|(known, _)| known == term)));
        }
    }
}
