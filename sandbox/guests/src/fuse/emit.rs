//! Writes the fused module.

use std::{collections::HashMap, convert::Infallible};

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection, FunctionSection,
    GlobalSection, GlobalType, ImportSection, Instruction, MemorySection, Module as Output, TableSection, TypeSection,
    reencode::{Error, Reencode},
};
use wasmparser::{DataKind, ElementItems, ElementKind, ExternalKind, FuncType, Operator};

use super::{
    Result,
    image::Image,
    link::{Constant, Reached, Resolver, Target, evaluate, initial},
    module::Origin,
};

/// The new index of everything.
struct Layout<'r, 'g, 'a> {
    resolver: &'r Resolver<'g, 'a>,
    reached: &'r Reached<'a>,
    types: Types,
    functions: HashMap<Target<'a>, u32>,
    globals: HashMap<Target<'a>, u32>,
    tables: HashMap<Target<'a>, u32>,
    memory: Option<Target<'a>>,
}

/// The function types, each once.
#[derive(Default)]
struct Types {
    section: TypeSection,
    index: HashMap<FuncType, u32>,
}

impl Types {
    fn index(&mut self, ty: &FuncType) -> Result<u32> {
        if let Some(index) = self.index.get(ty) {
            return Ok(*index);
        }
        let encoded = wasm_encoder::FuncType::try_from(ty.clone()).map_err(plain)?;
        self.section.ty().func_type(&encoded);
        let index = self.index.len() as u32;
        self.index.insert(ty.clone(), index);
        Ok(index)
    }
}

