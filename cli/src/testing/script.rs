//! One test, turn by turn.

use std::{path::PathBuf, sync::Arc};

use chrono::DateTime;
use indexmap::IndexMap;
use liteagent_engine::{
    capability::{Code, Secrets},
    engine::{EngineError, Start},
    event::SignalTo,
    id::RunId,
    node::{ANSWER, Registry},
    time::Clock as _,
    units::{Duration, Millis},
    value::Value,
};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{
    cassette::{Cassette, Recording},
    deck::Load,
    expect::{self, Found},
    file::{Answer, Crash, Expect, Fakes, Signal, Status, Test, Trigger, Turn},
    fire::fire,
    live::Live,
    lookup::Lookup,
    matching::Mismatch,
    path::shown,
    read::Suite,
    report::trace,
    world::{Trouble, World},
};

/// `2026-03-01T09:00:00Z`
const BEGIN: Millis = 1_772_355_600_000;
const CONVERSATION: &str = "test";

/// What came of a test.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The workflow.
    pub(crate) workflow: String,
    /// The test.
    pub(crate) name: String,
    /// The file and the line of the test.
    pub(crate) place: String,
    /// What was not as expected; empty when it passed.
    pub(crate) failures: Vec<Mismatch>,
    /// The nodes of the last run, for who looks for the cause.
    pub(crate) trace: Vec<String>,
    /// The file of the test.
    pub(crate) file: PathBuf,
    /// What `--update` writes: pointers into the file, and what was found there.
    pub(crate) updates: Vec<(String, Json)>,
    /// What was recorded, when everything was.
    pub(crate) recording: Option<Recording>,
    /// How long it took, in milliseconds of the machine's clock.
    pub(crate) took: Millis,
}

/// Runs a test in a world of its own. Code of the workflow is run by `code`: it reaches nothing outside. With `live`, a test
/// that uses a cassette records it.
pub(crate) fn run(
    suite: &Suite,
    test: &Test,
    registry: &Registry,
    code: &Arc<dyn Code>,
    live: Option<&Arc<Live>>,
) -> Verdict {
    let watch = liteagent_engine::time::SystemClock;
    let begin = watch.now();
    let mut verdict = Verdict {
        workflow: suite.bundle.entry.clone(),
        name: test.name.clone(),
        place: suite.place(test),
        failures: Vec::new(),
        trace: Vec::new(),
        file: suite.path.clone(),
        updates: Vec::new(),
        recording: None,
        took: 0,
    };
    match Script::new(suite, test, registry, code, live) {
        Ok(mut script) => {
            let played = script.play(test);
            let is_whole = played.is_ok() && script.is_whole;
            if let Err(trouble) = played {
                script.failures.extend(script.world.fakes.take_faults());
                script.failures.push(Mismatch::new("the run", "to go on", trouble));
            }
            if let Some(deck) = &script.world.deck {
                if script.failures.is_empty() {
                    script.failures.extend(deck.unused());
                }
                verdict.recording = (deck.records() && is_whole).then(|| deck.take_recording());
            }
            verdict.trace = script.trace();
            verdict.updates = script.updates;
            verdict.failures = script.failures;
        }
        Err(trouble) => verdict.failures.push(Mismatch::new("the test", "to begin", trouble)),
    }
    verdict.took = watch.now() - begin;
    verdict
}

struct Script<'a> {
    suite: &'a Suite,
    lookup: Lookup<'a>,
    world: World,
    run: Option<RunId>,
    /// How many runs were started.
    begun: u32,
    failures: Vec<Mismatch>,
    /// Whether nothing happened that must not, and every call was answered.
    is_whole: bool,
    updates: Vec<(String, Json)>,
}

/// What a turn does, wherever it is written.
struct Step<'t> {
    begin: Option<Begin<'t>>,
    fakes: &'t Fakes,
    crash: Option<&'t Crash>,
    advance: Option<Millis>,
    signal: Option<&'t Signal>,
    expect: Option<&'t Expect>,
    /// What stands before a field in messages: `turn 2: `.
    label: String,
    /// Where it stands in the file.
    pointer: String,
}

/// How a run begins.
struct Begin<'t> {
    say: Option<&'t str>,
    inputs: Option<&'t Map<String, Json>>,
    trigger: Option<&'t Trigger>,
}

impl<'a> Script<'a> {
    fn new(
        suite: &'a Suite,
        test: &'a Test,
        registry: &'a Registry,
        code: &Arc<dyn Code>,
        live: Option<&Arc<Live>>,
    ) -> Result<Self, Trouble> {
        let defaults = &suite.file.defaults;
        let at = defaults.clock.as_deref().map_or(Ok(BEGIN), moment)?;
        let live = live.filter(|_| suite.file.uses_cassette(test));
        let secrets = Arc::new(secrets(defaults.secrets.clone(), live));
        let deck = suite.file.uses_cassette(test).then(|| Load {
            live,
            recording: suite.cassette.tests.get(&test.name),
            secrets: &secrets,
            registry,
            file: Cassette::path(&suite.path).display().to_string(),
            again: format!("to record it: `liteagent test {} --record --filter '{}'`", suite.path.display(), test.name),
        });
        let world = World::new(registry.clone(), code.clone(), secrets.clone(), at, deck)?;
        world.fakes.add(&defaults.fakes);
        world.fakes.add(&test.fakes);
        let lookup = Lookup::new(&suite.bundle, registry);
        let (failures, updates) = (Vec::new(), Vec::new());
        Ok(Self { suite, lookup, world, run: None, begun: 0, failures, is_whole: true, updates })
    }

