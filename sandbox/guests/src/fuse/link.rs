//! What every index of every module means, which functions can be reached, and which globals never change.

use std::collections::{BTreeSet, HashMap, HashSet};

use wasmparser::{ConstExpr, ElementItems, ElementKind, ExternalKind, Operator};

use super::{
    Result,
    graph::{CoreInstance, CoreItem, Graph},
    module::{Import, Module, Origin},
};

/// What stands behind an index of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target<'a> {
    /// Defined by the module of this instance, at this index of its own index space.
    Defined { instance: usize, index: u32 },
    /// A function of the host.
    Host { module: &'a str, name: &'a str },
}

/// The host function that takes a handle back.
const DROP: Target<'static> = Target::Host { module: "canonical", name: "resource-drop" };

/// A value known before the program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Constant {
    I32(i32),
    I64(i64),
    F32(wasmparser::Ieee32),
    F64(wasmparser::Ieee64),
}

/// Looks names and indices up.
pub(super) struct Resolver<'g, 'a> {
    graph: &'g Graph<'a>,
}

impl<'g, 'a> Resolver<'g, 'a> {
    pub(super) fn new(graph: &'g Graph<'a>) -> Self {
        Self { graph }
    }

    /// The instances that are modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = (usize, &'g Module<'a>)> + use<'g, 'a> {
        self.graph.instances.iter().enumerate().filter_map(|(at, instance)| match instance {
            CoreInstance::Module { module, .. } => Some((at, &**module)),
            CoreInstance::Bag(_) => None,
        })
    }

    pub(super) fn module(&self, instance: usize) -> &'g Module<'a> {
        match &self.graph.instances[instance] {
            CoreInstance::Module { module, .. } => module,
            CoreInstance::Bag(_) => unreachable!("only modules have code"),
        }
    }

    /// What `index` of the index space of `kind` means in the module of `instance`.
    pub(super) fn target(&self, instance: usize, kind: ExternalKind, index: u32) -> Result<Target<'a>> {
        let module = self.module(instance);
        let at = index as usize;
        let imported = match kind {
            ExternalKind::Func => imported(&module.functions[at].of),
            ExternalKind::Table => imported(&module.tables[at]),
            ExternalKind::Memory => imported(&module.memories[at]),
            ExternalKind::Global => imported(&module.globals[at]),
            other => return Err(format!("an item of an unknown kind: {other:?}").into()),
        };
        let Some(import) = imported else { return Ok(Target::Defined { instance, index }) };
        let CoreInstance::Module { arguments, .. } = &self.graph.instances[instance] else { unreachable!() };
        let from = arguments.get(import.module).ok_or_else(|| format!("nobody passes `{}`", import.module))?;
        self.exported(*from, import.name)
    }

    /// What an instance exports under `name`.
    fn exported(&self, instance: u32, name: &str) -> Result<Target<'a>> {
        let missing = || format!("instance {instance} has no `{name}`");
        match &self.graph.instances[instance as usize] {
            CoreInstance::Module { module, .. } => {
                let (kind, index) = *module.exports.get(name).ok_or_else(missing)?;
                self.target(instance as usize, kind, index)
            }
            CoreInstance::Bag(items) => {
                let (kind, index) = *items.get(name).ok_or_else(missing)?;
                let space = match kind {
                    ExternalKind::Func => &self.graph.functions,
                    ExternalKind::Table => &self.graph.tables,
                    ExternalKind::Memory => &self.graph.memories,
                    ExternalKind::Global => &self.graph.globals,
                    other => return Err(format!("an item of an unknown kind: {other:?}").into()),
                };
                self.item(&space[index as usize])
            }
        }
    }

    fn item(&self, item: &CoreItem<'a>) -> Result<Target<'a>> {
        match item {
            CoreItem::Export { instance, name } => self.exported(*instance, name),
            CoreItem::Host { module, name } => Ok(Target::Host { module, name }),
            CoreItem::Drop => Ok(DROP),
        }
    }

    /// The exports of the fused module: the lifted functions, and what their callers need.
    pub(super) fn exports(&self) -> Result<Vec<(String, Target<'a>)>> {
        let mut exports = Vec::new();
        for (name, lifted) in &self.graph.exports {
            let function = |index: u32| self.item(&self.graph.functions[index as usize]);
            exports.push(((*name).to_owned(), function(lifted.function)?));
            if let Some(realloc) = lifted.realloc {
                exports.push((format!("{name}:realloc"), function(realloc)?));
            }
            if let Some(post_return) = lifted.post_return {
                exports.push((format!("{name}:post-return"), function(post_return)?));
            }
        }
        // Exactly the two lists that the host gives: more would keep code alive that nobody calls.
        for (module, name, realloc) in &self.graph.reallocs {
            let interface = module.split('@').next().unwrap_or(module);
            if matches!((interface, *name), ("wasi:random/random", "get-random-bytes") | ("wasi:io/poll", "poll")) {
                let realloc = self.item(&self.graph.functions[*realloc as usize])?;
                exports.push((format!("{interface} {name}:realloc"), realloc));
            }
        }
        if self.graph.exports.is_empty() { Err("the component exports no function".into()) } else { Ok(exports) }
    }
}

