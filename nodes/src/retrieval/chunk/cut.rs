//! Where pieces begin and end.

use std::ops::Range;

use super::{CutBy, text::Marked};

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) by: CutBy,
    pub(super) separator: Option<&'a str>,
    /// The most units of a piece.
    pub(super) size: u32,
    /// The units that a piece repeats of the one before.
    pub(super) overlap: u32,
}

/// How well a piece ends at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Inside,
    Word,
    Sentence,
    Line,
    Blank,
}

/// The pieces of a part of a text. `ends` are the places where its units end.
pub(super) fn cut(text: &Marked, ends: &[usize], part: Range<usize>, rules: &Rules) -> Vec<Range<usize>> {
    let cutter = Cutter { text: &text.text, ends, size: rules.size as usize, overlap: rules.overlap as usize };
    let pieces = match rules.by {
        CutBy::Fixed => return cutter.fixed(part),
        CutBy::Separator => cutter.separated(part, rules.separator.unwrap_or("\n\n")),
        CutBy::Text | CutBy::Pairs => vec![part],
        CutBy::Sections => cutter.sections(text, part),
    };
    pieces.into_iter().flat_map(|piece| cutter.pieces(piece)).collect()
}

/// How many units end in a part of a text.
pub(super) fn units(ends: &[usize], part: &Range<usize>) -> usize {
    let before = |at: usize| ends.partition_point(|end| *end <= at);
    before(part.end) - before(part.start)
}

struct Cutter<'a> {
    text: &'a str,
    ends: &'a [usize],
    size: usize,
    overlap: usize,
}

impl Cutter<'_> {
    fn units(&self, part: &Range<usize>) -> usize {
        units(self.ends, part)
    }

    /// How many units have ended at a place.
    fn index(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end <= at)
    }

    /// Where so many units after a place have ended.
    fn after(&self, at: usize, units: usize) -> usize {
        if units == 0 {
            return at;
        }
        self.ends.get(self.index(at) + units - 1).copied().unwrap_or(self.text.len())
    }

    fn fixed(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = part.start;
        while self.units(&(start..part.end)) > 0 {
            let end = self.after(start, self.size).min(part.end);
            pieces.push(start..end);
            if self.units(&(end..part.end)) == 0 {
                break;
            }
            start = self.after(start, self.size - self.overlap);
        }
        pieces
    }

    fn separated(&self, part: Range<usize>, separator: &str) -> Vec<Range<usize>> {
        let mut start = part.start;
        let piece = |text: &str| {
            let piece = start..start + text.len();
            start = piece.end + separator.len();
            piece
        };
        self.text[part].split(separator).map(piece).collect()
    }

    /// From heading to heading, where small neighbours stay together under the heading of the first.
    fn sections(&self, text: &Marked, part: Range<usize>) -> Vec<Range<usize>> {
        let mut sections: Vec<(Range<usize>, u8)> = Vec::new();
        let mut open = (part.start, 0);
        for heading in text.headings.iter().filter(|heading| part.start < heading.start && heading.start < part.end) {
            sections.push((open.0..heading.start, open.1));
            open = (heading.start, heading.level);
        }
        if let Some(first) = text.headings.iter().find(|heading| heading.start == part.start)
            && let Some(section) = sections.first_mut()
        {
            section.1 = first.level;
        }
        sections.push((open.0..part.end, open.1));
        let mut joined: Vec<(Range<usize>, u8)> = Vec::new();
        for (section, level) in sections {
            if let Some((before, above)) = joined.last_mut()
                && level >= *above
                && self.units(before).min(self.units(&section)) < self.size / 2
                && self.units(&(before.start..section.end)) <= self.size
            {
                before.end = section.end;
            } else {
                joined.push((section, level));
            }
        }
        joined.into_iter().map(|(section, _)| section).collect()
    }

    /// Pieces of about the same size, each ending at the best place near it.
    fn pieces(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = part.start;
        loop {
            let left = self.units(&(start..part.end));
            if left == 0 {
                return pieces;
            }
            if left <= self.size {
                pieces.push(start..part.end);
                return pieces;
            }
            let step = self.size - self.overlap;
            let count = (left - self.overlap).div_ceil(step).max(2);
            let even = (left - self.overlap).div_ceil(count) + self.overlap;
            let low = self.after(start, (even * 3 / 5).max(self.overlap + 1));
            let high = self.after(start, (even * 6 / 5).clamp(1, self.size)).min(part.end);
            // The white space behind belongs to no unit: where it has a blank line, a piece ends best after that.
            let behind = &self.text[high..part.end];
            let high = high + behind.len() - behind.trim_start().len();
            let end = self.best(low.min(high)..high);
            pieces.push(start..end);
            start = self.resume(start, end);
        }
    }

    /// The best place to end between two, the last among equals.
    fn best(&self, within: Range<usize>) -> usize {
        let mut best = (End::Inside, within.end);
        for (at, _) in self.text[within.clone()].char_indices() {
            let at = within.start + at;
            let end = self.end_at(at);
            if end > End::Inside && end >= best.0 {
                best = (end, at);
            }
        }
        let end = self.end_at(within.end);
        if end >= best.0 { within.end } else { best.1 }
    }

    /// How well a piece ends before a place: the text is looked at on both sides.
    fn end_at(&self, at: usize) -> End {
        let before = &self.text[..at];
        if is_heading(before.trim_end().lines().next_back().unwrap_or_default()) && before.ends_with('\n') {
            // A heading without what stands under it says nothing.
            return End::Inside;
        }
        if before.ends_with("\n\n") {
            return End::Blank;
        }
        if before.ends_with('\n') {
            return End::Line;
        }
        let spaced = before.trim_end_matches([' ', '\t']);
        if spaced.ends_with(['。', '！', '？']) || (spaced.len() < at && spaced.ends_with(['.', '!', '?', ':', ';']))
        {
            return End::Sentence;
        }
        if spaced.len() < at || self.text[at..].starts_with(char::is_whitespace) { End::Word } else { End::Inside }
    }

    /// Where the next piece begins: as far back as the overlap reaches, at the beginning of a word.
    fn resume(&self, start: usize, end: usize) -> usize {
        let units = self.index(end);
        let Some(back) = units.checked_sub(self.overlap.max(1)).filter(|_| self.overlap > 0) else { return end };
        let from = self.ends.get(back.wrapping_sub(1)).copied().unwrap_or(start).max(start + 1);
        let from = (from..=end).find(|at| self.text.is_char_boundary(*at)).unwrap_or(end);
        let places = self.text[from..end].char_indices().map(|(at, _)| from + at);
        // Never further back than the piece before began, so that each piece brings something new.
        places.filter(|at| *at > start).find(|at| self.end_at(*at) > End::Inside).unwrap_or(end)
    }
}