    fn play(&mut self, test: &Test) -> Result<(), Trouble> {
        let none = Fakes::new();
        let position = self.suite.file.tests.iter().position(|other| std::ptr::eq(other, test)).unwrap_or_default();
        let pointer = format!("/tests/{position}");
        let Some(turns) = &test.turns else {
            let begin = Begin { say: None, inputs: test.inputs.as_ref(), trigger: test.trigger.as_ref() };
            return self.step(
                test,
                &Step {
                    begin: Some(begin),
                    fakes: &none,
                    crash: test.crash.as_ref(),
                    advance: test.advance.map(Duration::millis),
                    signal: test.signal.as_ref(),
                    expect: test.expect.as_ref(),
                    label: String::new(),
                    pointer: pointer.clone(),
                },
            );
        };
        for (index, turn) in turns.iter().enumerate() {
            let failures = self.failures.len();
            self.step(test, &Step::of(turn, index, self.run.is_none(), &pointer))?;
            if self.failures.len() > failures {
                // What follows stands on what is wrong already.
                return Ok(());
            }
        }
        Ok(())
    }

    fn step(&mut self, test: &Test, step: &Step<'_>) -> Result<(), Trouble> {
        if let Some(begin) = &step.begin {
            self.world.fakes.clear();
            self.world.fakes.add(&self.suite.file.defaults.fakes);
            self.world.fakes.add(&test.fakes);
            self.world.fakes.add(step.fakes);
            self.world.seen.crash_after(step.crash.map(|crash| crash.after.as_str()));
            self.begun += 1;
            self.run = Some(self.begin(test, begin)?);
        } else {
            self.world.fakes.add(step.fakes);
            self.world.seen.crash_after(step.crash.map(|crash| crash.after.as_str()));
        }
        let run = self.run.ok_or("no run was started")?;
        self.world.rest(run, None)?;
        if let Some(by) = step.advance {
            let until = self.world.clock.now().saturating_add(by);
            self.world.rest(run, Some(until))?;
        }

        let before = step.expect.is_some_and(Expect::is_of_waiting);
        if before {
            self.check(step)?;
        }
        if let Some(signal) = step.signal {
            self.signal(run, signal)?;
            self.world.rest(run, None)?;
        }
        if !before {
            self.check(step)?;
        }
        if self.world.seen.crash_is_due() {
            let after = step.crash.map(|crash| crash.after.clone()).unwrap_or_default();
            self.failures.push(Mismatch::new(
                format!("{}crash.after", step.label),
                format!("`{after}` to end well"),
                "it did not, so nothing crashed",
            ));
        }
        Ok(())
    }

    /// Starts a run.
    fn begin(&self, test: &Test, begin: &Begin<'_>) -> Result<RunId, Trouble> {
        // The same each time: what a node sends may hold it.
        let id = RunId::child(RunId(Uuid::nil()), &test.name, self.begun);
        let mut start = if let Some(trigger) = begin.trigger {
            fire(&self.suite.bundle, id, trigger, self.world.clock.now())?
        } else {
            let api = json!({ "type": "api" });
            Start { id: Some(id), ..Start::new(self.suite.bundle.clone(), Value::object(), api.into()) }
        };
        let mut inputs = start.inputs.as_object().cloned().unwrap_or_default();
        let given = begin.inputs.into_iter().flatten();
        inputs.extend(given.map(|(name, value)| (name.as_str().into(), Value::from(value.clone()))));
        if let Some(say) = begin.say {
            inputs.insert("message".into(), say.into());
        }
        start.inputs = Value::Object(Arc::new(inputs));
        let chat = self.suite.bundle.entry().is_some_and(|entry| entry.conversation.is_some());
        start.conversation = chat.then(|| CONVERSATION.to_owned());
        self.world.start(start).map_err(|error| match error {
            EngineError::Inputs { workflow, misfits } => {
                let all: Vec<_> =
                    misfits.iter().map(|misfit| format!("`inputs{}`: {}", misfit.pointer, misfit.message)).collect();
                format!("the inputs do not fit `{workflow}`: {}", all.join("; "))
            }
            EngineError::MissingSecret(name) => {
                format!("the secret `{name}` is missing; add it: `defaults: {{ secrets: {{ {name}: test }} }}`")
            }
            other => other.to_string(),
        })
    }

