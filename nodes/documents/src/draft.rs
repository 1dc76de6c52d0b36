//! A text that is being made, with its structure.

use liteagent_engine::capability::documents::{DocumentText, Heading};

use crate::{
    limits::{Limits, size},
    table::Table,
    trouble::Trouble,
};

/// A text that is being made. It never ends in the middle of a paragraph that was pushed as one.
pub(crate) struct Draft {
    text: String,
    /// The length of the text in characters.
    chars: u64,
    most: u64,
    most_pages: u32,
    pub(crate) title: Option<String>,
    headings: Vec<Heading>,
    pages: Vec<u64>,
    warnings: Vec<String>,
}

/// More warnings are counted, not told.
const MOST_WARNINGS: usize = 20;

impl Draft {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            chars: 0,
            most: limits.text,
            most_pages: limits.pages,
            title: None,
            headings: Vec::new(),
            pages: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds text as it is.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), Trouble> {
        if (self.text.len() + text.len()) as u64 > self.most {
            return Err(Trouble::limit("text", format!("has more text than the {} that are allowed", size(self.most))));
        }
        self.text.push_str(text);
        self.chars += text.chars().count() as u64;
        Ok(())
    }

    /// Ends the line that was begun.
    pub(crate) fn end_line(&mut self) -> Result<(), Trouble> {
        if self.text.is_empty() || self.text.ends_with('\n') { Ok(()) } else { self.push("\n") }
    }

    /// Ends the paragraph that was begun: a blank line stands before what follows.
    pub(crate) fn end_paragraph(&mut self) -> Result<(), Trouble> {
        self.end_line()?;
        if self.text.is_empty() || self.text.ends_with("\n\n") { Ok(()) } else { self.push("\n") }
    }

    /// Adds a paragraph; nothing when it is blank.
    pub(crate) fn paragraph(&mut self, text: &str) -> Result<(), Trouble> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        self.end_paragraph()?;
        self.push(text)?;
        self.push("\n\n")
    }

    /// Adds a heading as a line of Markdown; nothing when it is blank.
    pub(crate) fn heading(&mut self, level: u8, text: &str) -> Result<(), Trouble> {
        let text = one_line(text);
        if text.is_empty() {
            return Ok(());
        }
        let level = level.clamp(1, 6);
        self.end_paragraph()?;
        self.mark(self.chars, level, text.clone());
        self.push(&format!("{} {text}\n\n", "#".repeat(level.into())))
    }

    /// Notes a heading that stands in the text already, from the character `start` on.
    pub(crate) fn mark(&mut self, start: u64, level: u8, text: String) {
        self.headings.push(Heading { start, level, text });
    }

    /// Adds a table; nothing when no cell of it holds text.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), Trouble> {
        if table.is_blank() {
            return Ok(());
        }
        self.end_paragraph()?;
        table.lines(|line| {
            self.push(line)?;
            self.push("\n")
        })?;
        self.push("\n")
    }

    /// Whether so many pages may be read.
    pub(crate) fn allow_pages(&self, count: usize) -> Result<(), Trouble> {
        if count as u64 <= u64::from(self.most_pages) {
            return Ok(());
        }
        Err(Trouble::limit("pages", format!("has more pages than the {} that are allowed", self.most_pages)))
    }

    /// Begins a page.
    pub(crate) fn page(&mut self) -> Result<(), Trouble> {
        self.allow_pages(self.pages.len() + 1)?;
        self.end_paragraph()?;
        self.pages.push(self.chars);
        Ok(())
    }

    /// Notes what could not be read although the rest could.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Whether no text was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn ends_with(&self, end: &str) -> bool {
        self.text.ends_with(end)
    }

    /// The text of the first heading.
    pub(crate) fn first_heading(&self) -> Option<&str> {
        self.headings.first().map(|heading| heading.text.as_str())
    }

    /// The text, without blank space at its end.
    ///
    /// # Errors
    /// When there is none; `hint` says what to do about that.
    pub(crate) fn finish(mut self, format: &str, hint: &str) -> Result<DocumentText, Trouble> {
        let kept = self.text.trim_end().len();
        if kept == 0 {
            return Err(Trouble::empty(hint));
        }
        let cut = self.text.split_off(kept).chars().count() as u64;
        let end = self.chars - cut;
        let mut warnings = self.warnings;
        if warnings.len() > MOST_WARNINGS {
            let more = warnings.len() - MOST_WARNINGS;
            warnings.truncate(MOST_WARNINGS);
            warnings.push(format!("and {more} more like these"));
        }
        Ok(DocumentText {
            text: self.text,
            title: self.title.map(|title| one_line(&title)).filter(|title| !title.is_empty()),
            format: format.to_owned(),
            headings: self.headings,
            pages: self.pages.into_iter().map(|page| page.min(end)).collect(),
            warnings,
        })
    }
}

/// A text with every run of blank space as one space.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}
