//! JavaScript, parsed as a script, and as a module when it is no script: as the sandbox does.

use std::ops::Range;

use liteagent_engine::codes;
use oxc_allocator::Allocator;
use oxc_ast::ast::{
    BindingPattern, Declaration, Expression, FormalParameters, Function, ModuleExportName, PropertyKey, Statement,
    VariableDeclarator,
};
use oxc_diagnostics::OxcDiagnostic;
use oxc_parser::{Kind, Parser, ParserReturn, Token, config::TokensParserConfig};
use oxc_span::{SourceType, Span};

use super::{
    Found, Parsed, imports,
    signature::{Main, Parameter, Signature, Way},
};

/// Parses JavaScript.
pub(super) fn parse(code: &str) -> Parsed {
    let allocator = Allocator::default();
    let parse = |kind| Parser::new(&allocator, code, kind).with_config(TokensParserConfig).parse();
    let script = parse(SourceType::script());
    if script.diagnostics.is_empty() {
        return looked_at(code, &script, false);
    }
    let module = parse(SourceType::mjs().with_jsx(false));
    if module.diagnostics.is_empty() {
        return looked_at(code, &module, true);
    }
    // The one that came further knows more of what was meant.
    let best = if first_error(&module) > first_error(&script) { module } else { script };
    let findings = best.diagnostics.iter().map(|error| syntax(code, error)).collect();
    Parsed { findings, ..Parsed::default() }
}

fn first_error(parsed: &ParserReturn<'_>) -> usize {
    parsed.diagnostics.iter().map(|error| place(error).start).min().unwrap_or(0)
}

fn place(error: &OxcDiagnostic) -> Range<usize> {
    error.labels.first().map_or(0..0, |label| label.offset() as usize..(label.offset() + label.len()) as usize)
}

