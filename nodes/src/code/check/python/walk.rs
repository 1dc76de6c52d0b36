//! A walk over a module: its imports, and the errors that Python's compiler finds and its grammar does not.

use std::{cell::RefCell, ops::Range};

use ruff_python_ast::{
    self as ast, Comprehension, ExceptHandler, Expr, PythonVersion, Stmt,
    visitor::{Visitor, walk_expr, walk_stmt},
};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError,
};
use ruff_text_size::{Ranged, TextRange};

use super::{VERSION, bytes};

/// What a walk gathers.
pub(super) struct Walk<'a> {
    code: &'a str,
    /// Each module that is imported, where nobody says what happens without it.
    pub(super) imports: Vec<(String, Range<usize>)>,
    pub(super) errors: Vec<SemanticSyntaxError>,
    /// Whether names may be bound by their text: `globals()`.
    pub(super) names_globals: bool,
    checker: SemanticSyntaxChecker,
    found: RefCell<Vec<SemanticSyntaxError>>,
    scopes: Vec<Scope>,
    /// Loops around, in the innermost function.
    loops: u32,
    /// Places around where a failed import is expected.
    excused: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Module,
    Class,
    Function { is_async: bool },
    Comprehension { is_async: bool, is_generator: bool },
}

impl<'a> Walk<'a> {
    /// Walks over a module.
    pub(super) fn of(code: &'a str, body: &'a [Stmt]) -> Self {
        let mut walk = Self {
            code,
            imports: Vec::new(),
            errors: Vec::new(),
            names_globals: false,
            checker: SemanticSyntaxChecker::new(),
            found: RefCell::default(),
            scopes: vec![Scope::Module],
            loops: 0,
            excused: 0,
        };
        walk.visit_body(body);
        walk.errors = walk.found.take();
        walk
    }

    fn within(&mut self, scope: Scope, visit: impl FnOnce(&mut Self)) {
        let loops = std::mem::take(&mut self.loops);
        self.scopes.push(scope);
        visit(self);
        self.scopes.pop();
        self.loops = loops;
    }

    fn excused(&mut self, is_excused: bool, visit: impl FnOnce(&mut Self)) {
        self.excused += u32::from(is_excused);
        visit(self);
        self.excused -= u32::from(is_excused);
    }

    fn import(&mut self, name: &str, range: TextRange) {
        if self.excused == 0 {
            self.imports.push((name.to_owned(), bytes(range)));
        }
    }

    /// What is evaluated outside of a function stands before it: decorators, defaults, annotations.
    fn function(&mut self, function: &'a ast::StmtFunctionDef) {
        function.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        if let Some(parameters) = &function.type_params {
            self.visit_type_params(parameters);
        }
        self.visit_parameters(&function.parameters);
        if let Some(returns) = &function.returns {
            self.visit_annotation(returns);
        }
        self.within(Scope::Function { is_async: function.is_async }, |walk| walk.visit_body(&function.body));
    }

    fn class(&mut self, class: &'a ast::StmtClassDef) {
        class.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        if let Some(parameters) = &class.type_params {
            self.visit_type_params(parameters);
        }
        if let Some(arguments) = &class.arguments {
            self.visit_arguments(arguments);
        }
        self.within(Scope::Class, |walk| walk.visit_body(&class.body));
    }

    fn tried(&mut self, tried: &'a ast::StmtTry) {
        let is_excused = tried.handlers.iter().any(|handler| {
            let ExceptHandler::ExceptHandler(handler) = handler;
            handler.type_.as_deref().is_none_or(catches_import)
        });
        self.excused(is_excused, |walk| walk.visit_body(&tried.body));
        tried.handlers.iter().for_each(|handler| self.visit_except_handler(handler));
        self.visit_body(&tried.orelse);
        self.visit_body(&tried.finalbody);
    }

