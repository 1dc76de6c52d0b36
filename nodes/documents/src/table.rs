//! Tables as Markdown.

use crate::{draft::one_line, trouble::Trouble};

/// A table whose cells are filled row by row.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Whether the first row names the columns.
    pub(crate) has_header: bool,
}

impl Table {
    /// A table whose first row names the columns.
    pub(crate) fn with_header() -> Self {
        Self { rows: Vec::new(), has_header: true }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether no cell holds text.
    pub(crate) fn is_blank(&self) -> bool {
        self.rows.iter().flatten().all(|cell| cell.trim().is_empty())
    }

    /// Its cells, one after the other: what is left of a table inside another.
    pub(crate) fn flat(&self) -> String {
        let filled = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().map(|cell| one_line(cell)).filter(|cell| !cell.is_empty()).collect();
            cells.join(", ")
        };
        self.rows.iter().map(filled).filter(|row| !row.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Its lines in Markdown. Rows that hold nothing are left out; a row that is shorter than the others is filled up.
    pub(crate) fn lines(&self, mut write: impl FnMut(&str) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let filled = || self.rows.iter().filter(|row| row.iter().any(|cell| !cell.trim().is_empty()));
        // Columns at the end that are blank in every row are none.
        let used = |row: &Vec<String>| row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
        let columns = filled().map(used).max().unwrap_or_default();
        let none = Vec::new();
        let mut rows = filled();
        let header = if self.has_header { rows.next().unwrap_or(&none) } else { &none };
        write(&line(&header[..header.len().min(columns)], columns))?;
        write(&rule(columns))?;
        rows.try_for_each(|row| write(&line(&row[..row.len().min(columns)], columns)))
    }
}

/// The line below the names of the columns.
pub(crate) fn rule(columns: usize) -> String {
    format!("|{}", "---|".repeat(columns))
}

/// A row in Markdown, filled up to so many cells.
pub(crate) fn line<S: AsRef<str>>(row: &[S], columns: usize) -> String {
    let mut line = String::from("|");
    for at in 0..columns.max(row.len()) {
        let cell = row.get(at).map_or(String::new(), |cell| one_line(cell.as_ref()));
        line.push(' ');
        line.push_str(&cell.replace('|', "\\|"));
        if !cell.is_empty() {
            line.push(' ');
        }
        line.push('|');
    }
    line
}
