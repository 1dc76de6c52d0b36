//! The walk over expressions: places, filters, tests and calls.

use std::ops::Range;

use minijinja::machinery::{
    Span,
    ast::{self, BinOpKind, CallArg, Expr, UnaryOpKind},
};

use super::{
    Segment, TemplateError,
    analysis::{Ctx, Walk},
    docs::{self, Doc, closest},
    parse::range,
    places::{self, Place, gives_item, keeps_items, subscript},
};
use crate::codes;

impl Walk<'_> {
    /// Records what an expression reads besides the places that it may itself stand for, which it gives.
    ///
    /// `lenient`: it stands left of `| default` or `is defined`, where a missing value is no error. It only reaches
    /// through members, items, filters and arms, as in [`super::lower`]; all else is evaluated as ever.
    pub(super) fn places(&mut self, expr: &Expr<'_>, ctx: Ctx, lenient: bool) -> Vec<Place> {
        let inner = ctx.value();
        match expr {
            Expr::Const(_) => Vec::new(),
            Expr::Var(var) => self.variable(var.id, places::span(expr), lenient),
            Expr::GetAttr(attr) => {
                let end = places::end_after(expr, &attr.expr);
                let base = self.places(&attr.expr, inner, lenient);
                base.into_iter().map(|place| place.then(Segment::Member(attr.name.into()), end)).collect()
            }
            Expr::GetItem(item) => {
                let end = places::end_after(expr, &item.expr);
                self.read(&item.subscript_expr, inner);
                let segment = subscript(&item.subscript_expr);
                let base = self.places(&item.expr, inner, lenient);
                base.into_iter().map(|place| place.then(segment.clone(), end)).collect()
            }
            Expr::Slice(slice) => {
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.read(bound, inner);
                }
                self.read(&slice.expr, inner)
            }
            Expr::UnaryOp(unary) => {
                let not = matches!(unary.op, UnaryOpKind::Not);
                self.read(&unary.expr, if not { Ctx { condition: true, ..ctx } } else { inner });
                Vec::new()
            }
            Expr::BinOp(operation) => self.operation(operation, ctx),
            Expr::Compare(compare) => {
                self.read(&compare.expr, inner);
                for operand in &compare.ops {
                    self.read(&operand.expr, inner);
                }
                Vec::new()
            }
            Expr::IfExpr(choice) => self.choice(choice, ctx, lenient),
            Expr::Filter(filter) => self.filter(filter, ctx, lenient),
            Expr::Test(test) => {
                self.test(test, inner);
                Vec::new()
            }
            Expr::Call(call) => {
                self.call(call, inner);
                Vec::new()
            }
            Expr::List(list) => {
                list.items.iter().for_each(|item| drop(self.read(item, inner)));
                Vec::new()
            }
            Expr::Tuple(tuple) => {
                tuple.items.iter().for_each(|item| drop(self.read(item, inner)));
                Vec::new()
            }
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|item| drop(self.read(item, inner)));
                Vec::new()
            }
        }
    }

    fn variable(&mut self, name: &str, span: Range<usize>, lenient: bool) -> Vec<Place> {
        if let Some(places) = self.local(name) {
            return places.iter().cloned().map(|place| Place { span: span.clone(), ..place }).collect();
        }
        if docs::functions().iter().any(|function| function.name == name) {
            return Vec::new();
        }
        vec![Place { root: name.into(), path: Vec::new(), span, guarded: lenient }]
    }

    /// Records places whose value goes into something else that still has the same items.
    fn consume(&mut self, places: Vec<Place>, ctx: Ctx, lenient: bool) -> Vec<Place> {
        let ctx = if lenient { ctx.guarded() } else { ctx };
        self.record(&places, ctx);
        places
    }

    /// `and` and `or` give one of their operands: the left one is tested, the right one may not be reached.
    fn operation(&mut self, operation: &ast::BinOp<'_>, ctx: Ctx) -> Vec<Place> {
        if !matches!(operation.op, BinOpKind::ScAnd | BinOpKind::ScOr) {
            self.read(&operation.left, ctx.value());
            self.read(&operation.right, ctx.value());
            return Vec::new();
        }
        let left = self.places(&operation.left, ctx, false);
        self.record(&left, Ctx { condition: true, ..ctx });
        let right = self.places(&operation.right, ctx.guarded(), false);
        self.record(&right, ctx.guarded());
        left.into_iter().chain(right).map(|place| place.guarded_if(true)).collect()
    }

    fn choice(&mut self, choice: &ast::IfExpr<'_>, ctx: Ctx, lenient: bool) -> Vec<Place> {
        self.read(&choice.test_expr, Ctx::test());
        let mut places = self.places(&choice.true_expr, ctx.guarded(), lenient);
        if let Some(otherwise) = &choice.false_expr {
            places.extend(self.places(otherwise, ctx.guarded(), lenient));
        } else {
            let span = places::span(&choice.true_expr).start..places::span(&choice.test_expr).end;
            let hint = format!("write `{} else ''`, or another value for that case", &self.source[span.clone()]);
            let message = "expected `else` after an inline `if`, found none";
            self.findings.push(TemplateError::new(codes::TEMPLATE_NO_ELSE, span, message).hint(hint));
        }
        places.into_iter().map(|place| place.guarded_if(true)).collect()
    }

    fn filter(&mut self, filter: &ast::Spanned<ast::Filter<'_>>, ctx: Ctx, lenient: bool) -> Vec<Place> {
        self.known(
            filter.name,
            name_span(filter.span(), filter.name),
            docs::filters(),
            "filter",
            codes::TEMPLATE_FILTER,
        );
        let is_default = matches!(filter.name, "default" | "d");
        let mut places = match &filter.expr {
            Some(expr) => self.places(expr, ctx.value(), lenient || is_default),
            None => Vec::new(),
        };
        for (position, argument) in filter.args.iter().enumerate() {
            let is_key = match argument {
                CallArg::Pos(_) => position == 0,
                CallArg::Kwarg(name, _) => *name == "key",
                _ => false,
            };
            let (CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr)) =
                argument;
            if filter.name == "hmac" && is_key && self.whole_secret(expr) {
                continue;
            }
            let alternatives = self.read(expr, ctx.value());
            if is_default && position == 0 {
                places.extend(alternatives.into_iter().map(|place| place.guarded_if(true)));
            }
        }
        if is_default {
            return places.into_iter().map(|place| place.guarded_if(true)).collect();
        }
        let places = self.consume(places, ctx.value(), lenient);
        if keeps_items(filter.name) {
            return places;
        }
        if gives_item(filter.name) {
            return places.into_iter().map(|place| place.then(Segment::Item(None), 0)).collect();
        }
        Vec::new()
    }

    fn test(&mut self, test: &ast::Spanned<ast::Test<'_>>, ctx: Ctx) {
        self.known(test.name, name_span(test.span(), test.name), docs::tests(), "test", codes::TEMPLATE_TEST);
        let lenient = matches!(test.name, "defined" | "undefined");
        let places = self.places(&test.expr, ctx, lenient);
        let of_node = matches!(test.name, "ran" | "failed" | "skipped" | "defined" | "undefined" | "none");
        let (bare, deep): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| of_node && place.path.is_empty());
        self.record(&bare, Ctx::test());
        self.consume(deep, ctx, lenient);
        self.arguments(&test.args, ctx);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>], ctx: Ctx) {
        for argument in arguments {
            let (CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr)) =
                argument;
            self.read(expr, ctx);
        }
    }

    pub(super) fn call(&mut self, call: &ast::Call<'_>, ctx: Ctx) {
        self.arguments(&call.args, ctx);
        match &call.expr {
            Expr::Var(var) if self.local(var.id).is_some() => {}
            Expr::Var(var) => {
                let span = places::span(&call.expr);
                self.known(var.id, span, docs::functions(), "function", codes::TEMPLATE_FUNCTION);
            }
            Expr::GetAttr(attr) if is_loop(&attr.expr) && matches!(attr.name, "cycle" | "changed") => {}
            Expr::GetAttr(attr) => {
                self.read(&attr.expr, ctx);
                let span = places::span(&call.expr);
                let error = TemplateError::new(
                    codes::TEMPLATE_FUNCTION,
                    span,
                    format!("values have no methods, found `.{}(...)`", attr.name),
                );
                self.findings.push(error.hint(instead_of(attr.name)));
            }
            other => {
                let error = TemplateError::new(
                    codes::TEMPLATE_FUNCTION,
                    places::span(other),
                    "expected the name of a function before `(`",
                );
                self.findings.push(error.hint("use a filter: `{{ value | upper }}`"));
            }
        }
    }

    fn known(&mut self, name: &str, span: Range<usize>, table: &[Doc], what: &str, code: crate::error::Code) {
        if table.iter().any(|doc| doc.name == name) {
            return;
        }
        let hint = match closest(name, table.iter().map(|doc| doc.name)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("see the list of {what}s in `docs/reference/templates.md`"),
        };
        self.findings.push(TemplateError::new(code, span, format!("unknown {what} `{name}`")).hint(hint));
    }
}