pub(super) fn emit<'a>(
    resolver: &Resolver<'_, 'a>,
    reached: &Reached<'a>,
    exports: &[(String, Target<'a>)],
) -> Result<Vec<u8>> {
    let mut layout = Layout {
        resolver,
        reached,
        types: Types::default(),
        functions: HashMap::new(),
        globals: HashMap::new(),
        tables: HashMap::new(),
        memory: None,
    };
    let imports = layout.imports()?;
    let functions = layout.functions()?;
    let globals = layout.globals()?;
    let (tables, memories) = layout.tables_and_memory()?;
    let exports = layout.exports(exports)?;
    let elements = layout.elements()?;
    let code = layout.code()?;
    let data = layout.data()?;

    let mut output = Output::new();
    output.section(&layout.types.section).section(&imports).section(&functions).section(&tables).section(&memories);
    output.section(&globals).section(&exports).section(&elements).section(&code).section(&data);
    Ok(output.finish())
}

impl<'a> Layout<'_, '_, 'a> {
    fn ty(&mut self, instance: usize, function: u32) -> Result<u32> {
        let module = self.resolver.module(instance);
        self.types.index(&module.types[module.functions[function as usize].ty as usize])
    }

    fn imports(&mut self) -> Result<ImportSection> {
        let mut host: Vec<_> = self.reached.host.iter().map(|(target, from)| (*target, *from)).collect();
        host.sort_unstable();
        let mut section = ImportSection::new();
        for (index, (target, (instance, function))) in host.into_iter().enumerate() {
            let Target::Host { module, name } = target else { unreachable!("only functions of the host stand here") };
            section.import(module, name, wasm_encoder::EntityType::Function(self.ty(instance, function)?));
            self.functions.insert(target, index as u32);
        }
        Ok(section)
    }

    fn functions(&mut self) -> Result<FunctionSection> {
        let mut section = FunctionSection::new();
        for (instance, index) in &self.reached.functions {
            section.function(self.ty(*instance, *index)?);
            let target = Target::Defined { instance: *instance, index: *index };
            self.functions.insert(target, self.functions.len() as u32);
        }
        Ok(section)
    }

    fn globals(&mut self) -> Result<GlobalSection> {
        let mut section = GlobalSection::new();
        for (index, target) in self.reached.written().into_iter().enumerate() {
            let (value, val_type) = match initial(self.resolver, target)? {
                Constant::I32(value) => (ConstExpr::i32_const(value), wasm_encoder::ValType::I32),
                Constant::I64(value) => (ConstExpr::i64_const(value), wasm_encoder::ValType::I64),
                Constant::F32(value) => (ConstExpr::f32_const(value.into()), wasm_encoder::ValType::F32),
                Constant::F64(value) => (ConstExpr::f64_const(value.into()), wasm_encoder::ValType::F64),
            };
            section.global(GlobalType { val_type, mutable: true, shared: false }, &value);
            self.globals.insert(target, index as u32);
        }
        Ok(section)
    }

    fn tables_and_memory(&mut self) -> Result<(TableSection, MemorySection)> {
        let (mut tables, mut memories) = (TableSection::new(), MemorySection::new());
        let mut reencode = Plain;
        for (instance, module) in self.resolver.modules() {
            for (index, table) in module.tables.iter().enumerate() {
                let Origin::Defined(ty) = table else { continue };
                tables.table(reencode.table_type(*ty).map_err(plain)?);
                self.tables.insert(Target::Defined { instance, index: index as u32 }, self.tables.len() as u32);
            }
            for (index, memory) in module.memories.iter().enumerate() {
                let Origin::Defined(ty) = memory else { continue };
                memories.memory(reencode.memory_type(*ty).map_err(plain)?);
                if self.memory.replace(Target::Defined { instance, index: index as u32 }).is_some() {
                    return Err("two memories".into());
                }
            }
        }
        Ok((tables, memories))
    }

    fn exports(&self, exports: &[(String, Target<'a>)]) -> Result<ExportSection> {
        let mut section = ExportSection::new();
        section.export("memory", ExportKind::Memory, 0);
        for (name, target) in exports {
            section.export(name, ExportKind::Func, *self.functions.get(target).ok_or("an export that is not reached")?);
        }
        Ok(section)
    }

    fn elements(&self) -> Result<ElementSection> {
        let mut section = ElementSection::new();
        for (instance, module) in self.resolver.modules() {
            for element in &module.elements {
                let (ElementKind::Active { table_index, offset_expr }, ElementItems::Functions(items)) =
                    (&element.kind, element.items.clone())
                else {
                    continue;
                };
                let table = self.resolver.target(instance, ExternalKind::Table, table_index.unwrap_or(0))?;
                let functions = items
                    .into_iter()
                    .map(|function| {
                        let target = self.resolver.target(instance, ExternalKind::Func, function?)?;
                        self.functions.get(&target).copied().ok_or_else(|| "a function that is not reached".into())
                    })
                    .collect::<Result<Vec<_>>>()?;
                if functions.is_empty() {
                    continue;
                }
                let offset = ConstExpr::i32_const(self.start(instance, offset_expr)? as i32);
                section.active(Some(self.tables[&table]), &offset, Elements::Functions(functions.into()));
            }
        }
        Ok(section)
    }

    fn data(&self) -> Result<DataSection> {
        let mut image = Image::default();
        for (instance, module) in self.resolver.modules() {
            for data in &module.data {
                let DataKind::Active { offset_expr, .. } = &data.kind else {
                    return Err("a passive data segment".into());
                };
                image.place(self.start(instance, offset_expr)?, data.data);
            }
        }
        image.make_immortal()?;
        let mut section = DataSection::new();
        for (start, bytes) in image.segments() {
            section.active(0, &ConstExpr::i32_const(start as i32), bytes.iter().copied());
        }
        Ok(section)
    }

    fn start(&self, instance: usize, expression: &wasmparser::ConstExpr<'_>) -> Result<u32> {
        match evaluate(self.resolver, instance, expression)? {
            Constant::I32(at) => Ok(at as u32),
            other => Err(format!("a segment that begins at {other:?}").into()),
        }
    }

    fn code(&mut self) -> Result<CodeSection> {
        let mut section = CodeSection::new();
        for (instance, index) in &self.reached.functions {
            let Origin::Defined(body) = &self.resolver.module(*instance).functions[*index as usize].of else {
                unreachable!("only functions with a body are reached")
            };
            let mut body_of = Body { layout: self, instance: *instance };
            body_of.parse_function_body(&mut section, body.clone()).map_err(of_body)?;
        }
        Ok(section)
    }
}

/// Writes the bodies of one module's functions with the new indices.
struct Body<'l, 'r, 'g, 'a> {
    layout: &'l mut Layout<'r, 'g, 'a>,
    instance: usize,
}

type BodyResult<T> = std::result::Result<T, Error<super::Error>>;

impl<'a> Body<'_, '_, '_, 'a> {
    fn target(&self, kind: ExternalKind, index: u32) -> BodyResult<Target<'a>> {
        self.layout.resolver.target(self.instance, kind, index).map_err(Error::UserError)
    }
}

impl Reencode for Body<'_, '_, '_, '_> {
    type Error = super::Error;

    fn type_index(&mut self, ty: u32) -> BodyResult<u32> {
        let ty = &self.layout.resolver.module(self.instance).types[ty as usize];
        self.layout.types.index(ty).map_err(Error::UserError)
    }

    fn function_index(&mut self, function: u32) -> BodyResult<u32> {
        let target = self.target(ExternalKind::Func, function)?;
        let index = self.layout.functions.get(&target).copied();
        index.ok_or_else(|| Error::UserError("a call of a function that is not reached".into()))
    }

    fn global_index(&mut self, global: u32) -> BodyResult<u32> {
        let target = self.target(ExternalKind::Global, global)?;
        let index = self.layout.globals.get(&target).copied();
        index.ok_or_else(|| Error::UserError("a global that nobody defines".into()))
    }

    fn table_index(&mut self, table: u32) -> BodyResult<u32> {
        let target = self.target(ExternalKind::Table, table)?;
        Ok(self.layout.tables[&target])
    }

    fn memory_index(&mut self, _memory: u32) -> BodyResult<u32> {
        Ok(0)
    }

    fn instruction<'i>(&mut self, operator: Operator<'i>) -> BodyResult<Instruction<'i>> {
        if let Operator::GlobalGet { global_index } = operator {
            let target = self.target(ExternalKind::Global, global_index)?;
            let constant = self.layout.reached.constant(self.layout.resolver, target).map_err(Error::UserError)?;
            match constant {
                Some(Constant::I32(value)) => return Ok(Instruction::I32Const(value)),
                Some(Constant::I64(value)) => return Ok(Instruction::I64Const(value)),
                Some(Constant::F32(value)) => return Ok(Instruction::F32Const(value.into())),
                Some(Constant::F64(value)) => return Ok(Instruction::F64Const(value.into())),
                None => {}
            }
        }
        wasm_encoder::reencode::utils::instruction(self, operator)
    }
}

/// Translates types that hold no index.
struct Plain;

impl Reencode for Plain {
    type Error = Infallible;
}

fn plain(error: Error<Infallible>) -> super::Error {
    error.to_string().into()
}

fn of_body(error: Error<super::Error>) -> super::Error {
    match error {
        Error::UserError(error) => error,
        other => other.to_string().into(),
    }
}
