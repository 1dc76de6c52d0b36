//! Templates: Jinja in fields that are declared as templates.
//!
//! A template is parsed once, when its workflow is loaded. The syntax tree gives the references that checks and plans
//! need; a stricter form of it is compiled and rendered against a [`Scope`] without converting any value.

use std::{ops::Range, sync::Arc};

pub(crate) use self::field::templated;
pub use self::{
    docs::{Doc, filters, functions, tests},
    field::{SecretTemplate, Template, TemplateTree},
    from_value::FromValue,
    parts::Part,
};
use crate::{
    error::{Code, NodeError},
    scope::Scope,
    value::Value,
};

mod analysis;
mod calls;
mod compare;
mod depth;
mod docs;
mod environment;
mod explain;
mod field;
mod from_value;
mod library;
mod lower;
mod object;
mod parse;
mod parts;
mod path;
mod places;
mod program;
mod text;
mod url;

/// A template that was parsed and compiled. A clone is one reference count.
#[derive(Clone)]
pub struct Compiled(Arc<Inner>);

struct Inner {
    source: Arc<str>,
    references: Vec<Reference>,
    secrets: Vec<SecretUse>,
    assigned: Vec<Assigned>,
    /// How many bytes of it decide scheme, host and port, when it is a URL.
    host_part: usize,
    program: program::Program,
}

/// What a template reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// The root: a node id, `inputs`, `item` and so on.
    pub root: Arc<str>,
    /// The constant path below it, as far as it is known: `search.documents[0].title`.
    pub path: Vec<Segment>,
    /// Its bytes in the template.
    pub span: Range<usize>,
    /// Whether every rendering evaluates it, or only some do.
    pub guarded: bool,
    /// What of the node is read.
    pub reads: Reads,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A member.
    Member(Arc<str>),
    /// An item: a constant index, or `None` for any item (a loop variable, a computed index).
    Item(Option<i64>),
}

/// What of a node a reference reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Its output.
    Output,
    /// `x.error`.
    Error,
    /// `x.ok`, `x is ran`, `x is failed`, `x is skipped`, or the bare `x` as a condition: how it ended.
    Outcome,
}

/// A secret that a template reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Its name; `None` when it is computed, which is always a finding.
    pub name: Option<Arc<str>>,
    /// Its bytes in the template.
    pub span: Range<usize>,
    /// Whether it stands whole: alone, beside fixed text, or as the key of `hmac`.
    pub whole: bool,
}

/// A name that a template binds: by `set`, `with`, `for` or `macro`. It must be no node id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The name.
    pub name: Arc<str>,
    /// Its bytes in the template.
    pub span: Range<usize>,
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The stable code.
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
    /// Its bytes in the template.
    pub span: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl TemplateError {
    fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Compiled {
    /// Parses and compiles a template.
    ///
    /// # Errors
    /// Every finding in it, in the order of the text; a syntax error is the only one.
    pub fn new(source: &str) -> Result<Self, Vec<TemplateError>> {
        let tree = parse::parse(source).map_err(|error| vec![error])?;
        let analysis = analysis::analyse(source, &tree)?;
        let program = program::Program::new(source, &tree).map_err(|error| vec![error])?;
        Ok(Self(Arc::new(Inner {
            source: source.into(),
            host_part: url::host_part(source, &tree),
            references: analysis.references,
            secrets: analysis.secrets,
            assigned: analysis.assigned,
            program,
        })))
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// What it reads, in the order of the text. Roots are not checked; locals and globals are left out.
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// The secrets it reads.
    pub fn secrets(&self) -> &[SecretUse] {
        &self.0.secrets
    }

    /// The names it binds.
    pub fn assigned(&self) -> &[Assigned] {
        &self.0.assigned
    }

    /// Whether it is a lone `{{ expr }}`, which keeps its type.
    pub fn is_expression(&self) -> bool {
        self.0.program.is_expression()
    }

    /// What its scheme, host and port come from, when it is a URL; nothing when they stand there.
    pub fn host_references(&self) -> impl Iterator<Item = &Reference> {
        self.references().iter().filter(|reference| reference.span.start < self.0.host_part)
    }

    /// Renders it: a lone expression keeps its type, anything else becomes a string.
    ///
    /// # Errors
    /// LA2001 when something was undefined or of the wrong type, LA2002 when it was too much work or too large.
    pub fn render(&self, scope: &Arc<Scope>) -> Result<Value, NodeError> {
        self.0.program.render(&self.0, scope)
    }

    /// Renders it to text, also when it is a lone expression.
    ///
    /// # Errors
    /// As [`Compiled::render`]; and LA2001 when a lone expression gives `null`.
    pub fn render_text(&self, scope: &Arc<Scope>) -> Result<String, NodeError> {
        self.0.program.render_text(&self.0, scope)
    }

    /// Renders it as a URL: what is inserted after the host is percent-encoded as one segment or value, unless the
    /// template is a lone expression or the inserted expression ends in `| raw_url`.
    ///
    /// # Errors
    /// As [`Compiled::render_text`].
    pub fn render_url(&self, scope: &Arc<Scope>) -> Result<String, NodeError> {
        self.0.program.render_url(&self.0, scope)
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.source(), f)
    }
}

/// Whether a text holds a template: `{{`, `{%` or `{#`.
pub fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

const fn assert_shared<T: Send + Sync>() {}
const _: () = assert_shared::<Compiled>();