fn bytes(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

fn syntax(code: &str, error: &OxcDiagnostic) -> Found {
    let told = error.message.trim_end_matches('.');
    let mut letters = told.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let told: String = first.into_iter().chain(letters).collect();
    let range = place(error);
    let is_typed = code.get(..range.start).is_some_and(|before| before.trim_end().ends_with(':'));
    let found = Found::error(codes::CODE_UNPARSED, range, format!("this is not JavaScript: {told}"));
    match &error.help {
        Some(help) => found.hint(help.trim_end_matches('.')),
        None if is_typed => found.hint("write it without types: TypeScript does not run"),
        None => found,
    }
}

fn looked_at(code: &str, parsed: &ParserReturn<'_>, is_module: bool) -> Parsed {
    let mut findings = Vec::new();
    let record = &parsed.module_record;
    for (name, places) in &record.requested_modules {
        findings.extend(places.iter().map(|place| imports::javascript(name, bytes(place.span))));
    }
    let text = |range: Range<usize>| code.get(range).unwrap_or_default().trim_matches(['"', '\'', '`']);
    for import in &record.dynamic_imports {
        let range = bytes(import.module_request);
        findings.push(imports::javascript(text(range.clone()), range));
    }
    // Who tries to require something says what happens without it.
    if !parsed.tokens.iter().any(|token| token.kind() == Kind::Try) {
        let required = parsed.tokens.windows(4).filter_map(|tokens| required(code, tokens));
        findings.extend(required.map(|range| imports::javascript(text(range.clone()), range)));
    }
    Parsed { findings, main: main(code, parsed, is_module), texts: Vec::new() }
}

/// The text in `require("text")`, when these tokens are that and no member of something else.
fn required(code: &str, tokens: &[Token]) -> Option<Range<usize>> {
    let [before, name, open, argument] = tokens else { return None };
    let is_call =
        code.get(bytes(name.span())) == Some("require") && open.kind() == Kind::LParen && argument.kind() == Kind::Str;
    let is_own = !matches!(before.kind(), Kind::Dot | Kind::QuestionDot | Kind::Function);
    (is_call && is_own).then(|| bytes(argument.span()))
}

/// What the statements say of `main`.
fn main(code: &str, parsed: &ParserReturn<'_>, is_module: bool) -> Main {
    let mut names = Names::default();
    parsed.program.body.iter().for_each(|statement| names.statement(statement));
    let is_mentioned = || {
        let mut names = parsed.tokens.iter().filter(|token| token.kind() == Kind::Ident);
        names.any(|token| code.get(bytes(token.span())) == Some("main"))
    };
    match (names.exported, names.declared) {
        (Some(exported), _) => exported,
        (None, Some((_, place))) if is_module && !names.exports_main => Main::NotExported(place),
        (None, Some((main, _))) => main,
        (None, None) if names.exports_main || is_mentioned() => Main::Unknown,
        (None, None) => {
            let only = (names.functions.len() == 1).then(|| names.functions.remove(0));
            Main::Missing { only }
        }
    }
}

/// What a program binds.
#[derive(Default)]
struct Names {
    /// `main` of an `export` with its declaration.
    exported: Option<Main>,
    /// `main` of another declaration, and where it is.
    declared: Option<(Main, Range<usize>)>,
    /// Whether something else is exported as `main`.
    exports_main: bool,
    functions: Vec<(String, Range<usize>)>,
}

impl Names {
    fn statement(&mut self, statement: &Statement<'_>) {
        match statement {
            Statement::ExportDeclaration(export) => {
                self.declaration(&export.declaration);
                self.exported = self.exported.take().or(self.declared.take().map(|(main, _)| main));
            }
            Statement::ExportNamedDeclaration(export) => {
                self.exports_main |= export.specifiers.iter().any(|one| name_of(&one.exported) == "main");
            }
            Statement::ExportFromDeclaration(export) => {
                self.exports_main |= export.specifiers.iter().any(|one| name_of(&one.exported) == "main");
            }
            Statement::ExportAllDeclaration(_) => self.exports_main = true,
            other => {
                if let Some(declaration) = other.as_declaration() {
                    self.declaration(declaration);
                }
            }
        }
    }

    fn declaration(&mut self, declaration: &Declaration<'_>) {
        match declaration {
            Declaration::FunctionDeclaration(function) => self.function(function),
            Declaration::VariableDeclaration(variables) => {
                variables.declarations.iter().for_each(|variable| self.variable(variable));
            }
            Declaration::ClassDeclaration(class) => {
                if let Some(id) = class.id.as_ref().filter(|id| id.name == "main") {
                    self.declared = Some((Main::Unknown, bytes(id.span)));
                }
            }
            _ => {}
        }
    }

    fn function(&mut self, function: &Function<'_>) {
        let Some(id) = &function.id else { return };
        if id.name == "main" {
            self.declared = Some((of_parameters(&function.params), bytes(id.span)));
        } else {
            self.functions.push((id.name.to_string(), bytes(id.span)));
        }
    }

    fn variable(&mut self, variable: &VariableDeclarator<'_>) {
        let BindingPattern::BindingIdentifier(id) = &variable.id else { return };
        let parameters = match &variable.init {
            Some(Expression::ArrowFunctionExpression(function)) => Some(&function.params),
            Some(Expression::FunctionExpression(function)) => Some(&function.params),
            _ => None,
        };
        if id.name == "main" {
            let main = parameters.map_or(Main::Unknown, |parameters| of_parameters(parameters));
            self.declared = Some((main, bytes(id.span)));
        } else if parameters.is_some() {
            self.functions.push((id.name.to_string(), bytes(id.span)));
        }
    }
}

fn name_of<'a>(name: &'a ModuleExportName<'_>) -> &'a str {
    match name {
        ModuleExportName::IdentifierName(name) => name.name.as_str(),
        ModuleExportName::IdentifierReference(name) => name.name.as_str(),
        ModuleExportName::StringLiteral(name) => name.value.as_str(),
    }
}

/// What `main` takes: the members of its first parameter. It is never given a second one.
fn of_parameters(parameters: &FormalParameters<'_>) -> Main {
    let mut signature = Signature { parameters: Vec::new(), takes_more: parameters.rest.is_some() };
    for (at, parameter) in parameters.items.iter().enumerate() {
        match &parameter.pattern {
            BindingPattern::ObjectPattern(object) if at == 0 => {
                signature.takes_more |= object.rest.is_some();
                for property in &object.properties {
                    let key = match &property.key {
                        PropertyKey::StaticIdentifier(name) if !property.computed => name.name.to_string(),
                        PropertyKey::StringLiteral(name) => name.value.to_string(),
                        _ => {
                            signature.takes_more = true;
                            continue;
                        }
                    };
                    let required = !matches!(property.value, BindingPattern::AssignmentPattern(_));
                    let range = bytes(property.span);
                    signature.parameters.push(Parameter { name: key, range, required, way: Way::Name });
                }
            }
            _ if at == 0 => signature.takes_more = true,
            pattern => {
                let BindingPattern::BindingIdentifier(id) = pattern else { continue };
                let required = parameter.initializer.is_none();
                let (name, range) = (id.name.to_string(), bytes(id.span));
                signature.parameters.push(Parameter { name, range, required, way: Way::Place });
            }
        }
    }
    Main::Takes(signature)
}
