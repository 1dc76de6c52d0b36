//! The parts of a text, one by one: what can be shown of it before all of it is known.

use std::{ops::Range, sync::Arc};

use super::{
    Compiled, Reference, Segment,
    program::{Code, Piece, Program},
};
use crate::{error::NodeError, scope::Scope};

/// A part of a template that gives a text; the texts of all parts together are the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Text as it is.
    Text(&'a str),
    /// A lone constant path, as in `{{ reply.text }}`.
    Path {
        /// The root.
        root: &'a Arc<str>,
        /// The path below it.
        path: &'a [Segment],
        /// Its bytes in the template.
        span: Range<usize>,
    },
    /// Any other expression.
    Expression {
        /// Its bytes in the template.
        span: Range<usize>,
    },
    /// The whole template: it has blocks such as `{% if %}`.
    Blocks,
}

impl Compiled {
    /// Its parts, in order.
    pub fn parts(&self) -> Vec<Part<'_>> {
        match &self.0.program {
            Program::Lone(code) => vec![part(code)],
            Program::Text(pieces) => pieces.iter().map(Piece::part).collect(),
            Program::Blocks { .. } => vec![Part::Blocks],
        }
    }

    /// The text of one part.
    ///
    /// # Errors
    /// As [`Compiled::render_text`].
    pub fn render_part(&self, part: usize, scope: &Arc<Scope>) -> Result<String, NodeError> {
        match &self.0.program {
            Program::Text(pieces) => pieces.get(part).map_or(Ok(String::new()), |piece| piece.text(&self.0, scope)),
            Program::Lone(_) | Program::Blocks { .. } => self.render_text(scope),
        }
    }

    /// What a part reads.
    pub fn references_of<'a>(&'a self, part: &Part<'_>) -> impl Iterator<Item = &'a Reference> {
        let span = match part {
            Part::Text(_) => 0..0,
            Part::Path { span, .. } | Part::Expression { span } => span.clone(),
            Part::Blocks => 0..usize::MAX,
        };
        self.references()
            .iter()
            .filter(move |of| span.start <= of.span.start && of.span.end <= span.end && !span.is_empty())
    }
}

impl Piece {
    fn part(&self) -> Part<'_> {
        match self {
            Self::Literal(text) => Part::Text(text),
            Self::Code { code, .. } => part(code),
        }
    }
}

fn part(code: &Code) -> Part<'_> {
    match code {
        Code::Path(path) => Part::Path { root: &path.root, path: &path.segments, span: path.span.clone() },
        Code::Expression { span, .. } => Part::Expression { span: span.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scope::{NodeView, Roots},
        value,
    };

    #[test]
    fn the_parts_of_a_text_make_the_text() {
        let compiled = Compiled::new("Hi {{ inputs.name | upper }}: {{ a.text }}{{ a.text ~ b.more[0] }}!\n").unwrap();
        let parts = compiled.parts();
        assert!(matches!(parts[0], Part::Text("Hi ")));
        assert!(matches!(&parts[3], Part::Path { root, path, .. } if &***root == "a" && path.len() == 1));
        let roots = |part: &Part<'_>| {
            compiled.references_of(part).map(|reference| reference.root.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            parts.iter().map(roots).collect::<Vec<_>>(),
            [vec![], vec!["inputs"], vec![], vec!["a"], vec!["a", "b"], vec![]]
        );

        let node = |value| NodeView::Ended { output: value, port: None, error: None };
        let scope = Arc::new(Scope {
            roots: Arc::new(Roots { inputs: value!({ "name": "ada" }), ..Roots::default() }),
            nodes: vec![("a".into(), node(value!({ "text": "x" }))), ("b".into(), node(value!({ "more": ["y"] })))],
            ..Scope::default()
        });
        let texts = (0..parts.len()).map(|part| compiled.render_part(part, &scope).unwrap());
        assert_eq!(texts.collect::<String>(), compiled.render_text(&scope).unwrap());

        let blocks = Compiled::new("{% if a.ok %}{{ a.text }}{% endif %}").unwrap();
        assert_eq!(blocks.parts(), [Part::Blocks]);
        assert_eq!(blocks.references_of(&Part::Blocks).count(), 2);
        let lone = Compiled::new("  {{ a.text }} ").unwrap();
        assert!(matches!(lone.parts()[..], [Part::Path { .. }]));
    }
}
