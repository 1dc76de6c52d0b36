//! Stands in for nodes, and counts how often each is called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use liteagent_engine::{
    codes,
    engine::{Attempt, Intercept, StandIn},
    error::{Code, ErrorClass, NodeError},
    id::RunId,
    node::{Effect, Outcome},
    time::{Clock, VirtualClock},
    units::{Duration, Millis},
    value::Value,
};
use schemars::Schema;
use serde_json::{Map, Value as Json, json};

use super::{
    deck::Deck,
    file::{self, Fail, Fake, FakeCalls},
    matching::Mismatch,
    path::Pattern,
    seen::Seen,
};

/// Stands in for the nodes of a test.
pub(super) struct Fakes {
    clock: Arc<VirtualClock>,
    seen: Arc<Seen>,
    /// What nodes call that are not faked.
    deck: Option<Arc<Deck>>,
    state: Mutex<State>,
}

/// What a question to a model leads to.
pub(super) enum Asked {
    /// The fake that answers, which call of it this is, and when it is heard.
    Fake(Box<Fake>, u32, Millis),
    /// No fake stands in for the model of the node at this path.
    Nobody(String),
}

#[derive(Default)]
struct State {
    entries: IndexMap<String, Entry>,
    calls: IndexMap<String, u32>,
    /// When the attempts end that were begun.
    ends: Vec<Millis>,
    faults: Vec<Mismatch>,
    /// What models were asked: the path of the node, and the conversation as text.
    prompts: Vec<(String, String)>,
    /// The tools that models called, with their arguments.
    tools: Vec<(String, Json)>,
}

struct Entry {
    pattern: Pattern,
    calls: FakeCalls,
    used: u32,
}

impl Fakes {
    pub(super) fn new(clock: Arc<VirtualClock>, seen: Arc<Seen>, deck: Option<Arc<Deck>>) -> Self {
        Self { clock, seen, deck, state: Mutex::default() }
    }

    /// The path of a node as tests write it.
    pub(super) fn path(&self, run: RunId, node: &str) -> String {
        self.seen.path(run, node)
    }

    /// Forgets every fake and every call.
    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// Adds fakes; one for the same path is replaced.
    pub(super) fn add(&self, fakes: &file::Fakes) {
        let mut state = self.state();
        for (path, calls) in fakes {
            let entry = Entry { pattern: Pattern::new(path), calls: calls.clone(), used: 0 };
            state.entries.insert(path.clone(), entry);
        }
    }

    /// How often each node was called, by path.
    pub(super) fn calls(&self) -> IndexMap<String, u32> {
        self.state().calls.clone()
    }

    /// What must not have happened.
    pub(super) fn take_faults(&self) -> Vec<Mismatch> {
        let mut faults = std::mem::take(&mut self.state().faults);
        faults.extend(self.deck.iter().flat_map(|deck| deck.take_faults()));
        faults
    }

    /// What the model of the node at a path says to this question.
    pub(super) fn asked(&self, run: RunId, node: &str, prompt: String) -> Result<Asked, NodeError> {
        let path = self.seen.path(run, node);
        let now = self.clock.now();
        let mut state = self.state();
        let fitting = state.entries.values_mut().filter(|entry| entry.pattern.fits(&path));
        let entry = fitting.filter(|entry| entry.calls.are_of_models()).max_by_key(|entry| entry.pattern.exactness());
        let next = entry.map(|entry| (entry.next(), entry.used - 1));
        state.prompts.push((path.clone(), prompt));
        let Some((next, calls)) = next else { return Ok(Asked::Nobody(path)) };
        let Some((fake, call)) = next else { return Err(state.used_up(&path, calls)) };
        let at = now.saturating_add(fake.delay.map_or(0, Duration::millis));
        state.ends.push(at);
        if !fake.fails(call) {
            state.tools.extend(fake.call.as_ref().map(file::Calls::pairs).unwrap_or_default());
        }
        Ok(Asked::Fake(Box::new(fake), call, at))
    }

    /// Takes in the tools that a model called that is not faked.
    pub(super) fn called(&self, tools: impl Iterator<Item = (String, Json)>) {
        self.state().tools.extend(tools);
    }

