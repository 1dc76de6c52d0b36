//! The component: which core modules it instantiates, and what it passes from one to another.

use std::collections::HashMap;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentTypeRef, ExternalKind,
    Instance, Parser, Payload,
};

use super::{Result, module::Module};

/// An item of the component's core index spaces.
#[derive(Clone, Debug)]
pub(super) enum CoreItem<'a> {
    /// What a core instance exports.
    Export { instance: u32, name: &'a str },
    /// A function of the host: interface and name.
    Host { module: &'a str, name: &'a str },
    /// A function that gives a handle back to the host.
    Drop,
}

/// A core instance.
pub(super) enum CoreInstance<'a> {
    /// An instantiated module, and the instance behind each module name that it imports from.
    Module { module: Box<Module<'a>>, arguments: HashMap<&'a str, u32> },
    /// A bag of named items.
    Bag(HashMap<&'a str, (ExternalKind, u32)>),
}

/// A function of the component level, as far as it matters here.
#[derive(Clone)]
enum Function<'a> {
    /// Imported from the host.
    Host {
        module: &'a str,
        name: &'a str,
    },
    /// A core function, made callable from outside.
    Lifted(Lifted),
    Other,
}

/// An exported function: the core function, and what its callers need to pass strings.
#[derive(Clone)]
pub(super) struct Lifted {
    pub(super) function: u32,
    pub(super) realloc: Option<u32>,
    pub(super) post_return: Option<u32>,
}

/// A component, read as far as its core instances need.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub(super) instances: Vec<CoreInstance<'a>>,
    pub(super) functions: Vec<CoreItem<'a>>,
    pub(super) tables: Vec<CoreItem<'a>>,
    pub(super) memories: Vec<CoreItem<'a>>,
    pub(super) globals: Vec<CoreItem<'a>>,
    /// The exported functions by name.
    pub(super) exports: Vec<(&'a str, Lifted)>,
    /// Host functions that give the guest a list, with the core function that allocates memory for it.
    pub(super) reallocs: Vec<(&'a str, &'a str, u32)>,
    modules: Vec<Option<Module<'a>>>,
    /// The interface that a component instance was imported as.
    interfaces: Vec<Option<&'a str>>,
    component_functions: Vec<Function<'a>>,
}

impl<'a> Graph<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut graph = Self::default();
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                return Err("a component that ends early".into());
            };
            rest = &rest[consumed..];
            match payload {
                Payload::ModuleSection { unchecked_range, .. } => {
                    let (module, after) = rest.split_at(unchecked_range.len());
                    graph.modules.push(Some(Module::parse(module)?));
                    rest = after;
                }
                // Nested components only rename what this one has.
                Payload::ComponentSection { unchecked_range, .. } => rest = &rest[unchecked_range.len()..],
                Payload::End(_) => break,
                payload => graph.section(payload)?,
            }
        }
        Ok(graph)
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instance(instance?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(alias?);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.canonical(function?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    match import.ty {
                        ComponentTypeRef::Instance(_) => self.interfaces.push(Some(import.name.name)),
                        ComponentTypeRef::Func(_) => {
                            self.component_functions.push(Function::Host { module: "", name: import.name.name });
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.interfaces.extend((0..section.count()).map(|_| None));
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Func => {
                            let function = self.component_functions[export.index as usize].clone();
                            if let Function::Lifted(lifted) = &function {
                                self.exports.push((export.name.name, lifted.clone()));
                            }
                            self.component_functions.push(function);
                        }
                        ComponentExternalKind::Instance => self.interfaces.push(None),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn core_instance(&mut self, instance: Instance<'a>) -> Result<()> {
        self.instances.push(match instance {
            Instance::Instantiate { module_index, args } => {
                let module = self.modules[module_index as usize].take().ok_or("a module that is instantiated twice")?;
                let arguments = args.iter().map(|argument| (argument.name, argument.index)).collect();
                CoreInstance::Module { module: Box::new(module), arguments }
            }
            Instance::FromExports(exports) => CoreInstance::Bag(
                exports.iter().map(|export| (export.name, (export.kind, export.index))).collect::<HashMap<_, _>>(),
            ),
        });
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) {
        match alias {
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let space = match kind {
                    ExternalKind::Func => &mut self.functions,
                    ExternalKind::Table => &mut self.tables,
                    ExternalKind::Memory => &mut self.memories,
                    ExternalKind::Global => &mut self.globals,
                    _ => return,
                };
                space.push(CoreItem::Export { instance: instance_index, name });
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, instance_index, name } => {
                let function = match self.interfaces[instance_index as usize] {
                    Some(module) => Function::Host { module, name },
                    None => Function::Other,
                };
                self.component_functions.push(function);
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Instance, .. } => self.interfaces.push(None),
            ComponentAlias::InstanceExport { .. } | ComponentAlias::Outer { .. } => {}
        }
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<()> {
        match function {
            CanonicalFunction::Lift { core_func_index, options, .. } => {
                let mut lifted = Lifted { function: core_func_index, realloc: None, post_return: None };
                for option in &options {
                    match option {
                        CanonicalOption::Realloc(index) => lifted.realloc = Some(*index),
                        CanonicalOption::PostReturn(index) => lifted.post_return = Some(*index),
                        CanonicalOption::UTF8 | CanonicalOption::Memory(_) => {}
                        other => return Err(format!("an export with the option {other:?}").into()),
                    }
                }
                self.component_functions.push(Function::Lifted(lifted));
            }
            CanonicalFunction::Lower { func_index, options } => {
                let Function::Host { module, name } = self.component_functions[func_index as usize] else {
                    return Err("a lowered function that is not the host's".into());
                };
                for option in &options {
                    if let CanonicalOption::Realloc(index) = option {
                        self.reallocs.push((module, name, *index));
                    }
                }
                self.functions.push(CoreItem::Host { module, name });
            }
            CanonicalFunction::ResourceDrop { .. } => self.functions.push(CoreItem::Drop),
            other => return Err(format!("a canonical function of an unknown kind: {other:?}").into()),
        }
        Ok(())
    }
}
