//! PDF: the text of each page, put together from where its glyphs stand.

mod layout;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{Document, Error, Object, output_doc, output_doc_page};

use self::layout::Pages;
use crate::{draft::Draft, trouble::Trouble};

/// Reads the text of a PDF.
pub(crate) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), Trouble> {
    let document = open(bytes)?;
    draft.title = title(&document);
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    if numbers.is_empty() {
        return Err(Trouble::broken("it has no pages"));
    }
    draft.allow_pages(numbers.len())?;
    let mut pages = Pages::default();
    // All at once is faster: fonts are read once. What broke off is made up for page by page.
    let is_whole = broke_off(|| output_doc(&document, &mut pages)).is_none();
    let mut texts = Vec::with_capacity(numbers.len());
    for number in numbers {
        let mut page = pages.take(number);
        if !is_whole && page.is_none() {
            let mut alone = Pages::default();
            if let Some(why) = broke_off(|| output_doc_page(&document, &mut alone, number)) {
                draft.warn(format!("page {number} cannot be read: {why}"));
            }
            page = alone.take(number);
        }
        texts.push(page.unwrap_or_default());
    }
    layout::join_words(&mut texts);
    for text in texts {
        draft.page()?;
        draft.paragraph(&text)?;
    }
    Ok(())
}

fn open(bytes: &[u8]) -> Result<Document, Trouble> {
    let mut document = Document::load_mem(bytes).map_err(trouble)?;
    if document.is_encrypted() {
        // Without a password: those that only forbid printing open so.
        document.decrypt("").map_err(|_| Trouble::encrypted())?;
    }
    if document.trailer.has(b"Encrypt") {
        return Err(Trouble::encrypted());
    }
    Ok(document)
}

fn trouble(error: Error) -> Trouble {
    match error {
        Error::Decryption(_) | Error::InvalidPassword => Trouble::encrypted(),
        error => Trouble::broken(error),
    }
}

/// Why a reader broke off. The parser of PDF does so where a page is not as it expects.
fn broke_off<E: std::fmt::Display>(work: impl FnOnce() -> Result<(), E>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => {
            let why =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Some(why.unwrap_or("its parser broke off").lines().next().unwrap_or_default().to_owned())
        }
    }
}

/// The title in the properties of a document.
fn title(document: &Document) -> Option<String> {
    let properties = document.trailer.get(b"Info").ok()?;
    let properties = match properties {
        Object::Reference(id) => document.get_dictionary(*id).ok()?,
        properties => properties.as_dict().ok()?,
    };
    let Object::String(bytes, _) = properties.get(b"Title").ok()? else { return None };
    let title = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding.decode(bytes).0.into_owned(),
        None => encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned(),
    };
    Some(title).filter(|title| !title.chars().any(char::is_control))
}
