//! One core module, read into lists that can be addressed by index.

use std::collections::HashMap;

use wasmparser::{
    CompositeInnerType, Data, Element, ExternalKind, FuncType, FunctionBody, Global, MemoryType, Parser, Payload,
    TableType, TypeRef,
};

use super::Result;

/// What a module takes from outside.
pub(super) struct Import<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

/// A function: taken from outside, or with a body.
pub(super) struct Function<'a> {
    pub(super) ty: u32,
    pub(super) of: Origin<'a, FunctionBody<'a>>,
}

/// Where an item of a module comes from.
pub(super) enum Origin<'a, T> {
    Imported(Import<'a>),
    Defined(T),
}

/// A core module.
#[derive(Default)]
pub(super) struct Module<'a> {
    pub(super) types: Vec<FuncType>,
    pub(super) functions: Vec<Function<'a>>,
    pub(super) tables: Vec<Origin<'a, TableType>>,
    pub(super) memories: Vec<Origin<'a, MemoryType>>,
    pub(super) globals: Vec<Origin<'a, Global<'a>>>,
    pub(super) exports: HashMap<&'a str, (ExternalKind, u32)>,
    pub(super) elements: Vec<Element<'a>>,
    pub(super) data: Vec<Data<'a>>,
}

impl<'a> Module<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        let mut bodies = Vec::new();
        let mut types_of_bodies = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group?.into_types() {
                            let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                                return Err("a type that is no function type".into());
                            };
                            module.types.push(ty);
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        module.import(import?)?;
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        types_of_bodies.push(ty?);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        module.tables.push(Origin::Defined(table?.ty));
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        module.memories.push(Origin::Defined(memory?));
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        module.globals.push(Origin::Defined(global?));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        module.exports.insert(export.name, (export.kind, export.index));
                    }
                }
                Payload::ElementSection(section) => module.elements = section.into_iter().collect::<Result<_, _>>()?,
                Payload::DataSection(section) => module.data = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => bodies.push(body),
                Payload::StartSection { .. } => return Err("a start function, which the snapshot should hold".into()),
                Payload::TagSection(_) => return Err("an exception tag".into()),
                _ => {}
            }
        }
        let defined = types_of_bodies.into_iter().zip(bodies);
        module.functions.extend(defined.map(|(ty, body)| Function { ty, of: Origin::Defined(body) }));
        Ok(module)
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<()> {
        let from = Import { module: import.module, name: import.name };
        match import.ty {
            TypeRef::Func(ty) => self.functions.push(Function { ty, of: Origin::Imported(from) }),
            TypeRef::Table(_) => self.tables.push(Origin::Imported(from)),
            TypeRef::Memory(_) => self.memories.push(Origin::Imported(from)),
            TypeRef::Global(_) => self.globals.push(Origin::Imported(from)),
            other => return Err(format!("an import of an unknown kind: {other:?}").into()),
        }
        Ok(())
    }
}