fn is_heading(line: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').starts_with(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words are the units.
    fn ends(text: &str) -> Vec<usize> {
        let mut ends = Vec::new();
        for (at, letter) in text.char_indices() {
            let next = text[at + letter.len_utf8()..].chars().next();
            if !letter.is_whitespace() && next.is_none_or(char::is_whitespace) {
                ends.push(at + letter.len_utf8());
            }
        }
        ends
    }

    fn pieces(text: &str, by: CutBy, size: u32, overlap: u32) -> Vec<String> {
        let marked = Marked::read(&text.into()).expect("it is a text");
        let rules = Rules { by, separator: Some("--"), size, overlap };
        let cut = cut(&marked, &ends(text), 0..text.len(), &rules);
        cut.into_iter().map(|piece| text[piece].trim().replace('\n', "|")).collect()
    }

    #[test]
    fn pieces_end_where_the_text_does() {
        let text = "One two three. Four five six.\nSeven eight.\n\nNine ten eleven twelve thirteen.";
        assert_eq!(
            pieces(text, CutBy::Text, 8, 0),
            ["One two three. Four five six.|Seven eight.", "Nine ten eleven twelve thirteen."]
        );
        assert_eq!(pieces(text, CutBy::Fixed, 5, 2)[..2], ["One two three. Four five", "Four five six.|Seven eight."]);
        assert_eq!(
            pieces(text, CutBy::Text, 6, 2),
            [
                "One two three. Four five six.",
                "five six.|Seven eight.",
                "Seven eight.||Nine ten eleven twelve",
                "eleven twelve thirteen."
            ]
        );
        assert_eq!(pieces("a b -- c d e f --", CutBy::Separator, 3, 0), ["a b", "c d", "e f"]);
    }

    #[test]
    fn sections_are_not_mixed_unless_they_are_small() {
        let text = "# A\none two\n## B\nthree\n## C\nfour five six seven eight nine ten\n# D\neleven";
        assert_eq!(
            pieces(text, CutBy::Sections, 10, 0),
            ["# A|one two|## B|three", "## C|four five six seven eight nine ten", "# D|eleven"]
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_piece_is_too_large(
            text in "([a-zé]{1,6}[ .\n]{1,2}|# [a-z]{1,5}\n){0,60}",
            size in 8u32..20,
            overlap in 0u32..4,
        ) {
            let marked = Marked::read(&text.as_str().into()).expect("it is a text");
            let ends = ends(&text);
            for by in [CutBy::Sections, CutBy::Text, CutBy::Fixed] {
                let rules = Rules { by, separator: None, size, overlap };
                let pieces = cut(&marked, &ends, 0..text.len(), &rules);
                let mut reached = 0;
                for piece in &pieces {
                    let units = ends.iter().filter(|end| piece.start < **end && **end <= piece.end).count();
                    prop_assert!(units <= size as usize, "{units} of {size}");
                    prop_assert!(text[reached.min(piece.start)..piece.start].trim().is_empty());
                    prop_assert!(piece.end > reached || reached == 0, "a piece brings nothing new");
                    reached = piece.end;
                }
                prop_assert!(text[reached..].trim().is_empty());
            }
        }
    }
}
