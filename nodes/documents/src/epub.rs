//! EPUB: the chapters of a book, in their order.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::{
    archive::{Archive, folder, resolve},
    draft::Draft,
    encoding::decode,
    html,
    trouble::Trouble,
    xml::{Piece, walk},
};

const CONTAINER: &str = "META-INF/container.xml";
const ENCRYPTION: &str = "META-INF/encryption.xml";
/// Ways of hiding fonts, which are no text.
const FONTS: [&str; 2] = ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

/// Reads the text of a book.
pub(crate) fn read(archive: &mut Archive<'_>, draft: &mut Draft) -> Result<(), Trouble> {
    if let Some(xml) = archive.read(ENCRYPTION)? {
        refuse_encrypted(&xml)?;
    }
    let root = root(&archive.need(CONTAINER)?)?;
    let book = Book::read(&root, &archive.need(&root)?)?;
    draft.title = book.title;
    let mut chapters = 0_u32;
    for id in &book.order {
        let Some(part) = book.parts.get(id) else {
            draft.warn(format!("the chapter `{}` is not in the book", id.escape_debug()));
            continue;
        };
        let Some(xhtml) = archive.read(part)? else {
            draft.warn(format!("the chapter `{}` is missing", part.escape_debug()));
            continue;
        };
        let Some(decoded) = decode(&xhtml, None) else {
            draft.warn(format!("the chapter `{}` is no text", part.escape_debug()));
            continue;
        };
        html::read_chapter(&decoded.text, draft)?;
        chapters += 1;
    }
    if chapters == 0 {
        return Err(Trouble::broken("none of its chapters can be read"));
    }
    Ok(())
}

/// The file that lists what is in the book.
fn root(container: &[u8]) -> Result<String, Trouble> {
    let mut root = None;
    walk(CONTAINER, container, |piece| {
        if let Piece::Start(tag) = piece
            && tag.name == "rootfile"
        {
            root = root.take().or_else(|| tag.get("full-path"));
        }
        Ok(())
    })?;
    root.map(|path| resolve("", &path)).ok_or_else(|| Trouble::broken(format_args!("`{CONTAINER}` names no book")))
}

fn refuse_encrypted(xml: &[u8]) -> Result<(), Trouble> {
    walk(ENCRYPTION, xml, |piece| match piece {
        Piece::Start(tag) if tag.name == "EncryptionMethod" => match tag.get("Algorithm") {
            Some(algorithm) if FONTS.contains(&algorithm.as_str()) => Ok(()),
            _ => Err(Trouble::encrypted()),
        },
        _ => Ok(()),
    })
}

/// What is in a book.
#[derive(Default)]
struct Book {
    title: Option<String>,
    /// The chapters and everything else, by their ids.
    parts: HashMap<String, String>,
    /// The ids of the chapters.
    order: Vec<String>,
}

impl Book {
    fn read(part: &str, xml: &[u8]) -> Result<Self, Trouble> {
        let folder = folder(part);
        let mut book = Self::default();
        let (mut title, mut is_title, mut contents) = (String::new(), false, Vec::new());
        walk(part, xml, |piece| {
            match piece {
                Piece::Start(tag) => {
                    is_title = tag.name == "title" && book.title.is_none();
                    match tag.name {
                        "item" => {
                            if let (Some(id), Some(href)) = (tag.get("id"), tag.get("href")) {
                                let href = percent_decode_str(&href).decode_utf8_lossy().into_owned();
                                let is_contents =
                                    tag.get("properties").is_some_and(|all| all.split(' ').any(|one| one == "nav"));
                                contents.extend(is_contents.then(|| id.clone()));
                                book.parts.insert(id, resolve(folder, &href));
                            }
                        }
                        "itemref" => book.order.extend(tag.get("idref")),
                        _ => {}
                    }
                }
                Piece::End("title") if is_title => {
                    is_title = false;
                    book.title = Some(std::mem::take(&mut title)).filter(|title| !title.trim().is_empty());
                }
                Piece::Text(text) if is_title => title.push_str(text),
                Piece::End(_) | Piece::Text(_) => {}
            }
            Ok(())
        })?;
        // The table of contents repeats the headings.
        book.order.retain(|id| !contents.contains(id));
        Ok(book)
    }
}
