//! Tables of a page: those that hold data, and not the layout of the page.

use super::{
    content::is_left_out,
    tree::{Element, Id, Tree},
    write::cleaned,
};
use crate::{draft::one_line, table::Table};

/// A cell goes on over so many rows and columns at most.
const MOST_SPAN: usize = 64;

/// Whether a table holds data. One that holds headings, code or other tables, or has one row or column only, is a layout.
pub(super) fn is_data(tree: &Tree, table: Id) -> bool {
    if tree.element(table).and_then(|element| element.get("role")).is_some_and(|role| role == "presentation") {
        return false;
    }
    let (mut rows, mut columns, mut most_columns) = (0, 0, 0);
    for element in tree.inside(table).filter_map(|id| tree.element(id)) {
        match element.name() {
            "table" | "pre" => return false,
            "tr" => (rows, columns) = (rows + 1, 0),
            "td" | "th" => columns += 1,
            _ if element.is_heading() => return false,
            _ => {}
        }
        most_columns = most_columns.max(columns);
    }
    rows > 1 && most_columns > 1
}

/// A table, and its caption.
pub(super) fn read(tree: &Tree, id: Id) -> (String, Table) {
    let mut reader =
        Reader { tree, caption: String::new(), table: Table::default(), row: Vec::new(), below: Vec::new() };
    let mut at = tree.first(id);
    while let Some(node) = at {
        let goes_in = match tree.element(node) {
            Some(element) => reader.see(node, element),
            None => false,
        };
        let inside = if goes_in { tree.first(node) } else { None };
        at = inside.or_else(|| tree.next_outside(node, id));
    }
    reader.end_row();
    (reader.caption, reader.table)
}

struct Reader<'t> {
    tree: &'t Tree,
    caption: String,
    table: Table,
    row: Vec<(String, bool)>,
    /// By column: for how many more rows a cell of a row above goes on, and its text.
    below: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// Takes a part of the table; says whether there is more inside.
    fn see(&mut self, id: Id, element: &Element) -> bool {
        match element.name() {
            "caption" => self.caption = text(self.tree, id),
            "tr" => {
                self.end_row();
                return true;
            }
            "td" | "th" => self.cell(id, element),
            _ => return !is_left_out(self.tree, id, element),
        }
        false
    }

    fn cell(&mut self, id: Id, element: &Element) {
        self.fill_from_above();
        let span = |name: &str| {
            let span = element.get(name).and_then(|span| span.trim().parse::<usize>().ok());
            span.unwrap_or(1).clamp(1, MOST_SPAN)
        };
        let text = text(self.tree, id);
        for at in 0..span("colspan") {
            // A name of several columns stands above the first.
            let text = if at == 0 { text.clone() } else { String::new() };
            let column = self.row.len();
            if self.below.len() <= column {
                self.below.resize(column + 1, (0, String::new()));
            }
            self.below[column] = (span("rowspan") - 1, text.clone());
            self.row.push((text, element.name() == "th"));
        }
    }

    /// Fills the columns that cells of rows above go on into.
    fn fill_from_above(&mut self) {
        while let Some((rows, text)) = self.below.get_mut(self.row.len()).filter(|(rows, _)| *rows > 0) {
            *rows -= 1;
            let text = text.clone();
            self.row.push((text, false));
        }
    }

    fn end_row(&mut self) {
        if self.row.is_empty() {
            return;
        }
        self.fill_from_above();
        if self.table.rows().is_empty() {
            self.table.has_header = self.row.iter().all(|(_, is_header)| *is_header);
        }
        self.table.push(self.row.drain(..).map(|(text, _)| text).collect());
    }
}

/// The text inside of a cell, on one line.
fn text(tree: &Tree, cell: Id) -> String {
    let mut text = String::new();
    let mut at = tree.first(cell);
    while let Some(node) = at {
        let mut is_out = false;
        if let Some(piece) = tree.text(node) {
            text.push_str(piece);
        } else if let Some(element) = tree.element(node) {
            is_out = is_left_out(tree, node, element);
            match element.name() {
                "p" | "div" | "br" | "ul" | "ol" | "dl" | "dt" | "dd" => text.push(' '),
                "li" => text.push_str(if text.trim().is_empty() { "" } else { "; " }),
                "img" => text.push_str(element.get("alt").unwrap_or_default()),
                _ => {}
            }
        }
        let inside = if is_out { None } else { tree.first(node) };
        at = inside.or_else(|| tree.next_outside(node, cell));
    }
    one_line(&cleaned(&text))
}
