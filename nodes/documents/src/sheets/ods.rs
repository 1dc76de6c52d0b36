//! ODS. Rows and cells that are repeated stand there once, with a number that may be anything.

use super::Cells;
use crate::{
    archive::Archive,
    draft::Draft,
    limits::Limits,
    office,
    trouble::Trouble,
    xml::{Piece, Tag, walk},
};

const CONTENT: &str = "content.xml";
const MANIFEST: &str = "META-INF/manifest.xml";
/// The rows and columns of the largest sheets.
const MOST_ROWS: u32 = 1 << 20;
const MOST_COLUMNS: u32 = 1 << 14;

/// Reads the sheets of a spreadsheet.
pub(crate) fn read(archive: &mut Archive<'_>, draft: &mut Draft, limits: &Limits) -> Result<(), Trouble> {
    if let Some(xml) = archive.read(MANIFEST)? {
        walk(MANIFEST, &xml, |piece| match piece {
            Piece::Start(tag) if tag.name == "encryption-data" => Err(Trouble::encrypted()),
            _ => Ok(()),
        })?;
    }
    draft.title = office::title(archive, "meta.xml")?;
    let mut reader = Reader { draft, limits, sheet: None, at: (0, 0), row: Vec::new(), repeated: 1, cell: None };
    walk(CONTENT, &archive.need(CONTENT)?, |piece| reader.see(&piece))
}

struct Reader<'d> {
    draft: &'d mut Draft,
    limits: &'d Limits,
    /// The sheet that has begun: its name and its cells.
    sheet: Option<(String, Cells)>,
    /// The next row and column.
    at: (u32, u32),
    /// The cells of the row that has begun, by their columns.
    row: Vec<(u32, String)>,
    /// How often the row stands there.
    repeated: u32,
    cell: Option<Cell>,
}

/// A cell that has begun.
struct Cell {
    /// Its value, where that is better than how it is shown: numbers and dates.
    value: Option<String>,
    text: String,
    repeated: u32,
    /// How deep in a note, which is no part of the text.
    note: usize,
}

impl Reader<'_> {
    fn see(&mut self, piece: &Piece<'_>) -> Result<(), Trouble> {
        if let Some(cell) = &mut self.cell {
            match piece {
                Piece::Start(_) if cell.note > 0 => cell.note += 1,
                Piece::Start(tag) if tag.name == "annotation" => cell.note = 1,
                Piece::End(_) if cell.note > 0 => cell.note -= 1,
                Piece::Text(text) if cell.note == 0 => cell.text.push_str(text),
                Piece::Start(tag) if matches!(tag.name, "p" | "s" | "line-break" | "tab") => cell.text.push(' '),
                Piece::End("table-cell") => self.end_cell(),
                Piece::Start(_) | Piece::End(_) | Piece::Text(_) => {}
            }
            return Ok(());
        }
        match piece {
            Piece::Start(tag) => self.begin(tag),
            Piece::End("table-row") => return self.end_row(),
            Piece::End("table") => {
                if let Some((name, cells)) = self.sheet.take() {
                    return cells.write(&name, self.draft);
                }
            }
            Piece::End(_) | Piece::Text(_) => {}
        }
        Ok(())
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "table" => {
                self.sheet = Some((tag.get("name").unwrap_or_default(), Cells::new(self.limits)));
                self.at = (0, 0);
            }
            "table-row" => {
                self.at.1 = 0;
                self.row.clear();
                self.repeated = repeated(tag, "number-rows-repeated", MOST_ROWS);
            }
            // What another cell covers is empty.
            "covered-table-cell" => {
                self.at.1 = self.at.1.saturating_add(repeated(tag, "number-columns-repeated", MOST_COLUMNS));
            }
            "table-cell" => {
                let value = match tag.get("value-type").as_deref() {
                    Some("float") => tag.get_prefixed("value"),
                    Some("date") => tag.get("date-value").map(|date| date.replace('T', " ")),
                    _ => None,
                };
                let repeated = repeated(tag, "number-columns-repeated", MOST_COLUMNS);
                self.cell = Some(Cell { value, text: String::new(), repeated, note: 0 });
            }
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        let Some(Cell { value, text, repeated, .. }) = self.cell.take() else { return };
        let text = value.unwrap_or(text);
        let last = self.at.1.saturating_add(repeated).min(MOST_COLUMNS);
        if !text.trim().is_empty() {
            self.row.extend((self.at.1..last).map(|column| (column, text.clone())));
        }
        self.at.1 = last;
    }

    fn end_row(&mut self) -> Result<(), Trouble> {
        let last = self.at.0.saturating_add(self.repeated).min(MOST_ROWS);
        if let Some((_, cells)) = &mut self.sheet
            && !self.row.is_empty()
        {
            for row in self.at.0..last {
                self.row.iter().try_for_each(|(column, text)| cells.add((row, *column), text.clone()))?;
            }
        }
        self.at.0 = last;
        self.row.clear();
        Ok(())
    }
}

/// How often a row or cell stands there.
fn repeated(tag: &Tag<'_>, name: &str, most: u32) -> u32 {
    tag.get(name).and_then(|count| count.parse().ok()).unwrap_or(1).clamp(1, most)
}
