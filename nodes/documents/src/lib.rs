//! Files as text with structure: headings, pages, tables.
//!
//! Files come from anywhere, and the parsers of their formats were never written for enemies: [`Readers`] reads them in
//! child processes that have nothing but the file, and limits.
//!
//! # Layout
//! - [`Readers`]: the child processes; [`child`]: what such a process does; `wire`: what they say to each other;
//! - [`read`]: a file as text, in this process; [`Limits`]: what that may take; [`Trouble`]: why there is none;
//! - `format`: what a file is; `encoding`: bytes as text; `draft`: a text that is being made; `table`: tables as Markdown;
//! - one file for each family of formats: `plain`, `csv`, `html`, `pdf`, `docx`, `pptx`, `sheets`, `epub`;
//! - what they stand on: `archive` (ZIP), `xml`, `office`.

use liteagent_engine::capability::documents::DocumentText;

use self::{
    draft::Draft,
    format::{Content, Format},
};
pub use self::{
    limits::Limits,
    readers::{Program, Readers},
    trouble::{Kind, Trouble},
    wire::Locked,
};

mod archive;
pub mod child;
mod csv;
mod docx;
mod draft;
mod encoding;
mod epub;
mod format;
mod html;
mod limits;
mod office;
mod pdf;
mod plain;
mod pptx;
mod readers;
mod sheets;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod trouble;
mod wire;
mod xml;

/// The text of a file, read in this process: for files that are trusted. Time and memory are not limited here.
///
/// ```
/// let read = liteagent_documents::read("a.html", b"<h1>Tea</h1><p>Hot.", &Default::default()).unwrap();
/// assert_eq!(read.text, "# Tea\n\nHot.");
/// assert_eq!(read.headings[0].text, "Tea");
/// ```
///
/// # Errors
/// Why it has no text.
///
/// # Panics
/// Parsers may panic on files that are made to harm them.
pub fn read(name: &str, bytes: &[u8], limits: &Limits) -> Result<DocumentText, Trouble> {
    if bytes.len() as u64 > limits.file {
        let found = limits::size(bytes.len() as u64);
        return Err(Trouble::limit(
            "file",
            format!("has {found}, more than the {} that are allowed", limits::size(limits.file)),
        ));
    }
    let mut draft = Draft::new(limits);
    let content = format::find(name, bytes, limits)?;
    let format = match content {
        Content::Text(format, decoded) => {
            if let Some(warning) = decoded.warning {
                draft.warn(warning);
            }
            match format {
                Format::Markdown => plain::markdown(&decoded.text, &mut draft)?,
                Format::Json => plain::json(&decoded.text, &mut draft)?,
                Format::Csv => csv::read(&decoded.text, &mut draft)?,
                Format::Html => html::read(&decoded.text, &mut draft)?,
                _ => plain::text(&decoded.text, &mut draft)?,
            }
            format
        }
        Content::Bytes(format) => {
            pdf::read(bytes, &mut draft)?;
            format
        }
        Content::Archive(format, mut archive) => {
            match format {
                Format::Docx => docx::read(&mut archive, &mut draft)?,
                Format::Pptx => pptx::read(&mut archive, &mut draft)?,
                Format::Ods => sheets::ods::read(&mut archive, &mut draft, limits)?,
                Format::Epub => epub::read(&mut archive, &mut draft)?,
                _ => sheets::read(&mut archive, &mut draft, limits)?,
            }
            format
        }
    };
    if let Some(warning) = format::misnamed(name, format) {
        draft.warn(warning);
    }
    draft.finish(format.name(), advice(format))
}

/// What to do about a file that holds no text.
const fn advice(format: Format) -> &'static str {
    match format {
        Format::Pdf => "its pages are pictures: make text of them with a program for OCR, such as `ocrmypdf`, first",
        Format::Html => "its text is made by scripts: save the page in a browser, and give that",
        _ => "leave it out, or look whether it is the file that was meant",
    }
}
