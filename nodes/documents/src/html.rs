//! HTML as Markdown: the main content of a page without what is around it.

mod content;
mod table;
mod tree;
mod write;

use self::{tree::Tree, write::Writer};
use crate::{draft::Draft, trouble::Trouble};

/// Reads a page.
pub(crate) fn read(html: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let tree = Tree::parse(html)?;
    for root in content::candidates(&tree) {
        Writer::new(&tree, draft).write(root)?;
        if !draft.is_empty() {
            break;
        }
    }
    let title = tree.title();
    draft.title = title.map(|title| match draft.first_heading() {
        Some(heading) => without_site(&title, heading).to_owned(),
        None => title,
    });
    Ok(())
}

/// Reads a chapter of a book: all of its body. A chapter without headings has its title as one, unless the whole book has it.
pub(crate) fn read_chapter(xhtml: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let tree = Tree::parse(&with_ends(xhtml))?;
    let body = tree.body();
    let has_heading = tree.inside(body).any(|node| tree.element(node).is_some_and(tree::Element::is_heading));
    let title = tree.title().filter(|title| !has_heading && draft.title.as_ref() != Some(title));
    if let Some(title) = title.filter(|_| tree.has_text(body)) {
        draft.heading(1, &title)?;
    }
    Writer::new(&tree, draft).write(body)
}

/// The title of a page without the name of the site, when its first heading says where that begins.
fn without_site<'t>(title: &'t str, heading: &str) -> &'t str {
    let is_cut = |rest: &str| rest.trim_start().starts_with(['—', '–', '-', '|', '·', ':', '»', '•']);
    match title.strip_prefix(heading) {
        Some(rest) if is_cut(rest) => &title[..heading.len()],
        _ => title,
    }
}

/// XHTML whose elements are closed as HTML closes them: `<title/>` would hold everything that follows.
fn with_ends(xhtml: &str) -> String {
    const VOID: [&str; 14] =
        ["area", "base", "br", "col", "embed", "hr", "image", "img", "input", "link", "meta", "param", "source", "wbr"];
    let mut out = String::with_capacity(xhtml.len() + 64);
    let mut rest = xhtml;
    while let Some(at) = rest.find("/>") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = &after[2..];
        let tag = before.rfind('<').map(|open| &before[open + 1..]).filter(|tag| !tag.contains('>'));
        let name = tag.and_then(|tag| tag.split(|c: char| !c.is_ascii_alphanumeric()).next()).unwrap_or_default();
        if name.is_empty() || VOID.contains(&name.to_ascii_lowercase().as_str()) {
            out.push_str("/>");
        } else {
            out.push_str(&format!("></{name}>"));
        }
    }
    out.push_str(rest);
    out
}
