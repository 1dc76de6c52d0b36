//! The templates of a node or workflow, compiled, with what each reference stands for.

use crate::{
    graph::Read,
    template::{Compiled, Reference, TemplateError},
};

/// A template in a field.
#[derive(Debug)]
pub struct TemplateSite {
    /// Where it stands, as a JSON pointer from the workflow.
    pub pointer: String,
    /// Its text.
    pub text: String,
    /// What the field takes.
    pub mark: Mark,
    /// Whether every reference in it is guarded, whatever stands around it.
    pub optional: bool,
    /// Whether it sees the body of the container that it configures.
    pub inner: bool,
    /// The schema that its value has to fit, where that is known.
    pub expects: Option<serde_json::Value>,
    /// The template, or why it cannot be parsed.
    pub compiled: Result<Compiled, Vec<TemplateError>>,
    /// What each of its references stands for, in the order of [`Compiled::references`].
    pub targets: Vec<Target>,
}

/// What a template field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A template.
    Text,
    /// Any JSON with templates in its strings.
    Tree,
    /// A template that may hold a secret.
    Secret,
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
