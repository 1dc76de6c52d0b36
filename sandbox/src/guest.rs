//! An interpreter that is ready to be instantiated.

use std::{borrow::Cow, fs, io::ErrorKind};

use liteagent_sandbox_protocol::{Fault, Kind, Language};
use wasmtime::{
    Config as Settings, Enabled, Engine, InstanceAllocationStrategy, InstancePre, Module, OptLevel,
    PoolingAllocationConfig, Result, Store, WasmBacktraceDetails,
};

use crate::{
    Config,
    host::{self, Host, TABLE_ELEMENTS},
    image,
};

/// QuickJS is small: it is part of this program.
const JAVASCRIPT: &[u8] = include_bytes!("../guests/javascript/guest.wasm");

/// So large that QuickJS, which counts its own stack, throws an error that code can catch before this one is full.
const WASM_STACK: usize = 16 << 20;
const HOST_STACK: usize = 1 << 20;
const INSTANCE_SIZE: usize = 1 << 20;

/// A call's arguments: what is run, the code and the JSON of the inputs.
pub(crate) struct Call<'a> {
    pub(crate) script: bool,
    pub(crate) code: &'a str,
    pub(crate) inputs: &'a str,
}

/// What a guest answered: the JSON of its outputs, or of its failure.
pub(crate) enum Answer {
    Outputs(Vec<u8>),
    /// The JSON of the outputs is larger than it may be.
    TooLarge,
    Failure(Vec<u8>),
}

/// The most that is read of the description of a failure.
const MOST_FAILURE: usize = 256 * 1024;

/// A snapshot of an interpreter, compiled and linked.
pub(crate) struct Guest {
    instance: InstancePre<Host>,
    /// The memory of the snapshot: no call can do with less.
    pub(crate) least_memory: u64,
}

/// An engine for the instances of one language.
pub(crate) fn engine(language: Language, config: &Config) -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    let count = config.concurrency;
    pool.total_core_instances(count)
        .total_memories(count)
        .total_tables(count * 2)
        // A guest that is given a list, of random numbers or of what is ready, allocates it on a stack of its own.
        .total_stacks(count * 2)
        .max_memories_per_module(1)
        .max_tables_per_module(2)
        .max_memory_size(usize::try_from(config.maximum.memory).unwrap_or(usize::MAX))
        .table_elements(TABLE_ELEMENTS)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_unused_warm_slots(count)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(TABLE_ELEMENTS * size_of::<usize>())
        // What a call wrote to is written over from the snapshot when it ends; pages kept this way do not fault in the next.
        .linear_memory_keep_resident(match language {
            Language::Python => 64 << 20,
            Language::JavaScript => 2 << 20,
        });
    let mut settings = Settings::new();
    settings
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(512 << 20)
        .generate_address_map(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK);
    Engine::new(&settings)
}

impl Guest {
    /// Loads a guest. The first time on a machine this compiles it.
    pub(crate) fn load(language: Language, engine: &Engine, config: &Config) -> Result<Self, Fault> {
        let wasm = source(language, config)?;
        Self::link(language, engine, config, &wasm).map_err(|error| {
            Fault::new(Kind::Sandbox, format!("the {language} guest cannot be loaded: {error:#}"))
                .hint("build the guests anew with `liteagent sandbox build`")
        })
    }

    fn link(language: Language, engine: &Engine, config: &Config, wasm: &[u8]) -> Result<Self> {
        let module = image::load(engine, language.name(), wasm, &config.compiled, config.progress)?;
        let instance = host::linker(&module)?.instantiate_pre(&module)?;
        Ok(Self { instance, least_memory: least_memory(&module) })
    }

    /// Runs a call in a fresh instance.
    pub(crate) async fn run(&self, store: &mut Store<Host>, call: Call<'_>, most_output: usize) -> Result<Answer> {
        let instance = self.instance.instantiate_async(&mut *store).await?;
        let memory = instance.get_memory(&mut *store, "memory").ok_or_else(|| missing("memory"))?;
        store.data_mut().attach(memory);
        let realloc = instance.get_typed_func::<(u32, u32, u32, u32), u32>(&mut *store, "run:realloc")?;
        let run = instance.get_typed_func::<(u32, u32, u32, u32, u32), u32>(&mut *store, "run")?;

        let mut places = [0; 2];
        for (place, text) in places.iter_mut().zip([call.code, call.inputs]) {
            // The byte after the text is zero: C wants it.
            *place = realloc.call_async(&mut *store, (0, 0, 1, text.len() as u32 + 1)).await?;
            let range =
                memory.data_mut(&mut *store).get_mut(*place as usize..).and_then(|rest| rest.get_mut(..=text.len()));
            let Some((last, range)) = range.and_then(<[u8]>::split_last_mut) else {
                return Err(wasmtime::Trap::MemoryOutOfBounds.into());
            };
            range.copy_from_slice(text.as_bytes());
            *last = 0;
        }
        let [code, inputs] = places;
        let arguments = (u32::from(call.script), code, call.code.len() as u32, inputs, call.inputs.len() as u32);
        let reply = run.call_async(&mut *store, arguments).await?;

        let data = memory.data(&*store);
        let word = |at: u32| {
            let bytes = data.get(reply as usize + at as usize..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let (Some(failed), Some(address), Some(length)) = (word(0), word(4), word(8)) else {
            return Err(wasmtime::Trap::MemoryOutOfBounds.into());
        };
        let failed = failed & 0xff != 0;
        let text = data.get(address as usize..).and_then(|rest| rest.get(..length as usize));
        let Some(text) = text else { return Err(wasmtime::Trap::MemoryOutOfBounds.into()) };
        Ok(match failed {
            true => Answer::Failure(text[..text.len().min(MOST_FAILURE)].to_vec()),
            false if text.len() > most_output => Answer::TooLarge,
            false => Answer::Outputs(text.to_vec()),
        })
    }
}

fn missing(export: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the guest exports no `{export}`"))
}

fn least_memory(module: &Module) -> u64 {
    let memory = module.exports().find_map(|export| export.ty().memory().cloned());
    memory.map_or(0, |memory| memory.minimum() * memory.page_size())
}

fn source(language: Language, config: &Config) -> Result<Cow<'static, [u8]>, Fault> {
    if language == Language::JavaScript {
        return Ok(Cow::Borrowed(JAVASCRIPT));
    }
    let path = config.guests.join(&config.python);
    fs::read(&path).map(Cow::Owned).map_err(|error| {
        let message = match error.kind() {
            ErrorKind::NotFound => format!("the Python guest is not there: expected `{}`", path.display()),
            _ => format!("the Python guest `{}` cannot be read: {error}", path.display()),
        };
        Fault::new(Kind::Sandbox, message).hint("`liteagent sandbox build` builds it")
    })
}
