//! The content of a page as Markdown.

use super::{
    content::is_left_out,
    table,
    tree::{Element, Id, Tree},
};
use crate::{draft::Draft, trouble::Trouble};

/// Elements that begin and end a paragraph.
const BLOCKS: [&str; 40] = [
    "address",
    "article",
    "aside",
    "body",
    "caption",
    "center",
    "details",
    "dir",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "main",
    "menu",
    "p",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "ol",
    "li",
    "dd",
    "dt",
    "blockquote",
    "option",
    "optgroup",
];
/// Elements whose text is code.
const CODE: [&str; 4] = ["code", "kbd", "samp", "tt"];
/// Lists inside of lists move to the right so often at most.
const MOST_INDENTS: usize = 12;

/// What stands before the lines of what is inside of an element.
struct Frame {
    id: Id,
    /// Stands before the first line.
    mark: Option<String>,
    /// Stands before the others.
    indent: &'static str,
}

/// Writes what is inside of a node of a page.
pub(super) struct Writer<'t, 'd> {
    tree: &'t Tree,
    draft: &'d mut Draft,
    /// The paragraph that was begun, blank space in it as one space.
    line: String,
    /// Whether blank space stands before the next word.
    space: bool,
    frames: Vec<Frame>,
    /// The lists around, and how far each has counted.
    lists: Vec<(Id, Option<u32>)>,
    heading: Option<u8>,
    /// Where code in the paragraph began.
    code: Option<usize>,
    /// Whether what follows stands directly below what was written.
    is_tight: bool,
}

impl<'t, 'd> Writer<'t, 'd> {
    pub(super) fn new(tree: &'t Tree, draft: &'d mut Draft) -> Self {
        Self {
            tree,
            draft,
            line: String::new(),
            space: false,
            frames: Vec::new(),
            lists: Vec::new(),
            heading: None,
            code: None,
            is_tight: false,
        }
    }

    /// Writes everything inside of a node.
    ///
    /// # Errors
    /// LA2654 when it is too much text.
    pub(super) fn write(mut self, root: Id) -> Result<(), Trouble> {
        let mut next = self.tree.first(root);
        while let Some(id) = next {
            let goes_in = self.enter(id)?;
            if goes_in && let Some(first) = self.tree.first(id) {
                next = Some(first);
                continue;
            }
            if goes_in {
                self.leave(id)?;
            }
            next = self.climb(id, root)?;
        }
        self.flush()
    }

