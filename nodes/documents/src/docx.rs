//! DOCX: paragraphs, headings by style, lists, tables, footnotes.

mod styles;

use self::styles::{Numbering, Styles};
use crate::{
    archive::Archive,
    draft::Draft,
    office,
    table::Table,
    trouble::Trouble,
    xml::{Piece, Tag, walk},
};

/// What is not part of the text: what was deleted or moved away, the code of fields, and what stands there twice for
/// programs that do not know the newer form.
const LEFT_OUT: [&str; 7] = ["del", "moveFrom", "instrText", "delText", "Fallback", "pict", "rubyBase"];

/// Reads the text of a document.
pub(crate) fn read(archive: &mut Archive<'_>, draft: &mut Draft) -> Result<(), Trouble> {
    draft.title = office::title(archive, "docProps/core.xml")?;
    let main = office::main_part(archive, "word/document.xml")?;
    let relations = office::relations(archive, &main)?;
    let mut part = |kind: &str| match office::related(&relations, kind) {
        Some(name) => Ok(archive.read(&name)?.map(|xml| (name, xml))),
        None => Ok(None),
    };
    let styles = part("styles")?.map_or(Ok(Styles::default()), |(name, xml)| Styles::read(&name, &xml))?;
    let numbering = part("numbering")?.map_or(Ok(Numbering::default()), |(name, xml)| Numbering::read(&name, &xml))?;
    let notes = [part("footnotes")?, part("endnotes")?];
    let mut reader =
        Reader { draft, styles, numbering, paragraphs: Vec::new(), tables: Vec::new(), left_out: 0, was_item: false };
    let xml = archive.need(&main)?;
    walk(&main, &xml, |piece| reader.see(&piece))?;
    for (name, xml) in notes.into_iter().flatten() {
        walk(&name, &xml, |piece| reader.see_note(&piece))?;
    }
    Ok(())
}

struct Reader<'d> {
    draft: &'d mut Draft,
    styles: Styles,
    numbering: Numbering,
    /// Those that have begun: a box of text lies inside of one.
    paragraphs: Vec<Paragraph>,
    tables: Vec<(Table, Vec<String>, Cell)>,
    /// How deep in what is left out.
    left_out: usize,
    /// Whether the last paragraph was an item of a list.
    was_item: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    /// Its depth as a heading.
    level: Option<u8>,
    /// The list that it is an item of, and how deep.
    list: Option<(String, u8)>,
    is_in_text: bool,
}

#[derive(Default)]
struct Cell {
    text: String,
    /// Columns that it spans.
    span: usize,
}

/// A cell spans no more columns than a program lets it.
const MOST_COLUMNS: usize = 64;

