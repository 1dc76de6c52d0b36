//! What of a page is its content, and what is around it.

use super::tree::{Element, Id, Tree};

/// Elements whose content is never text of the page.
const SILENT: [&str; 22] = [
    "audio", "button", "canvas", "datalist", "dialog", "embed", "head", "iframe", "input", "link", "meta", "nav",
    "noscript", "object", "script", "select", "style", "svg", "template", "textarea", "title", "video",
];
/// Roles of what is around the content.
const AROUND: [&str; 6] = ["banner", "complementary", "contentinfo", "menu", "navigation", "search"];
/// Classes of what is around the content in pages that Sphinx made, and of marks that only a mouse needs.
const CHROME: [&str; 12] = [
    "anchor-link",
    "anchorjs-link",
    "genindex-jumpbox",
    "header-anchor",
    "headerlink",
    "linenos",
    "mobile-nav",
    "modindex-jumpbox",
    "related",
    "sphinxsidebar",
    "toc-backref-mark",
    "viewcode-link",
];
/// Classes of asides that are content.
const NOTES: [&str; 6] = ["admonition", "citation", "footnote", "footnote-list", "system-message", "topic"];

/// Where the text of a page may stand, best first.
pub(super) fn candidates(tree: &Tree) -> Vec<Id> {
    let find = |is_it: &dyn Fn(&Element) -> bool| -> Vec<Id> {
        tree.all().filter(|id| tree.element(*id).is_some_and(is_it)).collect()
    };
    let mut found = Vec::new();
    found.extend(find(&|element| element.name() == "main" || element.get("role") == Some("main")).first());
    // On other pages such classes may be of anything.
    if !find(&|element| element.has_class(&["bodywrapper", "documentwrapper"])).is_empty() {
        for class in ["body", "document"] {
            found.extend(find(&|element| element.name() == "div" && element.has_class(&[class])).first());
        }
    }
    let body = tree.body();
    // Several of them are a list of articles, and the page is about all of them; a short one stands beside the content.
    if let [article] = find(&|element| element.name() == "article").as_slice()
        && length(tree, *article) * 3 >= length(tree, body)
    {
        found.push(*article);
    }
    found.push(body);
    found
}

/// How much text is inside of a node, outside of what is left out.
fn length(tree: &Tree, root: Id) -> usize {
    let (mut length, mut at) = (0, tree.first(root));
    while let Some(node) = at {
        let is_out = tree.element(node).is_some_and(|element| is_left_out(tree, node, element));
        length += tree.text(node).map_or(0, |text| text.trim().len());
        let inside = if is_out { None } else { tree.first(node) };
        at = inside.or_else(|| tree.next_outside(node, root));
    }
    length
}

/// Whether an element and everything in it is no content of the page.
pub(super) fn is_left_out(tree: &Tree, id: Id, element: &Element) -> bool {
    let name = element.name();
    if SILENT.contains(&name) || element.get("hidden").is_some() || element.get("aria-hidden") == Some("true") {
        return true;
    }
    if element.get("role").is_some_and(|role| AROUND.contains(&role)) || element.has_class(&CHROME) {
        return true;
    }
    match name {
        "aside" => !element.has_class(&NOTES),
        "footer" => true,
        // Where the heading of a page stands in one, it is a part of the content; and some pages are one form.
        "header" | "form" => !tree.inside(id).any(|node| tree.element(node).is_some_and(Element::is_heading)),
        "a" => is_mark(tree, id, element),
        _ => false,
    }
}

/// A link to the place where it stands.
fn is_mark(tree: &Tree, id: Id, link: &Element) -> bool {
    if !link.get("href").is_some_and(|href| href.starts_with('#')) {
        return false;
    }
    let mut text = tree.inside(id).filter_map(|node| tree.text(node)).map(str::trim).filter(|text| !text.is_empty());
    matches!((text.next(), text.next()), (Some("¶" | "#" | "§" | "🔗" | "\u{f0c1}"), None))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{draft::Draft, html, limits::Limits};

    #[rstest]
    #[case::main("<p>around<main><p>in</main>", "in")]
    #[case::empty_main("<p>around<main></main>", "around")]
    #[case::article("<p>x<article><p>the article itself</article>", "the article itself")]
    #[case::teaser("<p>a long text of the page<article><p>ad</article>", "a long text of the page\n\nad")]
    #[case::articles("<article><p>one</article><article><p>two</article>", "one\n\ntwo")]
    #[case::other_body("<div class=body>a</div><p>b", "a\n\nb")]
    #[case::roles("<div role=search>x</div><div role=banner>x</div><p>b", "b")]
    #[case::whole_page_form("<form><h1>A</h1><p>b</form>", "# A\n\nb")]
    #[case::site_header("<header>Site</header><p>b", "b")]
    #[case::footnote("<p>a<aside class=footnote>b</aside><aside>x</aside>", "a\n\nb")]
    fn the_content_of_a_page_is_found(#[case] page: &str, #[case] text: &str) {
        let mut draft = Draft::new(&Limits::default());
        html::read(page, &mut draft).unwrap();
        assert_eq!(draft.finish("html", "").unwrap().text, text);
    }
}
