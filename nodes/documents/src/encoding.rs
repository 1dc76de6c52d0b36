//! Bytes as text: by their byte order mark, as UTF-8, else by a guess.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

/// What bytes say.
pub(crate) struct Decoded<'b> {
    pub(crate) text: Cow<'b, str>,
    /// What a reader should know of how they were read.
    pub(crate) warning: Option<String>,
}

/// How much of a text may be control characters before it is none, in thousandths.
const MOST_CONTROLS: usize = 10;

/// Bytes as text; `None` when they are none. `label` is what the text says of its encoding, as HTML does.
pub(crate) fn decode<'b>(bytes: &'b [u8], label: Option<&[u8]>) -> Option<Decoded<'b>> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return accept(encoding, &bytes[mark..], None);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => return is_text(text).then_some(Decoded { text: text.into(), warning: None }),
        Err(_) if bytes.contains(&0) => return None,
        Err(error) if is_nearly_utf8(bytes) => {
            let warning = format!("some bytes are no UTF-8, the first at {}: they were replaced", error.valid_up_to());
            return accept(encoding_rs::UTF_8, bytes, Some(warning));
        }
        Err(_) => {}
    }
    let encoding = label.and_then(Encoding::for_label).filter(|encoding| *encoding != encoding_rs::UTF_8);
    let encoding = encoding.unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        detector.guess(None, Utf8Detection::Deny)
    });
    accept(encoding, bytes, Some(format!("it is no UTF-8, and was read as {}", encoding.name())))
}

fn accept<'b>(encoding: &'static Encoding, bytes: &'b [u8], warning: Option<String>) -> Option<Decoded<'b>> {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    is_text(&text).then_some(Decoded { text, warning })
}

/// Whether bytes are UTF-8 but for a few: many characters of several bytes are whole.
fn is_nearly_utf8(bytes: &[u8]) -> bool {
    let (mut wide, mut wrong) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        wide += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    wide >= wrong * 8
}

/// Whether it is text that people write: no zeros, and hardly a control character.
fn is_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let controls = bytes.iter().filter(|byte| matches!(byte, 1..=8 | 14..=26 | 28..=31 | 127)).count();
    !bytes.contains(&0) && controls * 1000 <= bytes.len() * MOST_CONTROLS
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::utf_8(b"gr\xc3\xbc\xc3\x9fe", Some("grüße"))]
    #[case::mark(b"\xef\xbb\xbfa", Some("a"))]
    #[case::utf_16(b"\xff\xfea\0\xfc\0", Some("aü"))]
    #[case::big_endian(b"\xfe\xff\0a", Some("a"))]
    #[case::western(
        b"Stra\xdfe nach K\xf6ln, Gr\xfc\xdfe und sch\xf6ne Tage",
        Some("Straße nach Köln, Grüße und schöne Tage")
    )]
    #[case::cyrillic(
        b"\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? \xc2\xf1\xe5 \xf5\xee\xf0\xee\xf8\xee.",
        Some("Привет, как дела? Все хорошо.")
    )]
    #[case::one_wrong_byte("ääääääääää\u{fffd}ä".as_bytes(), Some("ääääääääää\u{fffd}ä"))]
    #[case::zeros(b"a\0b", None)]
    #[case::binary(b"\x01\x02\x03\x04\x05abc\xff\xfe\xfd", None)]
    #[case::empty(b"", Some(""))]
    fn encodings_are_found(#[case] bytes: &[u8], #[case] text: Option<&str>) {
        assert_eq!(decode(bytes, None).map(|decoded| decoded.text.into_owned()).as_deref(), text);
    }

    #[test]
    fn what_was_guessed_or_replaced_is_told() {
        let warning = |bytes: &[u8], label| decode(bytes, label).unwrap().warning.unwrap();
        assert_eq!(warning(b"caf\xe9", Some(b"iso-8859-1")), "it is no UTF-8, and was read as windows-1252");
        let cut = "ääääääääää".as_bytes();
        assert_eq!(warning(&cut[..19], None), "some bytes are no UTF-8, the first at 18: they were replaced");
    }
}