    /// Leaves the nodes that end after another.
    fn climb(&mut self, from: Id, root: Id) -> Result<Option<Id>, Trouble> {
        let mut at = from;
        loop {
            if let Some(after) = self.tree.after(at) {
                return Ok(Some(after));
            }
            match self.tree.parent(at) {
                Some(parent) if parent != root => {
                    self.leave(parent)?;
                    at = parent;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Begins a node. Says whether what is inside is to be written too.
    fn enter(&mut self, id: Id) -> Result<bool, Trouble> {
        if let Some(text) = self.tree.text(id) {
            self.words(text);
            return Ok(false);
        }
        let Some(element) = self.tree.element(id) else { return Ok(false) };
        if is_left_out(self.tree, id, element) {
            return Ok(false);
        }
        let name = element.name();
        match name {
            "br" => self.line.push(if self.heading.is_some() { ' ' } else { '\n' }),
            "img" => {
                let alt = element.get("alt").filter(|_| element.get("role") != Some("presentation"));
                self.words(alt.unwrap_or_default());
            }
            "sup" if self.is_power(id) => self.line.push('^'),
            "pre" if self.heading.is_none() => {
                self.flush()?;
                self.fenced(id)?;
                return Ok(false);
            }
            "table" if table::is_data(self.tree, id) => {
                self.flush()?;
                self.table(id)?;
                return Ok(false);
            }
            _ if CODE.contains(&name) && self.heading.is_none() && self.code.is_none() => self.begin_code(),
            _ if BLOCKS.contains(&name) => {
                self.flush()?;
                self.begin_block(id, element)?;
            }
            _ => {
                if let Some(level) = element.heading_level() {
                    self.flush()?;
                    self.heading = Some(level);
                }
            }
        }
        Ok(true)
    }

    fn begin_block(&mut self, id: Id, element: &Element) -> Result<(), Trouble> {
        let frame = |mark: &str, indent| Frame { id, mark: Some(mark.to_owned()), indent };
        match element.name() {
            "ul" | "menu" | "dir" => self.begin_list(id, None)?,
            "ol" => {
                let start = element.get("start").and_then(|start| start.parse().ok());
                self.begin_list(id, Some(start.unwrap_or(1)))?;
            }
            "li" => {
                let mark = match self.lists.last_mut() {
                    Some((_, Some(count))) => {
                        let mark = format!("{count}. ");
                        *count = count.saturating_add(1);
                        mark
                    }
                    _ => "- ".to_owned(),
                };
                self.frames.push(frame(&mark, if mark == "- " { "  " } else { "   " }));
            }
            // The text below a signature of code is long, and stands by itself.
            "dd" if !self.has_signature(id) => self.frames.push(frame(": ", "  ")),
            "dt" => self.is_tight = self.previous(id).is_some_and(|element| element.name() == "dt"),
            "blockquote" => self.frames.push(Frame { id, mark: None, indent: "> " }),
            _ => {}
        }
        Ok(())
    }

    fn begin_list(&mut self, id: Id, count: Option<u32>) -> Result<(), Trouble> {
        if self.lists.is_empty() && !self.has_mark() {
            self.draft.end_paragraph()?;
        }
        self.lists.push((id, count));
        Ok(())
    }

    /// Ends a node.
    fn leave(&mut self, id: Id) -> Result<(), Trouble> {
        let Some(element) = self.tree.element(id) else { return Ok(()) };
        let name = element.name();
        if CODE.contains(&name) {
            self.end_code();
        } else if element.is_heading() {
            let text = std::mem::take(&mut self.line);
            if let Some(level) = self.heading.take() {
                self.draft.heading(level, &cleaned(&text))?;
                self.is_tight = false;
            }
        } else if name == "dt" {
            if element.has_class(&["sig"]) && !self.line.trim().is_empty() && !self.line.contains('`') {
                self.line = format!("`{}`", self.line.trim());
            }
            self.flush()?;
        } else if BLOCKS.contains(&name) {
            self.flush()?;
        }
        if self.frames.last().is_some_and(|frame| frame.id == id) {
            self.frames.pop();
        }
        if self.lists.last().is_some_and(|(list, _)| *list == id) {
            self.lists.pop();
            if self.lists.is_empty() {
                self.is_tight = false;
            }
        }
        Ok(())
    }

    /// Adds words to the paragraph.
    fn words(&mut self, text: &str) {
        for (at, word) in text.split([' ', '\n', '\t', '\r', '\x0c']).enumerate() {
            self.space |= at > 0;
            if word.is_empty() {
                continue;
            }
            let begins_code = self.code == Some(self.line.len());
            if std::mem::take(&mut self.space) && !self.line.is_empty() && !self.line.ends_with('\n') && !begins_code {
                self.line.push(' ');
            }
            self.line.push_str(word);
        }
    }

    fn begin_code(&mut self) {
        if std::mem::take(&mut self.space) && !self.line.is_empty() && !self.line.ends_with('\n') {
            self.line.push(' ');
        }
        self.line.push('`');
        self.code = Some(self.line.len());
    }

    fn end_code(&mut self) {
        let Some(begin) = self.code.take() else { return };
        match self.line.get(begin..) {
            Some("") => {
                self.line.truncate(begin - 1);
            }
            Some(code) if code.contains(['`', '\n']) => {
                self.line.remove(begin - 1);
            }
            Some(_) => self.line.push('`'),
            // A block inside has ended the paragraph.
            None => {}
        }
    }

    /// Writes the paragraph that was begun.
    fn flush(&mut self) -> Result<(), Trouble> {
        self.space = false;
        if self.code.take().is_some() {
            self.line = self.line.replacen('`', "", usize::from(self.line.matches('`').count() % 2 == 1));
        }
        let line = std::mem::take(&mut self.line);
        let text = cleaned(&line);
        let lines: Vec<_> = text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return Ok(());
        }
        if let Some(level) = self.heading {
            self.draft.heading(level, &lines.join(" "))?;
            return Ok(());
        }
        self.block(lines.into_iter())
    }

    /// Writes lines, with what stands before them here.
    fn block<'l>(&mut self, lines: impl Iterator<Item = &'l str>) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_tight) || self.has_mark() {
            self.draft.end_line()?;
        } else {
            self.draft.end_paragraph()?;
        }
        for line in lines {
            for frame in self.frames.iter_mut().take(MOST_INDENTS) {
                match frame.mark.take() {
                    Some(mark) => self.draft.push(&mark)?,
                    None => self.draft.push(frame.indent)?,
                }
            }
            self.draft.push(line)?;
            self.draft.push("\n")?;
        }
        Ok(())
    }