    fn signal(&self, run: RunId, signal: &Signal) -> Result<(), Trouble> {
        let payload = |json: &Json| Value::from(json.clone());
        match signal {
            Signal::Name(to) => self.world.signal(run, SignalTo::Name(to.name.clone()), payload(&to.payload)),
            Signal::Node(to) => {
                let (run, node) = self.locate(&to.node).unwrap_or((run, to.node.clone()));
                self.world.signal(run, SignalTo::Node(node), payload(&to.payload))
            }
            Signal::Action(Answer(answer)) => {
                let found = self.found()?;
                let asks: Vec<_> = found.waits.iter().filter(|(_, wait)| !wait.ask.is_null()).collect();
                let [(path, _)] = asks.as_slice() else {
                    let paths: Vec<_> = asks.iter().map(|(path, _)| path.as_str()).collect();
                    return Err(match paths.as_slice() {
                        [] => "no `human-input` waits for the signal".to_owned(),
                        _ => format!(
                            "several nodes wait for a person ({}); name one: `signal: {{ node: {}, payload: {{ action: ... }} }}`",
                            paths.join(", "),
                            paths[0]
                        ),
                    });
                };
                let (run, node) = self.locate(path).ok_or("the node that waits is gone")?;
                let (action, form) = answer.first().ok_or("the signal names no action")?;
                let payload = json!({ "action": action, "form": form.clone().unwrap_or_default() });
                self.world.signal(run, SignalTo::Node(node), payload.into())
            }
        }
    }

    /// The run of a node, and its path there.
    fn locate(&self, path: &str) -> Option<(RunId, String)> {
        let runs = self.world.seen.runs();
        let inside = runs.iter().filter_map(|(run, before)| Some((*run, path.strip_prefix(before.as_str())?)));
        inside.min_by_key(|(_, rest)| rest.len()).map(|(run, rest)| (run, rest.to_owned()))
    }

    fn check(&mut self, step: &Step<'_>) -> Result<(), Trouble> {
        let found = self.found()?;
        let mut failures = self.world.fakes.take_faults();
        self.is_whole &= failures.is_empty();
        failures.extend(expect::check(step.expect, &found));
        let updates = step.expect.map(|expect| expect::updates(expect, &found)).unwrap_or_default();
        self.updates
            .extend(updates.into_iter().map(|(below, value)| (format!("{}/expect{below}", step.pointer), value)));
        self.failures.extend(failures.into_iter().map(|mut failure| {
            failure.field = format!("{}{}", step.label, failure.field);
            failure
        }));
        Ok(())
    }

    fn found(&self) -> Result<Found, Trouble> {
        let run = self.run.ok_or("no run was started")?;
        let mut nodes = IndexMap::new();
        let mut workflows = Vec::new();
        let mut end = None;
        for (id, before) in self.world.seen.runs() {
            // A child that its parent was about to start when the process died is not there yet.
            let Ok(view) = self.world.view(id) else { continue };
            if id == run {
                end = view.end;
            } else {
                workflows.push(view.workflow);
            }
            nodes.extend(view.nodes.into_iter().map(|(path, node)| (format!("{before}{}", shown(&path)), node)));
        }
        let mut found = Found::new(end, nodes, workflows, self.world.fakes.calls());
        found.prompts = self.world.fakes.prompts();
        found.tools = self.world.fakes.tools();
        found.answer = found.say(&self.lookup.paths_of(ANSWER));
        Ok(found)
    }

    fn trace(&self) -> Vec<String> {
        self.found().map(|found| trace(&found.nodes)).unwrap_or_default()
    }
}

/// The secrets of a test: those of its file. When it is recorded, those of this machine stand in their places.
fn secrets(own: IndexMap<String, String>, live: Option<&Arc<Live>>) -> Secrets {
    let Some(live) = live else { return Secrets::new(own) };
    let names = live.secrets.names();
    let real = names.iter().filter_map(|name| Some((name.clone(), live.secrets.get(name)?.to_string())));
    let ruled =
        names.union(&live.secrets.ruled()).map(|name| (name.clone(), live.secrets.rules(name))).collect::<Vec<_>>();
    Secrets::new(own.into_iter().chain(real)).with_rules(ruled)
}

impl<'t> Step<'t> {
    fn of(turn: &'t Turn, index: usize, first: bool, test: &str) -> Self {
        let begins = first || turn.say.is_some() || turn.inputs.is_some();
        Self {
            begin: begins.then_some(Begin { say: turn.say.as_deref(), inputs: turn.inputs.as_ref(), trigger: None }),
            fakes: &turn.fakes,
            crash: turn.crash.as_ref(),
            advance: turn.advance.map(Duration::millis),
            signal: turn.signal.as_ref(),
            expect: turn.expect.as_ref(),
            label: format!("turn {}: ", index + 1),
            pointer: format!("{test}/turns/{index}"),
        }
    }
}

impl Expect {
    /// Whether it speaks of a run that waits.
    fn is_of_waiting(&self) -> bool {
        self.status == Some(Status::Waiting) || self.status.is_none() && self.waiting_for.is_some()
    }
}

/// The moment in a test file.
pub(super) fn moment(text: &str) -> Result<Millis, Trouble> {
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.timestamp_millis())
        .map_err(|_| format!("expected a moment such as `2026-03-01T09:00:00Z`, found `{text}`"))
}
