//! `liteagent fmt`: whitespace only, and never at the price of a changed value or comment.

use super::{
    Document, compose, parse,
    place::{Parts, Place},
};

/// A tidied text: no blanks at the ends of lines, one line break at the end, two spaces per level where they were more
/// or fewer. Values, comments, order and quotes stay. A text with errors stays as it is.
pub fn format(text: &str) -> String {
    /// One round is enough for all but odd blanks.
    const ROUNDS: usize = 4;

    let mut tidy = once(text);
    for _ in 1..ROUNDS {
        let again = once(&tidy);
        if again == tidy {
            break;
        }
        tidy = again;
    }
    tidy
}

fn once(text: &str) -> String {
    let Some(document) = read(text) else { return text.to_owned() };
    let steps = [indented(&document), text.to_owned()];
    for candidate in steps {
        let Some(read_again) = read(&candidate) else { continue };
        let tidied = trimmed(&read_again);
        if is_same(&document, &tidied) {
            return tidied;
        }
        if is_same(&document, &candidate) && candidate != text {
            return candidate;
        }
    }
    text.to_owned()
}

fn read(text: &str) -> Option<Document> {
    let (document, findings) = parse("formatted.yaml", text.to_owned());
    document.filter(|_| !compose::has_errors(&findings))
}

fn is_same(document: &Document, text: &str) -> bool {
    read(text).is_some_and(|other| {
        other.value == document.value
            && comments(&other.file.text).eq(comments(&document.file.text))
            && keys(&other.value) == keys(&document.value)
    })
}

/// The order of keys, which the equality of maps does not see.
fn keys(value: &serde_json::Value) -> String {
    value.to_string()
}

/// The words of every line that has a `#`: more than the comments, so that none is lost.
fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.contains('#')).map(str::trim)
}

/// Without blanks at the ends of lines and with one line break at the end. Lines within texts stay.
fn trimmed(document: &Document) -> String {
    let text = &document.file.text;
    let inside = lines_of_texts(document);
    let mut tidied = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let body = line.trim_end_matches(['\n', '\r']);
        let keeps = inside.get(number).copied().unwrap_or_default();
        tidied.push_str(if keeps { body } else { body.trim_end_matches([' ', '\t']) });
        tidied.push_str(end);
    }
    let end = if tidied.ends_with("\r\n") { "\r\n" } else { "\n" };
    let length = tidied.trim_end_matches(['\n', '\r']).len();
    tidied.truncate(length);
    if !tidied.is_empty() {
        tidied.push_str(end);
    }
    tidied
}

/// For each line, whether it lies within a text of several lines.
fn lines_of_texts(document: &Document) -> Vec<bool> {
    let text = &document.file.text;
    let mut inside = vec![false; text.matches('\n').count() + 2];
    let line_of = |at: usize| text[..at].matches('\n').count();
    each_place(&document.root, &mut |place| {
        if matches!(place.parts, Parts::None) && place.origin.is_none() && text[place.value.clone()].contains('\n') {
            inside[line_of(place.value.start)..=line_of(place.value.end)].fill(true);
        }
    });
    inside
}

fn each_place(place: &Place, visit: &mut impl FnMut(&Place)) {
    visit(place);
    match &place.parts {
        Parts::None => {}
        Parts::List(items) => items.iter().for_each(|item| each_place(item, visit)),
        Parts::Map(members) => members.values().for_each(|member| each_place(member, visit)),
    }
}

/// With two spaces per level.
fn indented(document: &Document) -> String {
    let mut indenter = Indenter::new(&document.file.text);
    indenter.visit(&document.root, 0);
    indenter.finish()
}

/// Moves lines to the left or right. A line that begins a key or an item has a new column of its own; the lines that
/// belong to it move with it; a comment moves with the line below it.
struct Indenter<'t> {
    text: &'t str,
    starts: Vec<usize>,
    moves: Vec<Option<isize>>,
}

impl<'t> Indenter<'t> {
    fn new(text: &'t str) -> Self {
        let starts: Vec<_> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .filter(|at| *at < text.len())
            .collect();
        Self { text, moves: vec![None; starts.len()], starts }
    }

    fn visit(&mut self, place: &Place, column: usize) {
        if place.origin.is_some() || self.text[place.value.clone()].starts_with(['{', '[']) {
            return;
        }
        match &place.parts {
            Parts::None => {}
            Parts::Map(members) => {
                for member in members.values().filter(|member| member.origin.is_none()) {
                    let Some(key) = &member.key else { continue };
                    self.place_line(key.start, column);
                    self.visit_below(member, key.start, column);
                }
            }
            Parts::List(items) => {
                for item in items {
                    let Some(dash) = self.dash_before(item.value.start) else { continue };
                    self.place_line(dash, column);
                    let offset = item.value.start - dash;
                    let is_inline = self.line_of(dash) == self.line_of(item.value.start);
                    self.visit(item, if is_inline { column + offset } else { column + 2 });
                }
            }
        }
    }

    /// The value of a key, when it begins on a line of its own.
    fn visit_below(&mut self, member: &Place, key: usize, column: usize) {
        let start = member.value.start;
        if self.line_of(start) == self.line_of(key) {
            return;
        }
        let first = match &member.parts {
            Parts::List(items) => items.first().and_then(|item| self.dash_before(item.value.start)),
            _ => None,
        };
        let is_hanging = first.is_some_and(|dash| self.column_of(dash) == self.column_of(key));
        self.visit(member, if is_hanging { column } else { column + 2 });
        if member.style.is_block() {
            self.place_line(start, column + 2);
        }
    }

    fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    fn column_of(&self, at: usize) -> usize {
        at - self.starts[self.line_of(at)]
    }

    fn dash_before(&self, at: usize) -> Option<usize> {
        if self.text[at..].starts_with('-') && self.text[at + 1..].starts_with([' ', '\n', '\r']) {
            return Some(at);
        }
        self.text[..at].trim_end().ends_with('-').then(|| self.text[..at].trim_end().len() - 1)
    }

    /// Gives a line a column when nothing but blanks stands before `at`.
    fn place_line(&mut self, at: usize, column: usize) {
        let line = self.line_of(at);
        let before = &self.text[self.starts[line]..at];
        if before.bytes().all(|byte| byte == b' ') && self.moves[line].is_none() {
            self.moves[line] = Some(column as isize - before.len() as isize);
        }
    }

    fn finish(self) -> String {
        let mut tidied = String::with_capacity(self.text.len());
        let mut last = 0;
        for (number, start) in self.starts.iter().enumerate() {
            let line = &self.text[*start..self.starts.get(number + 1).copied().unwrap_or(self.text.len())];
            let by = match self.moves[number] {
                Some(by) => {
                    last = by;
                    by
                }
                None if line.trim_start().starts_with('#') => {
                    self.moves[number..].iter().flatten().next().copied().unwrap_or(last)
                }
                None => last,
            };
            let body = line.trim_start_matches(' ');
            let width = line.len() - body.len();
            if body.trim().is_empty() {
                tidied.push_str(line);
            } else {
                tidied.push_str(&" ".repeat(width.saturating_add_signed(by)));
                tidied.push_str(body);
            }
        }
        tidied
    }
}