/// The bytes of the name of a filter or test: its span begins there.
fn name_span(span: Span, name: &str) -> Range<usize> {
    let start = range(span).start;
    start..start + name.len()
}

fn is_loop(expr: &Expr<'_>) -> bool {
    matches!(expr, Expr::Var(var) if var.id == "loop")
}

/// What to write in place of a method that Python or JavaScript has.
fn instead_of(method: &str) -> String {
    let filter = match method {
        "strip" | "lstrip" | "rstrip" => "trim",
        "toUpperCase" => "upper",
        "toLowerCase" => "lower",
        "splitlines" => "lines",
        "get" => return "write `value.member | default(...)`".to_owned(),
        "keys" => return "write `value | list` for the names of an object".to_owned(),
        "values" => return "write `value | items | map('last')` for the values of an object".to_owned(),
        "startswith" | "startsWith" => return "write `value is startingwith(...)`".to_owned(),
        "endswith" | "endsWith" => return "write `value is endingwith(...)`".to_owned(),
        "includes" | "contains" => return "write `part in value`".to_owned(),
        "append" | "push" => return "write `list + [item]`".to_owned(),
        other => match docs::filters().iter().find(|doc| doc.name == other) {
            Some(doc) => doc.name,
            None => return "use a filter: `{{ value | upper }}`".to_owned(),
        },
    };
    format!("write `value | {filter}`")
}
