//! A process that the crash tests kill: it starts runs, executes whatever someone should take, and ends when all
//! have ended. `crash-worker FOLDER SERVER BATCH` starts the runs of a batch; the batch `poison` has one that ends
//! every process which executes it. `crash-worker FOLDER SERVER alone RUN` executes one run and nothing else.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use liteagent_backends::{Backends, Reserve, SqliteOptions};
use liteagent_engine::{
    capability::Capabilities,
    engine::{Engine, EngineConfig, Quarantine, Start},
    id::{Digest, RunId},
    node::prelude::*,
    store::{Idempotency, RunFilter, RunPhase},
    time::SystemClock,
    units,
    value::Value,
};
use liteagent_nodes::egress::{Egress, EgressPolicy};
use liteagent_tests::crash;
use tokio::{io::AsyncReadExt as _, process::Command};

/// Ends the process.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DieConfig {}

/// Nothing.
#[derive(Debug, Serialize, JsonSchema)]
struct DieOutput {}

/// A node that ends the process which runs it, as a fault in native code would.
#[derive(Debug)]
struct Die;

impl Node for Die {
    const TYPE: &'static str = "die";
    const META: NodeMeta = NodeMeta { effect: Effect::AtLeastOnce, ..NodeMeta::pure(Family::Io, &[]) };
    type Config = DieConfig;
    type Output = DieOutput;

    fn new(_: DieConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn run(&self, _: &NodeCtx) -> Result<Outcome<DieOutput>, NodeError> {
        std::process::abort()
    }
}

/// Starts this program again for one run.
struct Ward {
    folder: String,
    server: String,
}

#[async_trait]
impl Quarantine for Ward {
    async fn execute(&self, run: RunId) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args([&self.folder, &self.server, "alone", &run.to_string()]).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        child.wait().await.map_err(|error| error.to_string())?;
        drop(stdin);
        Ok(())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, server, batch, rest @ ..] = arguments.as_slice() else {
        panic!("usage: crash-worker FOLDER SERVER BATCH | crash-worker FOLDER SERVER alone RUN")
    };
    let options = SqliteOptions { lease: crash::LEASE, reserve: Reserve::NONE };
    let backends = liteagent_backends::open(&PathBuf::from(folder), options).await.expect("the store opens");
    let config = config(&backends, folder, server);
    if let ("alone", [run]) = (batch.as_str(), rest) {
        let run = run.parse().expect("the id of a run");
        let engine = Engine::open_alone(config, run).await.expect("the engine opens");
        execute_alone(&engine, run).await;
        engine.close().await.expect("the session closes");
        // A thread may still read stdin, which ends only with the process that started this one.
        std::process::exit(0);
    }
    let engine = Engine::open(config).await.expect("the engine opens");
    let mut workflows = crash::workflows(server);
    if batch == "poison" {
        workflows.push(("poison", crash::poison(server)));
    }
    for (name, bundle) in workflows {
        // The same key for every life of this process: a run is started once, however often it is killed.
        let idempotency = Idempotency {
            caller: "crash-worker".to_owned(),
            key: format!("{name}-{batch}"),
            body: Digest::of(name.as_bytes()),
        };
        let trigger = Value::from_pairs([("type", Value::from("test"))]);
        let start = Start { idempotency: Some(idempotency), ..Start::new(bundle, Value::object(), trigger) };
        engine.start(start).await.expect("the run starts");
    }
    loop {
        engine.poll().await.expect("the store answers");
        let mut open = 0;
        for phase in [RunPhase::Queued, RunPhase::Running, RunPhase::Waiting] {
            let filter = RunFilter { phase: Some(phase), ..RunFilter::default() };
            open += backends.stores.journal.runs(filter).await.expect("the store answers").len();
        }
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.close().await.expect("the session closes");
}

fn config(backends: &Backends, folder: &str, server: &str) -> EngineConfig {
    let policy = EgressPolicy::parse([server]).expect("the server's address is well-formed");
    let caps = Capabilities {
        http: Some(Arc::new(Egress::new(policy))),
        files: Some(backends.files.clone()),
        kv: Some(backends.kv.clone()),
        ..Capabilities::default()
    };
    EngineConfig {
        registry: liteagent_nodes::registry().with::<Die>(),
        stores: backends.stores.clone(),
        caps: Arc::new(caps),
        clock: Arc::new(SystemClock),
        observer: None,
        hold: units::Duration::from_secs(10),
        quarantine: Some(Arc::new(Ward { folder: folder.to_owned(), server: server.to_owned() })),
        fleet: None,
    }
}

/// Until the run rests, or the process that started this one has gone.
async fn execute_alone(engine: &Engine, run: RunId) {
    engine.resume(run).await.expect("the run can go on");
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    tokio::select! {
        settled = engine.settled(run) => drop(settled),
        _ = stdin.read(&mut ignored) => {}
    }
}
