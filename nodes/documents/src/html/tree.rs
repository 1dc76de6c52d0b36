//! The tree of a page. Nothing here goes down it by recursion: a page may nest as deep as it likes.

use std::{
    borrow::Cow,
    cell::{Cell, Ref, RefCell},
};

use html5ever::{
    Attribute, LocalName, Namespace, ParseOpts, QualName, parse_document,
    tendril::{StrTendril, TendrilSink as _},
    tree_builder::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeBuilderOpts, TreeSink},
};

use crate::{draft::one_line, trouble::Trouble};

/// Elements that lie in each other: each one is compared with those around it. Browsers cut at 512.
const DEEPEST: u32 = 1_000;
/// What is parsed before it is looked how deep it is.
const PIECE: usize = 16 << 10;

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

const DOCUMENT: Id = Id(0);

pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    parent: Option<Id>,
    before: Option<Id>,
    after: Option<Id>,
    first: Option<Id>,
    last: Option<Id>,
    depth: u32,
    data: Data,
}

#[derive(Default)]
enum Data {
    Element(Box<Element>),
    Text(StrTendril),
    /// The document, a comment, the content of a template.
    #[default]
    Other,
}

pub(super) struct Element {
    name: QualName,
    attributes: Vec<Attribute>,
    is_integration_point: bool,
    template: Option<Id>,
}

impl Element {
    pub(super) fn name(&self) -> &str {
        &self.name.local
    }

    pub(super) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|known| &*known.name.local == attribute).map(|known| &*known.value)
    }

    /// Whether it has one of these classes.
    pub(super) fn has_class(&self, classes: &[&str]) -> bool {
        self.get("class").is_some_and(|all| all.split_ascii_whitespace().any(|class| classes.contains(&class)))
    }

    pub(super) fn is_heading(&self) -> bool {
        self.heading_level().is_some()
    }

    pub(super) fn heading_level(&self) -> Option<u8> {
        match self.name().as_bytes() {
            [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
            _ => None,
        }
    }
}

impl Tree {
    /// Parses a page; there is a tree for every text.
    ///
    /// # Errors
    /// LA2654 when elements nest too deep.
    pub(super) fn parse(html: &str) -> Result<Self, Trouble> {
        let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
        let mut parser = parse_document(Sink::default(), ParseOpts { tree_builder, ..ParseOpts::default() });
        let mut rest = html;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
            rest = after;
            parser.process(StrTendril::from_slice(piece));
            if parser.tokenizer.sink.sink.deepest.get() > DEEPEST {
                return Err(Trouble::fixed_limit(format!("nests its elements more than {DEEPEST} deep")));
            }
        }
        Ok(Self { nodes: parser.finish() })
    }

    pub(super) fn element(&self, id: Id) -> Option<&Element> {
        match &self.node(id).data {
            Data::Element(element) => Some(element),
            Data::Text(_) | Data::Other => None,
        }
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match &self.node(id).data {
            Data::Text(text) => Some(text),
            Data::Element(_) | Data::Other => None,
        }
    }

    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.node(id).parent
    }

    pub(super) fn first(&self, id: Id) -> Option<Id> {
        self.node(id).first
    }

    pub(super) fn before(&self, id: Id) -> Option<Id> {
        self.node(id).before
    }

    pub(super) fn after(&self, id: Id) -> Option<Id> {
        self.node(id).after
    }

    /// Every node inside of another, in order.
    pub(super) fn inside(&self, root: Id) -> impl Iterator<Item = Id> {
        let next = move |id: &Id| self.first(*id).or_else(|| self.next_outside(*id, root));
        std::iter::successors(self.first(root), next)
    }

    /// The node after another and everything in it, below a root.
    pub(super) fn next_outside(&self, id: Id, root: Id) -> Option<Id> {
        let mut at = id;
        while at != root {
            if let Some(after) = self.after(at) {
                return Some(after);
            }
            at = self.parent(at)?;
        }
        None
    }

    /// Every node, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = Id> {
        self.inside(DOCUMENT)
    }

    /// The body; the whole document when it has none.
    pub(super) fn body(&self) -> Id {
        self.all().find(|id| self.element(*id).is_some_and(|element| element.name() == "body")).unwrap_or(DOCUMENT)
    }

    /// Whether there is any text inside of a node.
    pub(super) fn has_text(&self, root: Id) -> bool {
        self.inside(root).filter_map(|id| self.text(id)).any(|text| !text.trim().is_empty())
    }

    /// The title of the page.
    pub(super) fn title(&self) -> Option<String> {
        let is_title = |id: &Id| {
            let is_head = |parent| self.element(parent).is_some_and(|element| element.name() == "head");
            self.element(*id).is_some_and(|element| element.name() == "title") && self.parent(*id).is_some_and(is_head)
        };
        let title = self.all().find(is_title)?;
        let text: String = self.inside(title).filter_map(|id| self.text(id)).collect();
        Some(one_line(&text)).filter(|title| !title.is_empty())
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// What the parser builds the tree with.
struct Sink {
    nodes: RefCell<Vec<Node>>,
    deepest: Cell<u32>,
}

impl Default for Sink {
    fn default() -> Self {
        Self { nodes: RefCell::new(vec![Node::default()]), deepest: Cell::new(0) }
    }
}

impl Sink {
    fn add(&self, data: Data) -> Id {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { data, ..Node::default() });
        Id(nodes.len() as u32 - 1)
    }

    /// Puts a node into another, before one of its nodes or at its end.
    fn put(&self, parent: Id, before: Option<Id>, child: NodeOrText<Id>) {
        let neighbour = match before {
            Some(before) => self.nodes.borrow()[before.0 as usize].before,
            None => self.nodes.borrow()[parent.0 as usize].last,
        };
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                if let Some(neighbour) = neighbour
                    && let Data::Text(known) = &mut self.nodes.borrow_mut()[neighbour.0 as usize].data
                {
                    known.push_tendril(&text);
                    return;
                }
                self.add(Data::Text(text))
            }
        };
        self.take_out(child);
        let mut nodes = self.nodes.borrow_mut();
        let depth = nodes[parent.0 as usize].depth + 1;
        self.deepest.set(self.deepest.get().max(depth));
        // Looked up again: the child may have been the neighbour.
        let neighbour = match before {
            Some(before) => nodes[before.0 as usize].before,
            None => nodes[parent.0 as usize].last,
        };
        let node = &mut nodes[child.0 as usize];
        (node.parent, node.before, node.after, node.depth) = (Some(parent), neighbour, before, depth);
        match neighbour {
            Some(neighbour) => nodes[neighbour.0 as usize].after = Some(child),
            None => nodes[parent.0 as usize].first = Some(child),
        }
        match before {
            Some(before) => nodes[before.0 as usize].before = Some(child),
            None => nodes[parent.0 as usize].last = Some(child),
        }
    }

    fn take_out(&self, id: Id) {
        let mut nodes = self.nodes.borrow_mut();
        let node = &mut nodes[id.0 as usize];
        let (parent, before, after) = (node.parent.take(), node.before.take(), node.after.take());
        match (before, parent) {
            (Some(before), _) => nodes[before.0 as usize].after = after,
            (None, Some(parent)) => nodes[parent.0 as usize].first = after,
            (None, None) => {}
        }
        match (after, parent) {
            (Some(after), _) => nodes[after.0 as usize].before = before,
            (None, Some(parent)) => nodes[parent.0 as usize].last = before,
            (None, None) => {}
        }
    }

    fn element(&self, id: Id) -> Ref<'_, Element> {
        Ref::map(self.nodes.borrow(), |nodes| match &nodes[id.0 as usize].data {
            Data::Element(element) => &**element,
            Data::Text(_) | Data::Other => unreachable!("the parser asks this of elements only"),
        })
    }
}

