//! Starts a module once, and keeps what its memory and globals then hold.

use wasmparser::ValType;
use wasmtime::{Engine, Instance, Linker, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, Wizer};

use crate::{Error, Result};

/// The function that starts the guest.
const START: &str = "wizer-initialize";

/// Runs the start function of a module and gives the module that it is afterwards. It can call nothing but a clock that stands
/// still: what it does is the same each time, to the byte.
pub(crate) fn snapshot(wasm: &[u8]) -> Result<Vec<u8>> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument(wasm)?;
    let engine = Engine::default();
    let module = Module::new(&engine, &instrumented)?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("wasi_snapshot_preview1", "clock_time_get", |_: u32, _: u64, _: u32| 0)?;
    linker.define_unknown_imports_as_traps(&module)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    for function in ["_initialize", START] {
        instance.get_typed_func::<(), ()>(&mut store, function)?.call(&mut store, ())?;
    }
    let mut state = State { store, instance };
    // Nothing here waits: the future is ready when it is first polled.
    let mut snapshot = std::pin::pin!(wizer.snapshot(&context, &mut state));
    match snapshot.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(wasm) => wasm.map_err(Error::from),
        std::task::Poll::Pending => Err("the snapshot waits for something".into()),
    }
}

struct State {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name).expect("the instrumented module exports it");
        match global.get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(value) => SnapshotVal::F32(value),
            Val::F64(value) => SnapshotVal::F64(value),
            other => panic!("a global of a type that C does not make: {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("the instrumented module exports it");
        contents(memory.data(&self.store));
    }
}