    fn comprehension(&mut self, elements: &[&'a Expr], generators: &'a [Comprehension], is_generator: bool) {
        let is_async = generators.iter().any(|generator| generator.is_async);
        // The first list is evaluated outside.
        for (at, generator) in generators.iter().enumerate() {
            if at == 0 {
                self.visit_expr(&generator.iter);
            }
        }
        let scope = Scope::Comprehension { is_async: is_async || self.in_async_context(), is_generator };
        self.within(scope, |walk| {
            for (at, generator) in generators.iter().enumerate() {
                if at > 0 {
                    walk.visit_expr(&generator.iter);
                }
                walk.visit_expr(&generator.target);
                for condition in &generator.ifs {
                    walk.visit_expr(condition);
                }
            }
            for element in elements {
                walk.visit_expr(element);
            }
        });
    }
}

/// Whether an `except` is for imports that fail.
fn catches_import(kind: &Expr) -> bool {
    match kind {
        Expr::Name(name) => {
            matches!(name.id.as_str(), "ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException")
        }
        Expr::Tuple(tuple) => tuple.elts.iter().any(catches_import),
        _ => false,
    }
}

/// Whether a condition is true for type checkers only.
fn is_for_types(test: &Expr) -> bool {
    match test {
        Expr::Name(name) => name.id.as_str() == "TYPE_CHECKING",
        Expr::Attribute(member) => member.attr.as_str() == "TYPE_CHECKING",
        _ => false,
    }
}

/// Whether a `with` goes on when an import fails: `suppress(ImportError)`.
fn suppresses(item: &ast::WithItem) -> bool {
    let Expr::Call(call) = &item.context_expr else { return false };
    let is_suppress = match &*call.func {
        Expr::Name(name) => name.id.as_str() == "suppress",
        Expr::Attribute(member) => member.attr.as_str() == "suppress",
        _ => false,
    };
    is_suppress && call.arguments.args.iter().any(catches_import)
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        let mut checker = std::mem::take(&mut self.checker);
        checker.visit_stmt(statement, self);
        self.checker = checker;
        match statement {
            Stmt::Import(import) => {
                import.names.iter().for_each(|alias| self.import(&alias.name, alias.name.range()));
            }
            Stmt::ImportFrom(import) => {
                if let Some(module) = import.module.as_ref().filter(|_| import.level == 0) {
                    self.import(module, module.range());
                }
            }
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::Try(tried) => self.tried(tried),
            Stmt::If(branch) if is_for_types(&branch.test) => {
                self.excused(true, |walk| walk.visit_body(&branch.body));
                branch.elif_else_clauses.iter().for_each(|clause| self.visit_elif_else_clause(clause));
            }
            Stmt::With(with) if with.items.iter().any(suppresses) => {
                with.items.iter().for_each(|item| self.visit_with_item(item));
                self.excused(true, |walk| walk.visit_body(&with.body));
            }
            Stmt::For(repeated) => {
                self.visit_expr(&repeated.iter);
                self.visit_expr(&repeated.target);
                self.loops += 1;
                self.visit_body(&repeated.body);
                self.loops -= 1;
                self.visit_body(&repeated.orelse);
            }
            Stmt::While(repeated) => {
                self.visit_expr(&repeated.test);
                self.loops += 1;
                self.visit_body(&repeated.body);
                self.loops -= 1;
                self.visit_body(&repeated.orelse);
            }
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        let mut checker = std::mem::take(&mut self.checker);
        checker.visit_expr(expression, self);
        self.checker = checker;
        match expression {
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                self.within(Scope::Function { is_async: false }, |walk| walk.visit_expr(&lambda.body));
            }
            Expr::ListComp(made) => self.comprehension(&[&made.elt], &made.generators, false),
            Expr::SetComp(made) => self.comprehension(&[&made.elt], &made.generators, false),
            Expr::Generator(made) => self.comprehension(&[&made.elt], &made.generators, true),
            Expr::DictComp(made) => {
                let elements: Vec<&Expr> = made.key.iter().map(|key| &**key).chain([&*made.value]).collect();
                self.comprehension(&elements, &made.generators, false);
            }
            Expr::Name(name) => {
                self.names_globals |= matches!(name.id.as_str(), "globals" | "exec" | "setattr" | "vars");
            }
            _ => walk_expr(self, expression),
        }
    }
}

impl SemanticSyntaxContext for Walk<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        true
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        None
    }

    fn python_version(&self) -> PythonVersion {
        VERSION
    }

    fn source(&self) -> &str {
        self.code
    }

    fn global(&self, _: &str) -> Option<TextRange> {
        None
    }

    fn has_nonlocal_binding(&self, _: &str) -> bool {
        true
    }

    fn in_async_context(&self) -> bool {
        match self.scopes.last() {
            Some(Scope::Function { is_async } | Scope::Comprehension { is_async, .. }) => *is_async,
            Some(Scope::Module | Scope::Class) | None => false,
        }
    }

    fn in_await_allowed_context(&self) -> bool {
        let rest = self.scopes.iter().rev();
        let mut around = rest.skip_while(|scope| matches!(scope, Scope::Comprehension { .. }));
        matches!(around.next(), Some(Scope::Function { .. }))
    }

    fn in_yield_allowed_context(&self) -> bool {
        self.in_function_scope()
    }

    fn in_sync_comprehension(&self) -> bool {
        // Python 3.11 and later allow asynchronous comprehensions anywhere in an asynchronous function.
        false
    }

    fn in_class_body_comprehension(&self) -> bool {
        let rest = self.scopes.iter().rev();
        let mut around = rest.skip_while(|scope| matches!(scope, Scope::Comprehension { .. }));
        around.next() == Some(&Scope::Class)
    }

    fn in_module_scope(&self) -> bool {
        self.scopes.len() == 1
    }

    fn in_function_scope(&self) -> bool {
        matches!(self.scopes.last(), Some(Scope::Function { .. }))
    }

    fn in_generator_context(&self) -> bool {
        self.scopes.iter().any(|scope| matches!(scope, Scope::Comprehension { is_generator: true, .. }))
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        self.found.borrow_mut().push(error);
    }

    fn in_loop_context(&self) -> bool {
        self.loops > 0
    }

    fn is_bound_parameter(&self, _: &str) -> bool {
        false
    }
}
