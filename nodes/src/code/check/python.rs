//! Python, parsed as 3.14 is.

use std::ops::Range;

use liteagent_engine::{capability::Modules, codes};
use ruff_python_ast::{Expr, PythonVersion, Stmt, StmtFunctionDef, token::TokenKind};
use ruff_python_parser::{LexicalErrorType, Mode, ParseErrorType, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

use self::walk::Walk;
use super::{
    Found, Parsed, imports,
    signature::{Main, Parameter, Signature, Way},
};

mod walk;

/// The version of the sandbox.
const VERSION: PythonVersion = PythonVersion::PY314;

/// Parses Python.
pub(super) fn parse(code: &str, modules: &Modules) -> Parsed {
    let options = ParseOptions::from(Mode::Module).with_target_version(VERSION);
    let Some(parsed) = parse_unchecked(code, options).try_into_module() else { return Parsed::default() };
    let own =
        parsed.errors().iter().enumerate().filter(|(nth, error)| *nth == 0 || !follows_from_another(&error.error));
    let mut findings: Vec<_> = own.map(|(_, error)| syntax(&error.error, error.location)).collect();
    findings.extend(parsed.unsupported_syntax_errors().iter().map(|error| syntax(error, error.range)));

    let walk = Walk::of(code, parsed.suite());
    // What follows from an error is no error of its own.
    if findings.is_empty() {
        findings.extend(walk.errors.iter().map(|error| syntax(error, error.range)));
    }
    let main = if findings.is_empty() { main(parsed.suite(), walk.names_globals) } else { Main::Unknown };
    if !modules.is_empty() {
        let found = walk.imports.iter().filter_map(|(name, range)| imports::python(modules, name, range.clone()));
        findings.extend(found);
    }
    let is_text = |kind| matches!(kind, TokenKind::FStringMiddle | TokenKind::TStringMiddle);
    let texts =
        parsed.tokens().iter().filter(|token| is_text(token.kind())).map(|token| bytes(token.range())).collect();
    Parsed { findings, main, texts }
}

/// Whether an error is seldom one of its own: brackets that stay open join lines, up to the end.
fn follows_from_another(error: &ParseErrorType) -> bool {
    use ParseErrorType::{Lexical, SimpleAndCompoundStatementOnSameLine, SimpleStatementsOnSameLine};
    matches!(error, SimpleStatementsOnSameLine | SimpleAndCompoundStatementOnSameLine | Lexical(LexicalErrorType::Eof))
}

fn bytes(range: TextRange) -> Range<usize> {
    range.start().to_usize()..range.end().to_usize()
}

fn syntax(error: &impl ToString, range: TextRange) -> Found {
    let told = error.to_string();
    let mut letters = told.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let told: String = first.into_iter().chain(letters).collect();
    let message = format!("this is not Python: {}", told.trim_end_matches('.'));
    let found = Found::error(codes::CODE_UNPARSED, bytes(range), message);
    match told.as_str() {
        told if told.contains("`return` statement outside of a function") => {
            found.hint("put the code into `def main(...):`, which returns the outputs")
        }
        told if told.contains("`await`") => found.hint("write `async def main(...):`; the sandbox waits for it"),
        _ => found,
    }
}

/// What the statements of the module say of `main`. Names that are set in other ways than by a statement are not seen.
fn main(body: &[Stmt], names_globals: bool) -> Main {
    let mut names = Names::default();
    names.gather(body);
    match (names.main.as_slice(), names.functions.as_slice()) {
        ([], _) if names_globals || names.takes_all => Main::Unknown,
        ([], [only]) => Main::Missing { only: Some((only.name.to_string(), bytes(only.name.range()))) },
        ([], _) => Main::Missing { only: None },
        ([Some(function)], _) if function.decorator_list.is_empty() => Main::Takes(signature(function)),
        _ => Main::Unknown,
    }
}

fn signature(function: &StmtFunctionDef) -> Signature {
    let parameters = &function.parameters;
    let by = |way| {
        move |parameter: &ruff_python_ast::ParameterWithDefault| Parameter {
            name: parameter.name().to_string(),
            range: bytes(parameter.name().range()),
            required: parameter.default.is_none(),
            way,
        }
    };
    let by_place = parameters.posonlyargs.iter().map(by(Way::Place));
    let by_name = parameters.args.iter().chain(&parameters.kwonlyargs).map(by(Way::Name));
    Signature { parameters: by_place.chain(by_name).collect(), takes_more: parameters.kwarg.is_some() }
}

/// What a module binds.
#[derive(Default)]
struct Names<'a> {
    /// What binds `main`: its definition, or something else.
    main: Vec<Option<&'a StmtFunctionDef>>,
    functions: Vec<&'a StmtFunctionDef>,
    /// Whether everything of some module is bound.
    takes_all: bool,
}

impl<'a> Names<'a> {
    fn gather(&mut self, body: &'a [Stmt]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                self.functions.push(function);
                if &*function.name == "main" {
                    self.main.push(Some(function));
                }
            }
            Stmt::ClassDef(class) => self.bind(&class.name),
            Stmt::Assign(assign) => assign.targets.iter().for_each(|target| self.target(target)),
            Stmt::AnnAssign(assign) if assign.value.is_some() => self.target(&assign.target),
            Stmt::Import(import) => {
                import.names.iter().for_each(|alias| self.bind(alias.asname.as_ref().unwrap_or(&alias.name)));
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    self.takes_all |= &*alias.name == "*";
                    self.bind(alias.asname.as_ref().unwrap_or(&alias.name));
                }
            }
            Stmt::If(branch) => {
                self.gather(&branch.body);
                branch.elif_else_clauses.iter().for_each(|clause| self.gather(&clause.body));
            }
            Stmt::Try(tried) => {
                self.gather(&tried.body);
                for handler in &tried.handlers {
                    let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
                    self.gather(&handler.body);
                }
                self.gather(&tried.orelse);
                self.gather(&tried.finalbody);
            }
            Stmt::With(with) => self.gather(&with.body),
            Stmt::For(repeated) => self.gather(&repeated.body),
            Stmt::While(repeated) => self.gather(&repeated.body),
            _ => {}
        }
    }

    fn target(&mut self, target: &Expr) {
        match target {
            Expr::Name(name) => self.bind(&name.id),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|target| self.target(target)),
            Expr::List(list) => list.elts.iter().for_each(|target| self.target(target)),
            _ => {}
        }
    }

    fn bind(&mut self, name: &str) {
        if name == "main" {
            self.main.push(None);
        }
    }
}
