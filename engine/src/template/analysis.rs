//! What a template reads, binds and must not do: one walk over its syntax tree.

use std::{collections::HashMap, sync::Arc};

use minijinja::machinery::ast::{self, Expr, Stmt};

use super::{
    Assigned, Reads, Reference, SecretUse, Segment, TemplateError, parse,
    places::{self, Place},
};
use crate::codes;

/// The roots that no template may assign to, besides node ids.
pub(super) const RESERVED: &[&str] = &[
    "inputs",
    "env",
    "secrets",
    "sys",
    "conversation",
    "trigger",
    "item",
    "index",
    "state",
    "round",
    "error",
    "status",
    "call",
    "page",
    "range",
    "dict",
    "namespace",
    "loop",
    "caller",
];

/// The result of the walk.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    pub(super) references: Vec<Reference>,
    pub(super) secrets: Vec<SecretUse>,
    pub(super) assigned: Vec<Assigned>,
}

/// Walks over a template.
///
/// # Errors
/// Every finding.
pub(super) fn analyse(source: &str, tree: &parse::Tree<'_>) -> Result<Analysis, Vec<TemplateError>> {
    let mut walk = Walk { source, scopes: vec![HashMap::new()], ..Walk::default() };
    walk.statements(tree.statements(), Ctx::default());
    let mut found = walk.found;
    found.references = without_repetitions(found.references);
    found.secrets.sort_by_key(|secret| secret.span.start);
    found.secrets.dedup();
    walk.findings.sort_by_key(|finding| finding.span.start);
    walk.findings.dedup();
    if walk.findings.is_empty() { Ok(found) } else { Err(walk.findings) }
}

/// Drops what is said twice: the same place, or the same place once required and once guarded.
fn without_repetitions(mut references: Vec<Reference>) -> Vec<Reference> {
    references.sort_by_key(|reference| (reference.span.start, reference.guarded));
    let mut kept: Vec<Reference> = Vec::with_capacity(references.len());
    for reference in references {
        let same = |known: &Reference| {
            known.span == reference.span && known.path == reference.path && known.reads == reference.reads
        };
        let beside = kept.iter().rev().take_while(|known| known.span.start == reference.span.start);
        if !beside.into_iter().any(same) {
            kept.push(reference);
        }
    }
    kept
}

/// Where in the template an expression stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Ctx {
    /// Only some renderings get here.
    pub(super) guarded: bool,
    /// Only whether it is true counts.
    pub(super) condition: bool,
}

impl Ctx {
    pub(super) fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// The test of a condition: a bare node in it says how the node ended.
    pub(super) fn test() -> Self {
        Self { guarded: true, condition: true }
    }

    pub(super) fn value(self) -> Self {
        Self { condition: false, ..self }
    }
}

#[derive(Default)]
pub(super) struct Walk<'s> {
    pub(super) source: &'s str,
    pub(super) found: Analysis,
    pub(super) findings: Vec<TemplateError>,
    /// What the names that the template binds stand for; empty where that is unknown. Innermost last.
    pub(super) scopes: Vec<HashMap<String, Vec<Place>>>,
}

