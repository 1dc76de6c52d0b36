//! The text of an answer while its tokens come: whole characters only, and nothing of what ends it.

/// Gives out text as early as it is certain.
pub(super) struct Answer {
    /// Bytes that were not given out yet.
    held: Vec<u8>,
    stop: Vec<Vec<u8>>,
    /// Whether a text that ends the answer came.
    pub(super) stopped: bool,
}

impl Answer {
    /// Any of the texts ends the answer.
    pub(super) fn new(stop: &[String]) -> Self {
        let stop = stop.iter().filter(|text| !text.is_empty()).map(|text| text.clone().into_bytes()).collect();
        Self { held: Vec::new(), stop, stopped: false }
    }

    /// Takes the bytes of a token, and gives out what can be said now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.extend_from_slice(bytes);
        let found = |stop: &Vec<u8>| self.held.windows(stop.len()).position(|held| held == stop);
        if let Some(at) = self.stop.iter().filter_map(found).min() {
            self.held.truncate(at);
            self.stopped = true;
            return self.finish();
        }
        let begun = |stop: &Vec<u8>| (1..stop.len()).rev().find(|length| self.held.ends_with(&stop[..*length]));
        let certain = self.held.len() - self.stop.iter().filter_map(begun).max().unwrap_or(0);
        let certain = whole(&self.held[..certain]);
        let rest = self.held.split_off(certain);
        text(std::mem::replace(&mut self.held, rest))
    }

    /// Gives out the rest.
    pub(super) fn finish(&mut self) -> String {
        text(std::mem::take(&mut self.held))
    }
}

/// How many bytes there are before a character at the end that may still become whole.
fn whole(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(last) if !last.invalid().is_empty() => {
            let begun = std::str::from_utf8(last.invalid()).is_err_and(|error| error.error_len().is_none());
            bytes.len() - if begun { last.invalid().len() } else { 0 }
        }
        _ => bytes.len(),
    }
}

/// What is no UTF-8 becomes the sign for that.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(stop: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let mut answer = Answer::new(&stop.iter().map(|stop| (*stop).to_owned()).collect::<Vec<_>>());
        let mut said: Vec<String> = tokens.iter().map(|token| answer.push(token)).collect();
        said.push(answer.finish());
        (said, answer.stopped)
    }

    #[test]
    fn characters_come_whole() {
        assert_eq!(pieces(&[], &["a€b".as_bytes()]).0, ["a€b", ""]);
        assert_eq!(pieces(&[], &[b"a\xe2\x82", b"\xac", b"\xf0\x9f\x99", b"\x82!"]).0, ["a", "€", "", "🙂!", ""]);
        // What can never become a character is said at once, what is cut at the end, then.
        assert_eq!(pieces(&[], &[b"a\xffb", b"\xe2\x82x", b"\xe2"]).0, ["a\u{fffd}b", "\u{fffd}x", "", "\u{fffd}"]);
    }

    #[test]
    fn texts_that_end_the_answer_are_no_part_of_it() {
        assert_eq!(
            pieces(&["END"], &[b"say E", b"N", b"D more", b"more"]),
            (["say ", "", "", "", ""].map(str::to_owned).to_vec(), true)
        );
        assert_eq!(pieces(&["END"], &[b"E", b"N", b"TER"]), (["", "", "ENTER", ""].map(str::to_owned).to_vec(), false));
        assert_eq!(pieces(&["\n\n", "b"], &[b"a\n", b"\n"]), (["a", "", ""].map(str::to_owned).to_vec(), true));
        assert_eq!(pieces(&["later", "x"], &[b"an x later"]), (["an ", ""].map(str::to_owned).to_vec(), true));
        assert_eq!(pieces(&[""], &[b"a"]), (["a", ""].map(str::to_owned).to_vec(), false));
    }
}