impl Reader<'_> {
    fn see(&mut self, piece: &Piece<'_>) -> Result<(), Trouble> {
        match piece {
            Piece::Start(tag) if self.left_out > 0 || LEFT_OUT.contains(&tag.name) => self.left_out += 1,
            Piece::End(_) if self.left_out > 0 => self.left_out -= 1,
            _ if self.left_out > 0 => {}
            Piece::Start(tag) => self.begin(tag),
            Piece::End(name) => return self.end(name),
            Piece::Text(text) => {
                if let Some(paragraph) = self.paragraphs.last_mut().filter(|paragraph| paragraph.is_in_text) {
                    paragraph.text.push_str(text);
                }
            }
        }
        Ok(())
    }

    /// The same inside of notes: each begins with its mark, and separators are none.
    fn see_note(&mut self, piece: &Piece<'_>) -> Result<(), Trouble> {
        if let Piece::Start(tag) = piece
            && matches!(tag.name, "footnote" | "endnote")
        {
            let is_note = tag.get("type").is_none_or(|kind| kind == "normal");
            if !is_note {
                self.left_out += 1;
                return Ok(());
            }
            let mark = format!("[^{}]: ", tag.get("id").unwrap_or_default());
            self.draft.end_paragraph()?;
            self.draft.push(&mark)?;
            self.was_item = true;
            return Ok(());
        }
        self.see(piece)
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        let name = tag.name;
        match name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.tables.push((Table::default(), Vec::new(), Cell::default())),
            "tr" => {
                if let Some((_, row, _)) = self.tables.last_mut() {
                    row.clear();
                }
            }
            "tc" => {
                if let Some((.., cell)) = self.tables.last_mut() {
                    *cell = Cell::default();
                }
            }
            "gridSpan" => {
                if let Some((.., cell)) = self.tables.last_mut() {
                    cell.span = tag.get("val").and_then(|span| span.parse().ok()).unwrap_or(1).min(MOST_COLUMNS);
                }
            }
            "tblHeader" => {
                if let Some((table, ..)) = self.tables.last_mut()
                    && table.rows().is_empty()
                {
                    table.has_header = tag.is_on();
                }
            }
            _ => {}
        }
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        match name {
            "t" => paragraph.is_in_text = true,
            "tab" | "ptab" => paragraph.text.push(' '),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            "footnoteReference" | "endnoteReference" => {
                paragraph.text.push_str(&format!("[^{}]", tag.get("id").unwrap_or_default()));
            }
            "pStyle" => {
                let style = tag.get("val").unwrap_or_default();
                paragraph.level = self.styles.level(&style);
                paragraph.list = paragraph.list.take().or_else(|| self.styles.list(&style));
            }
            "outlineLvl" => paragraph.level = styles::outline(tag).or(paragraph.level),
            "ilvl" => {
                let depth = tag.get("val").and_then(|depth| depth.parse().ok()).unwrap_or_default();
                paragraph.list.get_or_insert_default().1 = depth;
            }
            "numId" => paragraph.list.get_or_insert_default().0 = tag.get("val").unwrap_or_default(),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) -> Result<(), Trouble> {
        match name {
            "t" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.is_in_text = false;
                }
            }
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    return self.write(paragraph);
                }
            }
            "tc" => {
                if let Some((_, row, cell)) = self.tables.last_mut() {
                    let (text, span) = (std::mem::take(&mut cell.text), cell.span.max(1));
                    row.push(text);
                    row.extend((1..span).map(|_| String::new()));
                }
            }
            "tr" => {
                if let Some((table, row, _)) = self.tables.last_mut() {
                    table.push(std::mem::take(row));
                }
            }
            "tbl" => return self.end_table(),
            _ => {}
        }
        Ok(())
    }

    fn end_table(&mut self) -> Result<(), Trouble> {
        let Some((table, ..)) = self.tables.pop() else { return Ok(()) };
        match self.tables.last_mut() {
            Some((.., cell)) => join(&mut cell.text, &table.flat()),
            None => self.draft.table(&table)?,
        }
        self.was_item = false;
        Ok(())
    }

    fn write(&mut self, paragraph: Paragraph) -> Result<(), Trouble> {
        let Paragraph { text, level, list, .. } = paragraph;
        let text = text.trim();
        if let Some((.., cell)) = self.tables.last_mut() {
            join(&mut cell.text, text);
            return Ok(());
        }
        if text.is_empty() {
            return Ok(());
        }
        if let Some(level) = level {
            self.was_item = false;
            return self.draft.heading(level, text);
        }
        let mark = list.and_then(|(list, depth)| self.numbering.mark(&list, depth).map(|mark| (mark, depth)));
        let Some((mark, depth)) = mark else {
            if std::mem::take(&mut self.was_item) && self.draft.ends_with(": ") {
                return self.draft.push(text);
            }
            return self.draft.paragraph(text);
        };
        if self.was_item {
            self.draft.end_line()?;
        } else {
            self.draft.end_paragraph()?;
        }
        self.was_item = true;
        let indent = "  ".repeat(depth.min(8).into());
        self.draft.push(&format!("{indent}{mark} {}", text.replace('\n', &format!("\n{indent}  "))))
    }
}

/// Adds a paragraph to the text of a cell.
fn join(cell: &mut String, text: &str) {
    if !cell.is_empty() && !text.is_empty() {
        cell.push(' ');
    }
    cell.push_str(text);
}
