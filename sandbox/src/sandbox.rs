//! Admits calls and runs them.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use liteagent_sandbox_protocol::{Failure, Fault, Kind, Language, Limit, Mode, Reply, Request};
use tokio::{
    runtime::Runtime,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};
use wasmtime::{Engine, Store};

use crate::{
    Bounds, Config,
    guest::{self, Call, Guest},
    host::Host,
    meter::Metered,
    outcome::{self, Ended},
    text::size,
    ticker::Ticker,
};

const MIB: u64 = 1024 * 1024;

/// Runs untrusted code, each call in a fresh instance.
///
/// A call computes on the caller's thread for its first slice, a millisecond, and from then on on threads of the sandbox:
/// short calls pay for no change of threads, and long ones hold nobody up.
pub struct Sandbox {
    shared: Arc<Shared>,
    ticker: Ticker,
    /// Taken when the sandbox is dropped, which may happen where a runtime must not be waited for.
    runtime: Option<Runtime>,
}

struct Shared {
    config: Config,
    languages: [LanguageState; 2],
    /// A permit for each MiB of memory that calls in flight may have.
    memory: Arc<Semaphore>,
    waiting: AtomicUsize,
}

struct LanguageState {
    engine: Engine,
    guest: OnceCell<Arc<Guest>>,
    slots: Arc<Semaphore>,
}

