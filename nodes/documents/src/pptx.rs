//! PPTX: each slide is a page; its title is a heading, its notes stand below it.

use std::collections::HashMap;

use crate::{
    archive::Archive,
    draft::Draft,
    office::{self, Relation},
    table::Table,
    trouble::Trouble,
    xml::{Piece, walk},
};

/// Reads the text of a presentation.
pub(crate) fn read(archive: &mut Archive<'_>, draft: &mut Draft) -> Result<(), Trouble> {
    draft.title = office::title(archive, "docProps/core.xml")?;
    let main = office::main_part(archive, "ppt/presentation.xml")?;
    let relations = office::relations(archive, &main)?;
    for part in slides(&main, &archive.need(&main)?, &relations)? {
        draft.page()?;
        let Some(xml) = archive.read(&part)? else {
            draft.warn(format!("the slide `{}` is missing", part.escape_debug()));
            continue;
        };
        let slide = Slide::read(&part, &xml)?;
        slide.write(draft)?;
        if let Some(notes) = office::related(&office::relations(archive, &part)?, "notesSlide")
            && let Some(xml) = archive.read(&notes)?
        {
            Slide::read(&notes, &xml)?.write_notes(draft)?;
        }
    }
    Ok(())
}

/// The slides in the order in which they are shown.
fn slides(part: &str, xml: &[u8], relations: &HashMap<String, Relation>) -> Result<Vec<String>, Trouble> {
    let mut slides = Vec::new();
    walk(part, xml, |piece| {
        if let Piece::Start(tag) = piece
            && tag.name == "sldId"
            && let Some(relation) = tag.get_prefixed("id").and_then(|id| relations.get(&id))
        {
            slides.push(relation.target.clone());
        }
        Ok(())
    })?;
    Ok(slides)
}

#[derive(Default)]
struct Slide {
    title: String,
    blocks: Vec<Block>,
}

enum Block {
    Paragraph(String),
    /// An item of a list, and how deep it is.
    Item(u8, String),
    Table(Table),
}

/// What a shape is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Title,
    /// A list of points.
    Body,
    /// A box of text.
    Box,
    /// Page number, date, footer.
    Chrome,
}

impl Slide {
    fn read(part: &str, xml: &[u8]) -> Result<Self, Trouble> {
        let mut slide = Self::default();
        let (mut role, mut paragraph, mut depth, mut is_in_text) = (Role::Box, String::new(), 0_u8, false);
        let mut table: Option<(Table, Vec<String>, String)> = None;
        walk(part, xml, |piece| {
            match piece {
                Piece::Start(tag) => match tag.name {
                    "sp" => role = Role::Box,
                    "ph" => role = placeholder(tag.get("type").as_deref()),
                    "tbl" => table = Some((Table::with_header(), Vec::new(), String::new())),
                    "p" => (paragraph, depth) = (String::new(), 0),
                    "pPr" => depth = tag.get("lvl").and_then(|depth| depth.parse().ok()).unwrap_or_default(),
                    "t" => is_in_text = true,
                    "br" => paragraph.push(' '),
                    _ => {}
                },
                Piece::Text(text) if is_in_text => paragraph.push_str(text),
                Piece::End("t") => is_in_text = false,
                Piece::End("p") => {
                    let text = std::mem::take(&mut paragraph);
                    match &mut table {
                        Some((.., cell)) => *cell = format!("{cell} {text}"),
                        None => slide.add(role, depth, text),
                    }
                }
                Piece::End("tc") => {
                    if let Some((_, row, cell)) = &mut table {
                        row.push(std::mem::take(cell));
                    }
                }
                Piece::End("tr") => {
                    if let Some((table, row, _)) = &mut table {
                        table.push(std::mem::take(row));
                    }
                }
                Piece::End("tbl") => slide.blocks.extend(table.take().map(|(table, ..)| Block::Table(table))),
                Piece::End(_) | Piece::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(slide)
    }

    fn add(&mut self, role: Role, depth: u8, text: String) {
        if text.trim().is_empty() {
            return;
        }
        match role {
            Role::Title => self.title = format!("{} {text}", self.title),
            Role::Body => self.blocks.push(Block::Item(depth, text)),
            Role::Box => self.blocks.push(Block::Paragraph(text)),
            Role::Chrome => {}
        }
    }

    fn write(&self, draft: &mut Draft) -> Result<(), Trouble> {
        draft.heading(1, &self.title)?;
        for block in &self.blocks {
            match block {
                Block::Paragraph(text) => draft.paragraph(text)?,
                Block::Item(depth, text) => {
                    draft.end_line()?;
                    draft.push(&format!("{}- {}\n", "  ".repeat((*depth).min(8).into()), text.trim()))?;
                }
                Block::Table(table) => draft.table(table)?,
            }
        }
        draft.end_paragraph()
    }

    fn write_notes(&self, draft: &mut Draft) -> Result<(), Trouble> {
        let text = |block: &Block| match block {
            Block::Paragraph(text) | Block::Item(_, text) => text.trim().to_owned(),
            Block::Table(table) => table.flat(),
        };
        let notes: Vec<_> = self.blocks.iter().map(text).collect();
        if notes.is_empty() { Ok(()) } else { draft.paragraph(&format!("Notes: {}", notes.join("\n"))) }
    }
}

fn placeholder(kind: Option<&str>) -> Role {
    match kind {
        Some("title" | "ctrTitle") => Role::Title,
        None | Some("body" | "obj") => Role::Body,
        Some("sldNum" | "dt" | "ftr" | "hdr" | "sldImg") => Role::Chrome,
        Some(_) => Role::Box,
    }
}
