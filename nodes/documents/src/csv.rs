//! CSV: rows of a Markdown table.

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{draft::Draft, table, trouble::Trouble};

/// What may stand between cells.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// The lines in which the delimiter is looked for.
const LOOKED_AT: usize = 20;

/// Reads CSV; its first row names the columns.
pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let (mut row, mut columns) = (StringRecord::new(), 0);
    while reader.read_record(&mut row).map_err(Trouble::broken)? {
        if row.iter().all(str::is_empty) {
            continue;
        }
        let cells: Vec<&str> = row.iter().collect();
        let is_first = columns == 0;
        if is_first {
            columns = cells.len();
        }
        draft.push(&table::line(&cells, columns))?;
        draft.push("\n")?;
        if is_first {
            draft.push(&table::rule(columns))?;
            draft.push("\n")?;
        }
    }
    Ok(())
}

/// The delimiter that stands in most lines equally often, outside of quotes; a comma when none does.
fn delimiter(text: &str) -> u8 {
    let mut best = (0, b',');
    for delimiter in DELIMITERS {
        let (mut counts, mut count, mut in_quotes) = (Vec::new(), 0_usize, false);
        for byte in text.bytes() {
            match byte {
                b'"' => in_quotes = !in_quotes,
                b'\n' if !in_quotes => {
                    counts.push(std::mem::take(&mut count));
                    if counts.len() == LOOKED_AT {
                        break;
                    }
                }
                byte if byte == delimiter && !in_quotes => count += 1,
                _ => {}
            }
        }
        counts.push(count);
        let first = counts[0];
        let alike = counts.iter().filter(|count| **count == first).count();
        if first > 0 && alike > best.0 {
            best = (alike, delimiter);
        }
    }
    best.1
}
