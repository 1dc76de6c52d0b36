//! XLSX: each sheet is a page with its name as heading and its cells as a table. [`ods`] is the same for ODS.

pub(crate) mod ods;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use calamine::{Data, DataRef, ExcelDateTime, Reader as _, Xlsx, XlsxError, open_workbook_from_rs};

use crate::{archive::Archive, draft::Draft, limits::Limits, limits::size, office, table, trouble::Trouble};

/// Reads the sheets of an Excel workbook.
pub(crate) fn read(archive: &mut Archive<'_>, draft: &mut Draft, limits: &Limits) -> Result<(), Trouble> {
    draft.title = office::title(archive, "docProps/core.xml")?;
    archive.weigh()?;
    let broken = |error: XlsxError| match error {
        XlsxError::Password => Trouble::encrypted(),
        error => Trouble::broken(error),
    };
    let mut book: Xlsx<_> = open_workbook_from_rs(Cursor::new(archive.bytes())).map_err(broken)?;
    for name in book.sheet_names() {
        let mut cells = Cells::new(limits);
        let mut reader = match book.worksheet_cells_reader(&name) {
            Ok(reader) => reader,
            // A sheet that is a diagram.
            Err(XlsxError::NotAWorksheet(_)) => continue,
            Err(error) => return Err(broken(error)),
        };
        while let Some(cell) = reader.next_cell().map_err(broken)? {
            let text = match cell.get_value() {
                DataRef::DateTime(time) => date(*time),
                DataRef::SharedString(text) => (*text).to_owned(),
                value => Data::from(value.clone()).to_string(),
            };
            cells.add(cell.get_position(), text)?;
        }
        cells.write(&name, draft)?;
    }
    Ok(())
}

/// The cells of a sheet that hold text, by row and column: sheets are large, and mostly empty.
struct Cells {
    rows: BTreeMap<u32, BTreeMap<u32, String>>,
    /// What may still be added.
    left: u64,
    most: u64,
}

impl Cells {
    fn new(limits: &Limits) -> Self {
        Self { rows: BTreeMap::new(), left: limits.text, most: limits.text }
    }

    fn add(&mut self, (row, column): (u32, u32), text: String) -> Result<(), Trouble> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let too_much =
            || Trouble::limit("text", format!("has more text than the {} that are allowed", size(self.most)));
        // At least a mark stands between cells.
        self.left = self.left.checked_sub(text.len() as u64 + 1).ok_or_else(too_much)?;
        self.rows.entry(row).or_default().insert(column, text);
        Ok(())
    }

    /// Writes a page: rows and columns that are empty are left out.
    fn write(self, name: &str, draft: &mut Draft) -> Result<(), Trouble> {
        draft.page()?;
        if self.rows.is_empty() {
            return Ok(());
        }
        draft.heading(1, name)?;
        let columns: BTreeSet<u32> = self.rows.values().flat_map(BTreeMap::keys).copied().collect();
        // Line by line, so that a wide sheet meets the limit before it fills the memory.
        for (at, row) in self.rows.into_values().enumerate() {
            let cells: Vec<&str> = columns.iter().map(|column| row.get(column).map_or("", String::as_str)).collect();
            draft.push(&table::line(&cells, cells.len()))?;
            draft.push("\n")?;
            if at == 0 {
                draft.push(&table::rule(cells.len()))?;
                draft.push("\n")?;
            }
        }
        Ok(())
    }
}

/// A date, or a time, as people read it.
fn date(time: ExcelDateTime) -> String {
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match time.as_f64() {
        // A time of day has no date.
        days if days < 1.0 => clock,
        days if days.fract() == 0.0 => date,
        _ => format!("{date} {clock}"),
    }
}