    /// What models were asked: the path of the node, and the conversation as text.
    pub(super) fn prompts(&self) -> Vec<(String, String)> {
        self.state().prompts.clone()
    }

    /// The tools that models called, with their arguments.
    pub(super) fn tools(&self) -> Vec<(String, Json)> {
        self.state().tools.clone()
    }

    /// When the next attempt ends that takes its time.
    pub(super) fn next_end(&self) -> Option<Millis> {
        let now = self.clock.now();
        let mut state = self.state();
        state.ends.retain(|end| *end > now);
        state.ends.iter().min().copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Fakes {
    fn attempt(&self, attempt: &Attempt<'_>) -> Option<StandIn> {
        if self.seen.is_dead() {
            return Some(StandIn { at: Millis::MAX, result: Err(NodeError::internal("the process is dead")) });
        }
        let path = self.seen.path(attempt.run, attempt.path);
        let mut state = self.state();
        *state.calls.entry(path.clone()).or_default() += 1;
        let now = self.clock.now();
        let fitting = state.entries.values_mut().filter(|entry| entry.pattern.fits(&path));
        let Some(entry) = fitting.max_by_key(|entry| entry.pattern.exactness()) else {
            if attempt.effect == Effect::Pure || self.deck.as_ref().is_some_and(|deck| deck.plays(attempt.kind)) {
                return None;
            }
            let fault = not_faked(&path, attempt);
            let expected = format!("a fake; {}", fault.hint.as_deref().unwrap_or_default());
            state.faults.push(Mismatch::new(&path, expected, "none, so it did not run"));
            return Some(StandIn { at: now, result: Err(fault) });
        };
        if entry.calls.are_of_models() {
            return None;
        }
        let (next, calls) = (entry.next(), entry.used - 1);
        let Some((fake, call)) = next else {
            return Some(StandIn { at: now, result: Err(state.used_up(&path, calls)) });
        };
        let at = now.saturating_add(fake.delay.map_or(0, Duration::millis));
        let result = outcome(&fake, call, attempt);
        state.ends.push(attempt.deadline.map_or(at, |deadline| deadline.min(at)));
        Some(StandIn { at, result })
    }
}

impl State {
    /// A call for which nothing is left: it fails the test.
    fn used_up(&mut self, path: &str, calls: u32) -> NodeError {
        let fault = used_up(path, calls);
        let expected = format!("{}; {}", times(calls), fault.hint.as_deref().unwrap_or_default());
        self.faults.push(Mismatch::new(path, expected, "one more"));
        fault
    }
}

impl Entry {
    /// What answers the next call, and which call of that fake it is; `None` when there is nothing left.
    fn next(&mut self) -> Option<(Fake, u32)> {
        self.used += 1;
        self.calls.call(self.used).map(|(fake, call)| (fake.clone(), call))
    }
}

impl Fake {
    /// Whether this call of it, counted from 1, fails.
    pub(super) fn fails(&self, call: u32) -> bool {
        self.fail.as_ref().is_some_and(|fail| fail.times.is_none_or(|times| call <= times))
    }

    /// Whether it is what a model says.
    pub(super) fn is_of_model(&self) -> bool {
        self.text.is_some() || self.json.is_some() || self.call.is_some()
    }
}

impl FakeCalls {
    /// Whether the node runs and only its model is faked.
    fn are_of_models(&self) -> bool {
        match self {
            Self::All(fake) => fake.is_of_model(),
            Self::Each(fakes) => fakes.iter().any(Fake::is_of_model),
        }
    }

    /// What answers a call, counted from 1, and which call of that fake it is.
    fn call(&self, number: u32) -> Option<(&Fake, u32)> {
        match self {
            Self::All(fake) => {
                let goes_on = fake.outputs.is_some() || fake.port.is_some() || fake.is_of_model();
                let most = fake.fail.as_ref().filter(|_| !goes_on).and_then(|fail| fail.times);
                most.is_none_or(|most| number <= most).then_some((fake, number))
            }
            Self::Each(fakes) => fakes.get(number as usize - 1).map(|fake| (fake, 1)),
        }
    }
}

fn outcome(fake: &Fake, call: u32, attempt: &Attempt<'_>) -> Result<Outcome<Value>, NodeError> {
    if let Some(fail) = fake.fail.as_ref().filter(|_| fake.fails(call)) {
        return Err(failure(fail));
    }
    let outputs = filled(fake.outputs.clone().unwrap_or_default(), &attempt.node.output_schema());
    let outputs = Value::from(Json::Object(outputs));
    Ok(match &fake.port {
        Some(port) => Outcome::Port(port.clone(), outputs),
        None => Outcome::Done(outputs),
    })
}

pub(super) fn failure(fail: &Fail) -> NodeError {
    let code = match &fail.code {
        None => codes::FAKED_FAILURE,
        Some(text) => codes::ALL.iter().map(|(code, _)| *code).find(|code| code.0 == text).unwrap_or_else(|| {
            // Codes live as long as the program; a test file holds few of them.
            Code(String::leak(text.clone()))
        }),
    };
    let message = fail.message.clone().unwrap_or_else(|| "the test lets it fail".to_owned());
    NodeError::new(code, fail.class, message)
}

/// The outputs with empty members where the test says nothing, so that templates see the members that a run has.
fn filled(mut outputs: Map<String, Json>, schema: &Schema) -> Map<String, Json> {
    let schema = schema.as_value();
    let properties = schema.get("properties").and_then(Json::as_object);
    for (name, of) in properties.into_iter().flatten() {
        match outputs.get_mut(name) {
            Some(given) => fill_nulls(schema, of, given),
            None => outputs.extend(empty(schema, of).map(|empty| (name.clone(), empty))),
        }
    }
    outputs
}

/// Deeper inside, only what may be `null` is filled in: `"string?"` of `returns`.
fn fill_nulls(root: &Json, schema: &Json, given: &mut Json) {
    let schema = resolve(root, schema);
    if let (Some(members), Some(of)) = (given.as_object_mut(), schema.get("properties").and_then(Json::as_object)) {
        for (name, of) in of {
            match members.get_mut(name) {
                Some(given) => fill_nulls(root, of, given),
                None => members.extend(empty(root, of).filter(Json::is_null).map(|null| (name.clone(), null))),
            }
        }
    }
}

fn resolve<'s>(root: &'s Json, schema: &'s Json) -> &'s Json {
    let reference = schema.get("$ref").and_then(Json::as_str);
    reference.and_then(|reference| root.pointer(reference.trim_start_matches('#'))).unwrap_or(schema)
}

/// The empty value of a type; a number has none.
fn empty(root: &Json, schema: &Json) -> Option<Json> {
    match resolve(root, schema).get("type").and_then(Json::as_str) {
        Some("string") => Some(json!("")),
        Some("array") => Some(json!([])),
        Some("object") => Some(json!({})),
        Some(_) => None,
        // A list of types with `null`, `anyOf` with it, or anything.
        None => Some(Json::Null),
    }
}

fn not_faked(path: &str, attempt: &Attempt<'_>) -> NodeError {
    let example = match attempt.kind {
        "llm" => "[{ text: What the model says. }]".to_owned(),
        "http-request" => "{ outputs: { status: 200, json: {} } }".to_owned(),
        _ => format!("{{ outputs: {} }}", example(&attempt.node.output_schema())),
    };
    NodeError::new(
        codes::NOT_FAKED,
        ErrorClass::Invalid,
        format!("`{path}` ({}) acts on the outside and is not faked, so it did not run", attempt.kind),
    )
    .hint(format!("add `{path}: {example}` under `fakes` of the test"))
}

fn example(schema: &Schema) -> String {
    let properties = schema.as_value().get("properties").and_then(Json::as_object);
    let member = |(name, of): (&String, &Json)| {
        let value = empty(schema.as_value(), of).unwrap_or_else(|| json!(1));
        format!("{name}: {value}")
    };
    let members: Vec<_> = properties.into_iter().flatten().take(4).map(member).collect();
    format!("{{ {} }}", members.join(", "))
}

fn times(calls: u32) -> String {
    if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") }
}

fn used_up(path: &str, calls: u32) -> NodeError {
    NodeError::new(
        codes::FAKES_USED_UP,
        ErrorClass::Invalid,
        format!("`{path}` was called more often than the test fakes: {}", times(calls)),
    )
    .hint("add an entry to the list, or write one fake without a list for every call")
}