/// The right of a call to run.
struct Admission {
    /// How long it waited for that.
    waited: Duration,
    _slot: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Sandbox {
    /// Makes a sandbox. Guests are loaded at their first call, or by [`Self::prepare`].
    ///
    /// # Errors
    /// When the configuration cannot be served by this machine.
    pub fn new(config: Config) -> Result<Self, Fault> {
        let languages =
            [LanguageState::new(Language::Python, &config)?, LanguageState::new(Language::JavaScript, &config)?];
        Self::start(config, languages)
    }

    /// Makes a sandbox that needs no file any more: it loads every guest on this thread, calls `seal`, and only then starts
    /// its threads, which inherit what `seal` gave up.
    ///
    /// # Errors
    /// When the configuration cannot be served by this machine, a guest cannot be loaded, or `seal` says so.
    pub fn sealed(config: Config, seal: impl FnOnce() -> Result<(), Fault>) -> Result<Self, Fault> {
        let loaded = |language| {
            let state = LanguageState::new(language, &config)?;
            let guest = OnceCell::new_with(Some(Arc::new(Guest::load(language, &state.engine, &config)?)));
            Ok(LanguageState { guest, ..state })
        };
        let languages = [loaded(Language::Python)?, loaded(Language::JavaScript)?];
        seal()?;
        Self::start(config, languages)
    }

    /// Compiles every guest for this machine where that was not done yet. Processes that are started afterwards need not.
    ///
    /// # Errors
    /// When a guest is not there, or the configuration cannot be served by this machine.
    pub fn compile(config: &Config) -> Result<(), Fault> {
        for language in Language::ALL {
            let state = LanguageState::new(language, config)?;
            Guest::load(language, &state.engine, config)?;
        }
        Ok(())
    }

    fn start(config: Config, languages: [LanguageState; 2]) -> Result<Self, Fault> {
        let ticker = Ticker::start(languages.iter().map(|state| state.engine.clone()).collect())
            .map_err(|error| failed("the sandbox cannot start a thread", error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("sandbox")
            .enable_time()
            .build()
            .map_err(|error| failed("the sandbox cannot start its threads", error))?;
        let memory = Arc::new(Semaphore::new((config.memory_in_flight / MIB) as usize));
        let shared = Arc::new(Shared { config, languages, memory, waiting: AtomicUsize::new(0) });
        Ok(Self { shared, ticker, runtime: Some(runtime) })
    }

    /// Loads a guest, so that the first call does not wait for it.
    ///
    /// # Errors
    /// When the guest is not there or cannot be loaded.
    pub async fn prepare(&self, language: Language) -> Result<(), Fault> {
        self.guest(language).await.map(drop)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Calls that wait to be admitted.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Calls that were admitted and go on.
    pub fn running(&self) -> usize {
        let most = self.shared.config.concurrency as usize;
        self.shared.languages.iter().map(|state| most - state.slots.available_permits()).sum()
    }

    /// Runs code. A call that is dropped ends at once.
    ///
    /// # Errors
    /// What went wrong, with what the code printed until then and what it used.
    pub async fn run(&self, request: Request) -> Reply {
        let before = |fault| Box::new(Failure::before(fault));
        let bounds = self.shared.config.bounds(&request.limits).map_err(before)?;
        check(&request, &bounds).map_err(before)?;
        let guest = self.guest(request.language).await.map_err(before)?;
        if bounds.memory < guest.least_memory {
            return Err(before(too_little_memory(&request, &bounds, &guest)));
        }
        let admission = self.shared.admit(request.language, &bounds).await.map_err(before)?;

        let running = self.ticker.running();
        let engine = self.shared.language(request.language).engine.clone();
        let runtime = self.runtime();
        let call = async move {
            let ended = run(guest, engine, request, bounds, runtime).await;
            let waited = admission.waited;
            drop((admission, running));
            outcome::reply(ended, &bounds, waited)
        };
        self.first_slice_here(call).await
    }

    /// Polls once where the caller is, and goes on elsewhere if that was not enough.
    async fn first_slice_here(&self, call: impl Future<Output = Reply> + Send + 'static) -> Reply {
        let mut call = Box::pin(call);
        let first = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        let Poll::Pending = first else {
            return match first {
                Poll::Ready(reply) => reply,
                Poll::Pending => unreachable!("matched above"),
            };
        };
        let task = AbortOnDrop(self.runtime().spawn(call));
        let mut task = pin!(task);
        let ended = std::future::poll_fn(|context| pin!(&mut task.0).poll(context)).await;
        ended.unwrap_or_else(|error| Err(Box::new(Failure::before(died(&error)))))
    }

    async fn guest(&self, language: Language) -> Result<Arc<Guest>, Fault> {
        let state = self.shared.language(language);
        let load = || async {
            let shared = Arc::clone(&self.shared);
            let load = move || Guest::load(language, &shared.language(language).engine, &shared.config).map(Arc::new);
            self.runtime().spawn_blocking(load).await.unwrap_or_else(|error| Err(died(&error)))
        };
        state.guest.get_or_try_init(load).await.cloned()
    }

    fn runtime(&self) -> tokio::runtime::Handle {
        self.runtime.as_ref().expect("it is there until the sandbox is dropped").handle().clone()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl LanguageState {
    fn new(language: Language, config: &Config) -> Result<Self, Fault> {
        let engine = guest::engine(language, config)
            .map_err(|error| failed("the sandbox cannot be configured so", format_args!("{error:#}")))?;
        Ok(Self { engine, guest: OnceCell::new(), slots: Arc::new(Semaphore::new(config.concurrency as usize)) })
    }
}

impl Shared {
    fn language(&self, language: Language) -> &LanguageState {
        &self.languages[match language {
            Language::Python => 0,
            Language::JavaScript => 1,
        }]
    }

    /// Waits for a slot and for memory, in a queue that is not endless.
    #[expect(clippy::disallowed_methods, reason = "how long a call waited is a figure, not a decision of a run")]
    async fn admit(&self, language: Language, bounds: &Bounds) -> Result<Admission, Fault> {
        let slots = &self.language(language).slots;
        let pages = bounds.memory.div_ceil(MIB) as u32;
        let at_once = || {
            let slot = Arc::clone(slots).try_acquire_owned().ok()?;
            let memory = Arc::clone(&self.memory).try_acquire_many_owned(pages).ok()?;
            Some(Admission { waited: Duration::ZERO, _slot: slot, _memory: memory })
        };
        if let Some(admission) = at_once() {
            return Ok(admission);
        }
        let _waiting = Waiting::enter(&self.waiting, self.config.queue)?;
        let since = Instant::now();
        let closed = |_| Fault::new(Kind::Sandbox, "the sandbox is stopping");
        let slot = Arc::clone(slots).acquire_owned().await.map_err(closed)?;
        let memory = Arc::clone(&self.memory).acquire_many_owned(pages).await.map_err(closed)?;
        Ok(Admission { waited: since.elapsed(), _slot: slot, _memory: memory })
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, most: usize) -> Result<Self, Fault> {
        let place = Self(count); // gives its place back also when there was none
        if count.fetch_add(1, Ordering::SeqCst) >= most {
            return Err(Fault::new(Kind::Busy, format!("too many requests: {most} calls wait already"))
                .hint("try again later, or raise the concurrency of the sandbox"));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop(tokio::task::JoinHandle<Reply>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs an admitted call under its limits.
async fn run(
    guest: Arc<Guest>,
    engine: Engine,
    request: Request,
    bounds: Bounds,
    runtime: tokio::runtime::Handle,
) -> Ended {
    let host = Host::new(bounds.memory as usize, bounds.log as usize);
    let mut store = Store::new(&engine, host);
    store.limiter(|host| host);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let script = request.mode == Mode::Script;
    let (answer, times) = {
        let call = Call { script, code: &request.code, inputs: request.inputs.get() };
        Metered::new(guest.run(&mut store, call, bounds.output as usize), runtime, bounds.wall, bounds.cpu).await
    };
    Ended { answer, times, host: store.into_data(), script }
}

/// What can be said of a request before anything runs.
fn check(request: &Request, bounds: &Bounds) -> Result<(), Fault> {
    let input = (request.code.len() + request.inputs.get().len()) as u64;
    if input > bounds.input {
        let message = format!("the code and its inputs are {input} bytes; the limit `input` is {}", size(bounds.input));
        return Err(Fault::limit(Limit::Input, message));
    }
    outcome::json_object(request.inputs.get().as_bytes())
        .map_err(|why| Fault::new(Kind::Request, format!("the inputs cannot be passed: {why}")))
}

fn too_little_memory(request: &Request, bounds: &Bounds, guest: &Guest) -> Fault {
    Fault {
        limit: Some(Limit::Memory),
        ..Fault::new(
            Kind::Request,
            format!(
                "the limit `memory` is {}; {} needs {} before it runs anything",
                size(bounds.memory),
                request.language,
                size(guest.least_memory)
            ),
        )
    }
}

fn failed(what: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Kind::Sandbox, format!("{what}: {error}"))
}

fn died(error: &JoinError) -> Fault {
    Fault::new(Kind::Sandbox, format!("the sandbox failed: {error}"))
}
