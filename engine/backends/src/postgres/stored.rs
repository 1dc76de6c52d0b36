//! Text as PostgreSQL keeps it: any but NUL, which is written as SUB and a digit.

use std::borrow::Cow;

const SUB: char = '\u{1a}';

/// A text in a form that PostgreSQL takes; almost always itself.
pub fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', SUB]) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(SUB, "\u{1a}1").replace('\0', "\u{1a}0"))
}

/// The text that was stored.
pub(crate) fn decoded(text: String) -> String {
    if text.contains(SUB) { text.replace("\u{1a}0", "\0").replace("\u{1a}1", "\u{1a}") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back(text in "[\u{0}\u{1a}01aé]{0,12}") {
            let kept = stored(&text).into_owned();
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(decoded(kept), text);
        }
    }
}
