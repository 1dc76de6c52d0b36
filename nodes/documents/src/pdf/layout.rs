//! Glyphs as lines and paragraphs.

use std::collections::{HashMap, HashSet};

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};

/// Stands where the end of a line split a word, until the whole document is known.
const SPLIT: char = '\u{ad}';

/// Joins words that the ends of lines split. One that stands with a hyphen elsewhere keeps it.
pub(super) fn join_words(pages: &mut [String]) {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '\u{2010}';
    let words = |text: &str| {
        text.split(|c| !is_part(c)).filter(|word| word.contains('-')).map(str::to_lowercase).collect::<Vec<_>>()
    };
    let hyphened: HashSet<String> = pages.iter().flat_map(|page| words(page)).collect();
    for page in pages.iter_mut().filter(|page| page.contains(SPLIT)) {
        let mut joined = String::with_capacity(page.len());
        let mut rest = page.as_str();
        while let Some((before, after)) = rest.split_once(SPLIT) {
            let left = before.rsplit(|c| !is_part(c)).next().unwrap_or_default();
            let right = after.split(|c| !is_part(c)).next().unwrap_or_default();
            joined.push_str(before);
            if hyphened.contains(&format!("{left}-{right}").to_lowercase()) {
                joined.push('-');
            }
            rest = after;
        }
        joined.push_str(rest);
        *page = joined;
    }
}

/// The text of pages, by their numbers.
#[derive(Default)]
pub(super) struct Pages {
    done: HashMap<u32, String>,
    page: Page,
}

impl Pages {
    /// The text of a page that was read to its end.
    pub(super) fn take(&mut self, number: u32) -> Option<String> {
        self.done.remove(&number)
    }
}

/// A page that is being read.
#[derive(Default)]
struct Page {
    number: u32,
    height: f64,
    text: String,
    last: Option<Glyph>,
    /// The height of the last step from line to line.
    pitch: f64,
}

#[derive(Clone)]
struct Glyph {
    text: String,
    x: f64,
    end: f64,
    /// From the top.
    y: f64,
    size: f64,
}

impl Page {
    fn add(&mut self, glyph: Glyph) {
        if glyph.text.trim().is_empty() {
            self.space();
            return;
        }
        if let Some(last) = self.last.take() {
            let (size, down) = (glyph.size.max(last.size), glyph.y - last.y);
            if down.abs() < size * 0.5 {
                let gap = glyph.x - last.end;
                // Bold letters are printed twice by some programs.
                let is_twice = last.text == glyph.text && (glyph.x - last.x).abs() < size * 0.1;
                if is_twice {
                    self.last = Some(last);
                    return;
                }
                if gap > size * 0.15 || gap < -size {
                    self.space();
                }
            } else {
                let is_far = down < 0.0 || down > size * 1.9 || (self.pitch > 0.0 && down > self.pitch * 1.4);
                let is_other = (glyph.size - last.size).abs() > size * 0.15;
                self.break_line(is_far || is_other, &glyph.text);
                self.pitch = if down > 0.0 && !is_far { down } else { 0.0 };
            }
        }
        self.text.extend(glyph.text.chars().filter(|c| !c.is_control() && *c != SPLIT));
        self.last = Some(glyph);
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    /// Ends a line, and with it perhaps a paragraph. A word that its end splits is joined.
    fn break_line(&mut self, ends_paragraph: bool, next: &str) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
        let mut end = self.text.chars().rev();
        let is_hyphen = matches!(end.next(), Some('-' | '\u{2010}'));
        let is_word = end.next().is_some_and(char::is_alphabetic) && next.starts_with(char::is_lowercase);
        if is_hyphen && is_word && !ends_paragraph {
            self.text.pop();
            self.text.push(SPLIT);
        } else if !self.text.is_empty() {
            self.text.push_str(if ends_paragraph { "\n\n" } else { "\n" });
        }
    }
}

impl OutputDev for Pages {
    fn begin_page(
        &mut self,
        number: u32,
        media: &MediaBox,
        _: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        self.page = Page { number, height: media.ury - media.lly, ..Page::default() };
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        let page = std::mem::take(&mut self.page);
        self.done.insert(page.number, page.text);
        Ok(())
    }

    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let (wide, high) = (font_size * place.m11.hypot(place.m12), font_size * place.m21.hypot(place.m22));
        let (x, y) = (place.m31, self.page.height - place.m32);
        if !(x.is_finite() && y.is_finite() && wide.is_finite() && high.is_finite()) {
            return Ok(());
        }
        self.page.add(Glyph { text: without_ligatures(text), x, end: x + width * wide.abs(), y, size: high.abs() });
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Letters that were set as one.
fn without_ligatures(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let letters = |c| match c {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => "",
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match letters(c) {
            "" => out.push(c),
            letters => out.push_str(letters),
        }
    }
    out
}