/// The name of an element in the tree.
#[derive(Debug)]
struct Name<'t>(Ref<'t, QualName>);

impl ElemName for Name<'_> {
    fn ns(&self) -> &Namespace {
        &self.0.ns
    }

    fn local_name(&self) -> &LocalName {
        &self.0.local
    }
}

impl TreeSink for Sink {
    type Handle = Id;
    type Output = Vec<Node>;
    type ElemName<'t> = Name<'t>;

    fn finish(self) -> Vec<Node> {
        self.nodes.into_inner()
    }

    // Every page has faults.
    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Id {
        DOCUMENT
    }

    fn elem_name<'t>(&'t self, id: &'t Id) -> Name<'t> {
        Name(Ref::map(self.element(*id), |element| &element.name))
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Id {
        let template = flags.template.then(|| self.add(Data::Other));
        let is_integration_point = flags.mathml_annotation_xml_integration_point;
        self.add(Data::Element(Box::new(Element { name, attributes, is_integration_point, template })))
    }

    fn create_comment(&self, _: StrTendril) -> Id {
        self.add(Data::Other)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Id {
        self.add(Data::Other)
    }

    fn append(&self, parent: &Id, child: NodeOrText<Id>) {
        self.put(*parent, None, child);
    }

    fn append_based_on_parent_node(&self, element: &Id, other: &Id, child: NodeOrText<Id>) {
        let parent = self.nodes.borrow()[element.0 as usize].parent;
        match parent {
            Some(parent) => self.put(parent, Some(*element), child),
            None => self.put(*other, None, child),
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, id: &Id) -> Id {
        self.element(*id).template.unwrap_or(DOCUMENT)
    }

    fn same_node(&self, one: &Id, other: &Id) -> bool {
        one == other
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Id, child: NodeOrText<Id>) {
        let parent = self.nodes.borrow()[sibling.0 as usize].parent;
        if let Some(parent) = parent {
            self.put(parent, Some(*sibling), child);
        }
    }

    fn add_attrs_if_missing(&self, id: &Id, attributes: Vec<Attribute>) {
        if let Data::Element(element) = &mut self.nodes.borrow_mut()[id.0 as usize].data {
            for attribute in attributes {
                if element.attributes.iter().all(|known| known.name != attribute.name) {
                    element.attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, id: &Id) {
        self.take_out(*id);
    }

    fn reparent_children(&self, from: &Id, to: &Id) {
        loop {
            let first = self.nodes.borrow()[from.0 as usize].first;
            let Some(child) = first else { return };
            self.put(*to, None, NodeOrText::AppendNode(child));
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, id: &Id) -> bool {
        self.element(*id).is_integration_point
    }
}