impl Walk<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>], ctx: Ctx) {
        for statement in statements {
            self.statement(statement, ctx);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>, ctx: Ctx) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children, ctx),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::EmitExpr(emit) => {
                if !self.whole_secret(&emit.expr) {
                    self.read(&emit.expr, ctx);
                }
            }
            Stmt::ForLoop(block) => self.for_loop(block, ctx),
            Stmt::IfCond(block) => {
                self.read(&block.expr, Ctx::test());
                self.statements(&block.true_body, ctx.guarded());
                self.statements(&block.false_body, ctx.guarded());
            }
            Stmt::WithBlock(block) => self.scoped(|walk| {
                for (target, value) in &block.assignments {
                    let places = walk.read(value, ctx);
                    walk.bind(target, &places);
                }
                walk.statements(&block.body, ctx);
            }),
            Stmt::Set(set) => {
                let places = self.read(&set.expr, ctx);
                self.assign(&set.target, &places);
            }
            Stmt::SetBlock(set) => {
                self.scoped(|walk| walk.statements(&set.body, ctx));
                if let Some(filter) = &set.filter {
                    self.read(filter, ctx);
                }
                self.assign(&set.target, &[]);
            }
            Stmt::AutoEscape(block) => {
                let span = parse::range(block.span());
                self.findings.push(
                    TemplateError::new(codes::TEMPLATE_TAG, span, "`{% autoescape %}` is no tag that templates have")
                        .hint("escape single values with the filter `escape`"),
                );
            }
            Stmt::FilterBlock(block) => {
                self.read(&block.filter, ctx);
                self.scoped(|walk| walk.statements(&block.body, ctx));
            }
            Stmt::Macro(block) => {
                self.bind_name(block.name, parse::range(block.span()), Vec::new());
                self.macro_body(block);
            }
            Stmt::CallBlock(block) => {
                self.call(&block.call, ctx);
                self.macro_body(&block.macro_decl);
            }
            Stmt::Do(call) => self.call(&call.call, ctx),
        }
    }

    fn for_loop(&mut self, block: &ast::ForLoop<'_>, ctx: Ctx) {
        let places = self.read(&block.iter, ctx);
        let items: Vec<Place> = places.into_iter().map(|place| place.then(Segment::Item(None), 0)).collect();
        self.scoped(|walk| {
            walk.scopes.last_mut().expect("a scope was just opened").insert("loop".to_owned(), Vec::new());
            walk.bind(&block.target, &items);
            if let Some(filter) = &block.filter_expr {
                walk.read(filter, Ctx::test());
            }
            walk.statements(&block.body, ctx.guarded());
        });
        self.scoped(|walk| walk.statements(&block.else_body, ctx.guarded()));
    }

    /// The body of a macro; it may never be called.
    fn macro_body(&mut self, block: &ast::Macro<'_>) {
        for default in &block.defaults {
            self.read(default, Ctx::default().guarded());
        }
        self.scoped(|walk| {
            walk.scopes.last_mut().expect("a scope was just opened").insert("caller".to_owned(), Vec::new());
            for argument in &block.args {
                walk.bind(argument, &[]);
            }
            walk.statements(&block.body, Ctx::default().guarded());
        });
    }

    fn scoped(&mut self, inside: impl FnOnce(&mut Self)) {
        self.scopes.push(HashMap::new());
        inside(self);
        self.scopes.pop();
    }

    /// Binds what `set` assigns to; a member of a namespace binds nothing.
    fn assign(&mut self, target: &Expr<'_>, places: &[Place]) {
        match target {
            Expr::GetAttr(_) => {
                self.read(target, Ctx::default());
            }
            _ => self.bind(target, places),
        }
    }

    fn bind(&mut self, target: &Expr<'_>, places: &[Place]) {
        match target {
            Expr::Var(var) => self.bind_name(var.id, parse::range(var.span()), places.to_vec()),
            Expr::List(list) => list.items.iter().for_each(|target| self.bind(target, &[])),
            _ => {}
        }
    }

    fn bind_name(&mut self, name: &str, span: std::ops::Range<usize>, places: Vec<Place>) {
        if RESERVED.contains(&name) {
            let message = format!("`{name}` is reserved and cannot be assigned to");
            let error = TemplateError::new(codes::TEMPLATE_RESERVED, span.clone(), message);
            let other = if name == "item" { "entry".to_owned() } else { format!("my_{name}") };
            self.findings.push(error.hint(format!("use another name, such as `{other}`")));
        }
        self.found.assigned.push(Assigned { name: name.into(), span });
        self.scopes.last_mut().expect("the outermost scope is never closed").insert(name.to_owned(), places);
    }

    /// What a name stands for that the template bound itself; `None` when it is a root.
    pub(super) fn local(&self, name: &str) -> Option<&Vec<Place>> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    /// Records what an expression reads, and gives the places that it may stand for.
    pub(super) fn read(&mut self, expr: &Expr<'_>, ctx: Ctx) -> Vec<Place> {
        let places = self.places(expr, ctx, false);
        self.record(&places, ctx);
        places.into_iter().map(|place| place.guarded_if(ctx.guarded)).collect()
    }

    pub(super) fn record(&mut self, places: &[Place], ctx: Ctx) {
        for place in places {
            if &*place.root == "secrets" {
                self.secret(place, false);
            }
            let (reads, always_guarded) = reads(place, ctx);
            self.found.references.push(Reference {
                root: place.root.clone(),
                path: place.path.clone(),
                span: place.span.clone(),
                guarded: place.guarded || ctx.guarded || always_guarded,
                reads,
            });
        }
    }

    /// Records `{{ secrets.NAME }}`, and says whether the expression is that.
    pub(super) fn whole_secret(&mut self, expr: &Expr<'_>) -> bool {
        let Expr::GetAttr(member) = expr else { return false };
        if !matches!(&member.expr, Expr::Var(var) if var.id == "secrets") {
            return false;
        }
        let place = Place {
            root: "secrets".into(),
            path: vec![Segment::Member(member.name.into())],
            span: places::span(expr),
            guarded: false,
        };
        self.secret(&place, true);
        let Place { root, path, span, guarded } = place;
        self.found.references.push(Reference { root, path, span, guarded, reads: Reads::Output });
        true
    }

    fn secret(&mut self, place: &Place, whole: bool) {
        let name: Option<Arc<str>> = match place.path.first() {
            Some(Segment::Member(name)) => Some(name.clone()),
            _ => None,
        };
        if !whole {
            let shown = name.as_deref().unwrap_or("NAME");
            let message = match &name {
                Some(name) => format!("the secret `{name}` is tested, cut or passed through a filter"),
                None => "a secret is named by something other than its constant name".to_owned(),
            };
            let error = TemplateError::new(codes::SECRET_NOT_WHOLE, place.span.clone(), message);
            self.findings.push(error.hint(format!("write `{{{{ secrets.{shown} }}}}` alone or beside fixed text")));
        }
        self.found.secrets.push(SecretUse { name, span: place.span.clone(), whole });
    }
}

/// What of a node a place reads, and whether that alone makes it guarded.
fn reads(place: &Place, ctx: Ctx) -> (Reads, bool) {
    if RESERVED.contains(&&*place.root) {
        return (Reads::Output, false);
    }
    match place.path.first() {
        Some(Segment::Member(member)) if &**member == "ok" => (Reads::Outcome, true),
        Some(Segment::Member(member)) if &**member == "error" => (Reads::Error, true),
        None if ctx.condition => (Reads::Outcome, true),
        _ => (Reads::Output, false),
    }
}
