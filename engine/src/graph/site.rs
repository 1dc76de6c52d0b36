//! The templates of a node or workflow, compiled, with what each reference stands for.

use std::ops::Deref;

use crate::{
    graph::Read,
    shape::Site,
    template::{Compiled, Reference, TemplateError},
};

/// A template in a field.
#[derive(Debug)]
pub struct TemplateSite {
    pub(super) site: Site,
    /// The template, or why it cannot be parsed.
    pub compiled: Result<Compiled, Vec<TemplateError>>,
    /// What each of its references stands for, in the order of [`Compiled::references`].
    pub targets: Vec<Target>,
}

/// What the root of a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A node, so many bodies further out than the template sees first.
    Node {
        /// 0 is the innermost body that the template sees.
        up: u32,
    },
    /// `item`, `state` and so on, of a container around it, of a handler or of its field.
    Local,
    /// `inputs`, `env`, `secrets`, `sys`, `conversation` or `trigger`.
    Root,
    /// Nothing has this name here.
    Unknown,
}

/// Where it stands, its text, and the marks of its field.
impl Deref for TemplateSite {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl TemplateSite {
    /// Its references, each with what it stands for.
    pub fn references(&self) -> impl Iterator<Item = (&Reference, Target)> {
        let references = self.compiled.as_ref().map_or(&[][..], Compiled::references);
        references.iter().zip(self.targets.iter().copied())
    }

    /// Its references to nodes.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Read> {
        self.references().filter_map(|(reference, target)| {
            let Target::Node { up } = target else { return None };
            Some(Read {
                node: reference.root.clone(),
                up,
                guarded: reference.guarded || self.optional,
                reads: reference.reads,
                path: reference.path.clone(),
                pointer: self.pointer.clone(),
                span: reference.span.clone(),
            })
        })
    }
}
