//! Writes a syntax tree back as template text whose meaning is stricter, and remembers where each part came from.
//!
//! Ordering goes through `__compare`, which refuses unlike types; `~` goes through `__concat`, which prints values as
//! text pieces do; and left of `| default` and `is defined`, members, items and filters go through `__get` and
//! `__chain`, which pass a missing value on instead of failing.

use std::ops::Range;

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};

use super::places;

/// Template text, and for each expression in it the bytes it was written as.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    pub(super) text: String,
    map: Vec<(Range<usize>, Range<usize>)>,
}

impl Lowered {
    /// Writes an expression.
    pub(super) fn expression(expr: &Expr<'_>) -> Self {
        let mut lowered = Self::default();
        lowered.expr(expr, false);
        lowered
    }

    /// Writes statements.
    pub(super) fn statements(statements: &[Stmt<'_>]) -> Self {
        let mut lowered = Self::default();
        lowered.block(statements);
        lowered
    }

    /// The bytes in the template that a place in the text came from.
    pub(super) fn origin(&self, at: Range<usize>) -> Option<Range<usize>> {
        let around = self.map.iter().filter(|(to, _)| to.start <= at.start && at.end <= to.end);
        around.min_by_key(|(to, _)| to.len()).map(|(_, from)| from.clone())
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn quoted(&mut self, text: &str) {
        let quoted = serde_json::to_string(text).expect("text has a JSON form");
        self.put(&quoted);
    }

    fn block(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.block(&template.children),
            Stmt::EmitRaw(raw) => self.raw(raw.raw),
            Stmt::EmitExpr(emit) => {
                self.put("{{ ");
                self.expr(&emit.expr, false);
                self.put(" }}");
            }
            Stmt::ForLoop(block) => self.for_loop(block),
            Stmt::IfCond(block) => {
                self.put("{% if ");
                self.expr(&block.expr, false);
                self.put(" %}");
                self.block(&block.true_body);
                self.put("{% else %}");
                self.block(&block.false_body);
                self.put("{% endif %}");
            }
            Stmt::WithBlock(block) => {
                self.put("{% with ");
                for (position, (target, value)) in block.assignments.iter().enumerate() {
                    self.put(if position == 0 { "" } else { ", " });
                    self.target(target, true);
                    self.put(" = ");
                    self.expr(value, false);
                }
                self.put(" %}");
                self.block(&block.body);
                self.put("{% endwith %}");
            }
            Stmt::Set(set) => {
                self.put("{% set ");
                self.target(&set.target, false);
                self.put(" = ");
                self.expr(&set.expr, false);
                self.put(" %}");
            }
            Stmt::SetBlock(set) => {
                self.put("{% set ");
                self.target(&set.target, false);
                if let Some(filter) = &set.filter {
                    self.put(" | ");
                    self.filter_chain(filter);
                }
                self.put(" %}");
                self.block(&set.body);
                self.put("{% endset %}");
            }
            // Refused by the analysis.
            Stmt::AutoEscape(_) => {}
            Stmt::FilterBlock(block) => {
                self.put("{% filter ");
                self.filter_chain(&block.filter);
                self.put(" %}");
                self.block(&block.body);
                self.put("{% endfilter %}");
            }
            Stmt::Macro(block) => {
                self.put("{% macro ");
                self.put(block.name);
                self.parameters(block);
                self.put(" %}");
                self.block(&block.body);
                self.put("{% endmacro %}");
            }
            Stmt::CallBlock(block) => {
                self.put("{% call");
                self.parameters(&block.macro_decl);
                self.put(" ");
                self.call(&block.call);
                self.put(" %}");
                self.block(&block.macro_decl.body);
                self.put("{% endcall %}");
            }
            Stmt::Continue(_) => self.put("{% continue %}"),
            Stmt::Break(_) => self.put("{% break %}"),
            Stmt::Do(call) => {
                self.put("{% do ");
                self.call(&call.call);
                self.put(" %}");
            }
        }
    }

    /// Text that would open a tag is written as a string.
    fn raw(&mut self, raw: &str) {
        if super::is_template(raw) || raw.ends_with('{') {
            self.put("{{ ");
            self.quoted(raw);
            self.put(" }}");
        } else {
            self.put(raw);
        }
    }

    fn for_loop(&mut self, block: &ast::ForLoop<'_>) {
        self.put("{% for ");
        self.target(&block.target, false);
        self.put(" in ");
        self.expr(&block.iter, false);
        if let Some(filter) = &block.filter_expr {
            self.put(" if ");
            self.expr(filter, false);
        }
        self.put(if block.recursive { " recursive %}" } else { " %}" });
        self.block(&block.body);
        if !block.else_body.is_empty() {
            self.put("{% else %}");
            self.block(&block.else_body);
        }
        self.put("{% endfor %}");
    }

    fn parameters(&mut self, block: &ast::Macro<'_>) {
        self.put("(");
        let without = block.args.len() - block.defaults.len();
        for (position, argument) in block.args.iter().enumerate() {
            self.put(if position == 0 { "" } else { ", " });
            self.target(argument, true);
            if let Some(default) = position.checked_sub(without).and_then(|index| block.defaults.get(index)) {
                self.put("=");
                self.expr(default, false);
            }
        }
        self.put(")");
    }

    fn target(&mut self, target: &Expr<'_>, nested: bool) {
        match target {
            Expr::Var(var) => self.put(var.id),
            Expr::GetAttr(attr) => {
                self.target(&attr.expr, true);
                self.put(".");
                self.put(attr.name);
            }
            Expr::List(list) => {
                self.put(if nested { "(" } else { "" });
                for (position, item) in list.items.iter().enumerate() {
                    self.put(if position == 0 { "" } else { ", " });
                    self.target(item, true);
                }
                self.put(if list.items.len() == 1 { "," } else { "" });
                self.put(if nested { ")" } else { "" });
            }
            // The parser makes targets of nothing else.
            _ => {}
        }
    }

    fn filter_chain(&mut self, filter: &Expr<'_>) {
        let Expr::Filter(filter) = filter else { return };
        if let Some(before) = &filter.expr {
            self.filter_chain(before);
            self.put(" | ");
        }
        self.put(filter.name);
        self.arguments(&filter.args);
    }

    /// Writes an expression in parentheses where needed; `lenient` as in [`super::analysis::Walk::places`].
    fn expr(&mut self, expr: &Expr<'_>, lenient: bool) {
        let start = self.text.len();
        self.expr_unmapped(expr, lenient);
        self.map.push((start..self.text.len(), places::span(expr)));
    }

    fn expr_unmapped(&mut self, expr: &Expr<'_>, lenient: bool) {
        match expr {
            Expr::Var(var) => self.put(var.id),
            Expr::Const(constant) => self.constant(&constant.value),
            Expr::GetAttr(attr) if lenient => {
                self.piped(&attr.expr, true, "__get");
                self.put("(");
                self.quoted(attr.name);
                self.put("))");
            }
            Expr::GetAttr(attr) => {
                self.operand(&attr.expr);
                self.put(".");
                self.put(attr.name);
            }
            Expr::GetItem(item) if lenient => {
                self.piped(&item.expr, true, "__get");
                self.put("(");
                self.expr(&item.subscript_expr, false);
                self.put("))");
            }
            Expr::GetItem(item) => {
                self.operand(&item.expr);
                self.put("[");
                self.expr(&item.subscript_expr, false);
                self.put("]");
            }
            Expr::Slice(slice) => {
                self.operand(&slice.expr);
                self.put("[");
                for (position, bound) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                    self.put(if position == 0 { "" } else { ":" });
                    if let Some(bound) = bound {
                        self.expr(bound, false);
                    }
                }
                self.put("]");
            }
            Expr::UnaryOp(unary) => {
                self.put(if matches!(unary.op, UnaryOpKind::Not) { "(not " } else { "(-" });
                self.operand(&unary.expr);
                self.put(")");
            }
            Expr::BinOp(operation) => self.operation(operation.op, &operation.left, &operation.right),
            Expr::Compare(compare) => self.comparison(compare),
            Expr::IfExpr(choice) => {
                self.put("(");
                self.expr(&choice.true_expr, lenient);
                self.put(" if ");
                self.expr(&choice.test_expr, false);
                if let Some(otherwise) = &choice.false_expr {
                    self.put(" else ");
                    self.expr(otherwise, lenient);
                }
                self.put(")");
            }
            Expr::Filter(filter) => self.filter(filter, lenient),
            Expr::Test(test) => {
                self.put("(");
                self.expr(&test.expr, matches!(test.name, "defined" | "undefined"));
                self.put(" is ");
                self.put(test.name);
                self.arguments(&test.args);
                self.put(")");
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.sequence("[", &list.items, "]"),
            Expr::Tuple(tuple) => self.sequence("(", &tuple.items, ")"),
            Expr::Map(map) => {
                self.put("{");
                for (key, value) in map.keys.iter().zip(&map.values) {
                    self.expr(key, false);
                    self.put(": ");
                    self.expr(value, false);
                    self.put(", ");
                }
                self.put("}");
            }
        }
    }

    fn sequence(&mut self, open: &str, items: &[Expr<'_>], close: &str) {
        self.put(open);
        for item in items {
            self.expr(item, false);
            self.put(", ");
        }
        self.put(close);
    }

    /// An expression that binds tighter than any operator after it.
    fn operand(&mut self, expr: &Expr<'_>) {
        let simple = matches!(expr, Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::List(_));
        self.put(if simple { "" } else { "(" });
        self.expr(expr, false);
        self.put(if simple { "" } else { ")" });
    }

    /// `(expr | filter`, open for arguments and the closing parenthesis.
    fn piped(&mut self, expr: &Expr<'_>, lenient: bool, filter: &str) {
        self.put("((");
        self.expr(expr, lenient);
        self.put(") | ");
        self.put(filter);
    }

    fn constant(&mut self, value: &minijinja::Value) {
        match value.as_str() {
            Some(text) => self.quoted(text),
            None if value.is_number() && !value.is_integer() => {
                let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
                self.put(&if number.is_finite() { format!("{number:?}") } else { "1e999".to_owned() });
            }
            None => self.put(&value.to_string()),
        }
    }

    fn operation(&mut self, op: BinOpKind, left: &Expr<'_>, right: &Expr<'_>) {
        let (filter, symbol) = match op {
            BinOpKind::Lt => (Some("__compare"), "<"),
            BinOpKind::Lte => (Some("__compare"), "<="),
            BinOpKind::Gt => (Some("__compare"), ">"),
            BinOpKind::Gte => (Some("__compare"), ">="),
            BinOpKind::Concat => (Some("__concat"), "~"),
            BinOpKind::Eq => (None, "=="),
            BinOpKind::Ne => (None, "!="),
            BinOpKind::ScAnd => (None, "and"),
            BinOpKind::ScOr => (None, "or"),
            BinOpKind::Add => (None, "+"),
            BinOpKind::Sub => (None, "-"),
            BinOpKind::Mul => (None, "*"),
            BinOpKind::Div => (None, "/"),
            BinOpKind::FloorDiv => (None, "//"),
            BinOpKind::Rem => (None, "%"),
            BinOpKind::Pow => (None, "**"),
            BinOpKind::In => (None, "in"),
        };
        if let Some(filter) = filter {
            self.piped(left, false, filter);
            self.put("(");
            self.expr(right, false);
            self.put(", ");
            self.quoted(symbol);
            self.put("))");
            return;
        }
        self.put("(");
        self.operand(left);
        self.put(&format!(" {symbol} "));
        self.operand(right);
        self.put(")");
    }

    /// `a < b < c`: every comparison of two neighbours must hold.
    fn comparison(&mut self, compare: &ast::Compare<'_>) {
        self.piped(&compare.expr, false, "__compare_all");
        self.put("(");
        for next in &compare.ops {
            self.quoted(match next.op {
                CompareOpKind::Eq => "==",
                CompareOpKind::Ne => "!=",
                CompareOpKind::Lt => "<",
                CompareOpKind::Lte => "<=",
                CompareOpKind::Gt => ">",
                CompareOpKind::Gte => ">=",
                CompareOpKind::In => "in",
                CompareOpKind::NotIn => "not in",
            });
            self.put(", ");
            self.expr(&next.expr, false);
            self.put(", ");
        }
        self.put("))");
    }

    fn filter(&mut self, filter: &ast::Filter<'_>, lenient: bool) {
        let Some(expr) = &filter.expr else { return };
        if lenient && !matches!(filter.name, "default" | "d") {
            self.piped(expr, true, "__chain");
            self.put("(");
            self.quoted(filter.name);
            self.put(", ");
            self.argument_list(&filter.args);
            self.put("))");
            return;
        }
        self.piped(expr, matches!(filter.name, "default" | "d"), filter.name);
        self.arguments(&filter.args);
        self.put(")");
    }

    fn call(&mut self, call: &ast::Call<'_>) {
        self.operand(&call.expr);
        self.put("(");
        self.argument_list(&call.args);
        self.put(")");
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        if arguments.is_empty() {
            return;
        }
        self.put("(");
        self.argument_list(arguments);
        self.put(")");
    }

    fn argument_list(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            let expr = match argument {
                CallArg::Pos(expr) => expr,
                CallArg::Kwarg(name, expr) => {
                    self.put(name);
                    self.put("=");
                    expr
                }
                CallArg::PosSplat(expr) => {
                    self.put("*");
                    expr
                }
                CallArg::KwargSplat(expr) => {
                    self.put("**");
                    expr
                }
            };
            self.expr(expr, false);
            self.put(", ");
        }
    }
}