fn imported<'m, 'a, T>(item: &'m Origin<'a, T>) -> Option<&'m Import<'a>> {
    match item {
        Origin::Imported(import) => Some(import),
        Origin::Defined(_) => None,
    }
}

/// What the fused module holds.
pub(super) struct Reached<'a> {
    /// Functions with a body.
    pub(super) functions: BTreeSet<(usize, u32)>,
    /// Functions of the host, with the instance and index that give the type.
    pub(super) host: HashMap<Target<'a>, (usize, u32)>,
    /// Globals that some reached function writes.
    written: HashSet<Target<'a>>,
}

impl<'a> Reached<'a> {
    /// Follows calls from the exports and from the tables.
    pub(super) fn from(resolver: &Resolver<'_, 'a>, exports: &[(String, Target<'a>)]) -> Result<Self> {
        let mut reached = Self { functions: BTreeSet::new(), host: HashMap::new(), written: HashSet::new() };
        let mut open = Vec::new();
        for (_, target) in exports {
            let Target::Defined { instance, index } = *target else { return Err("an export of the host".into()) };
            reached.see(resolver, instance, index, &mut open)?;
        }
        for (instance, module) in resolver.modules() {
            for element in &module.elements {
                match element.kind {
                    ElementKind::Active { .. } => {}
                    ElementKind::Declared => continue,
                    ElementKind::Passive => return Err("a passive element segment".into()),
                }
                let ElementItems::Functions(functions) = element.items.clone() else {
                    return Err("an element segment of expressions".into());
                };
                for function in functions {
                    reached.see(resolver, instance, function?, &mut open)?;
                }
            }
        }
        while let Some((instance, index)) = open.pop() {
            let Origin::Defined(body) = &resolver.module(instance).functions[index as usize].of else { unreachable!() };
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index }
                    | Operator::ReturnCall { function_index }
                    | Operator::RefFunc { function_index } => {
                        reached.see(resolver, instance, function_index, &mut open)?;
                    }
                    Operator::GlobalSet { global_index } => {
                        reached.written.insert(resolver.target(instance, ExternalKind::Global, global_index)?);
                    }
                    _ => {}
                }
            }
        }
        Ok(reached)
    }

    fn see(
        &mut self,
        resolver: &Resolver<'_, 'a>,
        instance: usize,
        index: u32,
        open: &mut Vec<(usize, u32)>,
    ) -> Result<()> {
        match resolver.target(instance, ExternalKind::Func, index)? {
            Target::Defined { instance, index } => {
                if self.functions.insert((instance, index)) {
                    open.push((instance, index));
                }
            }
            host @ Target::Host { .. } => {
                self.host.entry(host).or_insert((instance, index));
            }
        }
        Ok(())
    }

    /// The value of a global that nothing writes.
    pub(super) fn constant(&self, resolver: &Resolver<'_, 'a>, global: Target<'a>) -> Result<Option<Constant>> {
        if self.written.contains(&global) { Ok(None) } else { initial(resolver, global).map(Some) }
    }

    /// The globals that change, in a fixed order.
    pub(super) fn written(&self) -> BTreeSet<Target<'a>> {
        self.written.iter().copied().collect()
    }
}

/// The value a global starts with.
pub(super) fn initial(resolver: &Resolver<'_, '_>, global: Target<'_>) -> Result<Constant> {
    let Target::Defined { instance, index } = global else { return Err("a global of the host".into()) };
    let Origin::Defined(global) = &resolver.module(instance).globals[index as usize] else { unreachable!() };
    evaluate(resolver, instance, &global.init_expr)
}

/// The value of a constant expression.
pub(super) fn evaluate(resolver: &Resolver<'_, '_>, instance: usize, expression: &ConstExpr<'_>) -> Result<Constant> {
    let mut stack = Vec::new();
    for operator in expression.get_operators_reader() {
        match operator? {
            Operator::I32Const { value } => stack.push(Constant::I32(value)),
            Operator::I64Const { value } => stack.push(Constant::I64(value)),
            Operator::F32Const { value } => stack.push(Constant::F32(value)),
            Operator::F64Const { value } => stack.push(Constant::F64(value)),
            Operator::GlobalGet { global_index } => {
                let global = resolver.target(instance, ExternalKind::Global, global_index)?;
                stack.push(initial(resolver, global)?);
            }
            Operator::I32Add => match (stack.pop(), stack.pop()) {
                (Some(Constant::I32(a)), Some(Constant::I32(b))) => stack.push(Constant::I32(a.wrapping_add(b))),
                _ => return Err("an addition of something else than two integers".into()),
            },
            Operator::End => {}
            other => return Err(format!("a constant expression with {other:?}").into()),
        }
    }
    stack.pop().ok_or_else(|| "an empty constant expression".into())
}