    /// Whether what is written next begins an item.
    fn has_mark(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.mark.is_some())
    }

    /// Writes text that was laid out by hand.
    fn fenced(&mut self, id: Id) -> Result<(), Trouble> {
        let mut text = String::new();
        let mut at = self.tree.first(id);
        while let Some(node) = at {
            let mut is_out = false;
            if let Some(piece) = self.tree.text(node) {
                text.push_str(piece);
            } else if let Some(element) = self.tree.element(node) {
                is_out = is_left_out(self.tree, node, element);
                if element.name() == "br" {
                    text.push('\n');
                }
            }
            let inside = if is_out { None } else { self.tree.first(node) };
            at = inside.or_else(|| self.tree.next_outside(node, id));
        }
        let text = text.trim_end();
        if text.trim().is_empty() {
            return Ok(());
        }
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        let first = format!("{fence}{}", self.language(id));
        self.block([first.as_str()].into_iter().chain(text.lines()).chain([fence.as_str()]))
    }

    /// The language of code, by the classes of the elements around and inside.
    fn language(&self, pre: Id) -> String {
        let around = std::iter::successors(Some(pre), |id| self.tree.parent(*id)).take(3);
        let classes =
            self.tree.first(pre).into_iter().chain(around).filter_map(|id| self.tree.element(id)?.get("class"));
        let named = |class: &str| {
            let prefixes = ["language-", "lang-", "highlight-source-", "highlight-", "brush:"];
            let name = prefixes.iter().find_map(|prefix| class.strip_prefix(prefix))?;
            Some(name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).filter(|name| !name.is_empty())
        };
        let name = classes.flat_map(str::split_ascii_whitespace).find_map(named).unwrap_or_default();
        match name.as_str() {
            "default" | "none" | "text" | "plain" | "plaintext" => String::new(),
            "pycon" => "python".to_owned(),
            name if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-#_".contains(&byte)) => name.to_owned(),
            _ => String::new(),
        }
    }

    fn table(&mut self, id: Id) -> Result<(), Trouble> {
        let (caption, table) = table::read(self.tree, id);
        if !caption.is_empty() {
            self.block([caption.as_str()].into_iter())?;
        }
        if table.is_blank() {
            return Ok(());
        }
        let mut lines = Vec::new();
        table.lines(|line| {
            lines.push(line.to_owned());
            Ok(())
        })?;
        self.block(lines.iter().map(String::as_str))
    }

    /// Whether a definition belongs to a signature of code.
    fn has_signature(&self, definition: Id) -> bool {
        self.previous(definition).is_some_and(|element| element.name() == "dt" && element.has_class(&["sig"]))
    }

    /// The element before another with the same parent.
    fn previous(&self, id: Id) -> Option<&'t Element> {
        let mut at = self.tree.before(id);
        while let Some(before) = at {
            if let Some(element) = self.tree.element(before) {
                return Some(element);
            }
            at = self.tree.before(before);
        }
        None
    }

    /// Whether what is raised is a power, and not the mark of a note.
    fn is_power(&self, id: Id) -> bool {
        let is_number = self.line.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ')');
        let text = self.tree.inside(id).find_map(|node| self.tree.text(node)).unwrap_or_default();
        is_number && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | 'n' | 'x'))
    }
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// Text without what only a typesetter needs.
pub(super) fn cleaned(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    text.chars()
        .filter(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}'))
        .map(|c| if c == '\u{a0}' { ' ' } else { c })
        .collect()
}
