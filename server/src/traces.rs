//! Traces, as OpenTelemetry has them: requests, the runs that they start, attempts of nodes, and calls of models.
//!
//! The trace of a run has the id of the run, or the one that a caller's `traceparent` names and the run keeps in its
//! trigger; the ids of its spans follow from run, node and attempt. So a process that takes the run over goes on with its trace,
//! and a call of a model finds the span of its node without anything being handed on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use liteagent_engine::{
    capability::{Http, ModelCall, Watcher},
    engine::{AttemptEnd, Observer, RunEnd, RunTaken},
    event::{Event, Record},
    id::RunId,
    store::Parent,
    time::Clock,
    units::Millis,
};
use opentelemetry::{
    KeyValue,
    trace::{SpanId, SpanKind, Status, TraceId},
};

pub use self::settings::TraceSettings;
use self::{context::Context, queue::Queue, settings::Sampling, span::Span};
pub(crate) use self::{
    context::{join, run_of_request},
    request::trace,
};
use crate::{accounts::Refused, metrics::Metrics};

mod context;
mod model;
mod queue;
mod request;
mod settings;
mod span;

/// Watches requests, runs and calls of models, and sends what it saw to a collector. Nothing waits for that.
pub struct Traces {
    queue: Queue,
    sampling: Sampling,
    with_content: bool,
    clock: Arc<dyn Clock>,
    /// The runs that are executed here.
    here: Mutex<HashMap<RunId, Here>>,
}

/// A run that is executed here.
struct Here {
    /// Its place in its trace: the span above it.
    context: Context,
    started_at: Millis,
    /// Attempts of nodes that are not the first.
    attempts: HashMap<String, u32>,
}

impl Traces {
    /// Begins to send traces with this client, which must be allowed to reach the collector.
    ///
    /// # Errors
    /// LA4601 when a setting cannot be used.
    pub fn open(
        settings: &TraceSettings,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, Refused> {
        Ok(Arc::new(Self {
            queue: Queue::open(settings, http, metrics)?,
            sampling: settings.sampling()?,
            with_content: settings.with_content,
            clock,
            here: Mutex::default(),
        }))
    }

    /// Sends what is left, for at most this long.
    pub async fn close(&self, most: Duration) {
        self.queue.close(most).await;
    }

    fn here(&self) -> MutexGuard<'_, HashMap<RunId, Here>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A span that ends now.
    fn ended(&self, context: Context, id: SpanId, name: String, kind: SpanKind, took: Duration) -> Span {
        let end = self.now();
        Span {
            context,
            id,
            name,
            kind,
            start: end.checked_sub(took).unwrap_or(end),
            end,
            failed: None,
            attributes: Vec::new(),
        }
    }

    fn now(&self) -> SystemTime {
        at(self.clock.now())
    }

    fn send(&self, span: Span) {
        if span.context.is_sampled {
            self.queue.send(span.data());
        }
    }

    /// The place of a run in its trace.
    fn context_of(&self, run: RunId, taken: &RunTaken<'_>) -> Context {
        let told = taken.trigger.get(context::TRACEPARENT).and_then(liteagent_engine::value::Value::as_str);
        let told = told.and_then(Context::parse);
        match taken.parent {
            Some(parent) => self.below(parent, told),
            None => told.unwrap_or_else(|| {
                let trace = trace_of(run);
                Context { trace, parent: SpanId::INVALID, is_remote: false, is_sampled: self.sampling.of_root(trace) }
            }),
        }
    }

    /// The place of a run that a node of another one started: below that node, in the same trace.
    fn below(&self, parent: &Parent, told: Option<Context>) -> Context {
        let above = told.or_else(|| self.here().get(&parent.run).map(|here| here.context));
        let trace = above.map_or_else(|| trace_of(parent.run), |above| above.trace);
        let is_sampled = above.map_or_else(|| self.sampling.of_root(trace), |above| above.is_sampled);
        let parent = span::of_node(parent.run, &parent.node, parent.attempt);
        Context { trace, parent, is_remote: false, is_sampled }
    }
}

/// The trace of a run that no caller's trace is about.
fn trace_of(run: RunId) -> TraceId {
    TraceId::from_bytes(run.0.into_bytes())
}

/// A moment, as the kernel of OpenTelemetry wants it.
fn at(millis: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl Observer for Traces {
    fn record(&self, run: RunId, record: &Record) {
        if let Event::NodeStarted { node, attempt, .. } = &record.event
            && *attempt > 1
            && let Some(here) = self.here().get_mut(&run)
        {
            here.attempts.insert(node.clone(), *attempt);
        }
    }

    fn taken(&self, run: RunId, taken: &RunTaken<'_>) {
        let context = self.context_of(run, taken);
        self.here().insert(run, Here { context, started_at: taken.started_at, attempts: HashMap::new() });
    }

    fn left(&self, run: RunId, _: Duration) {
        self.here().remove(&run);
    }

    fn attempted(&self, run: RunId, attempt: &AttemptEnd<'_>) {
        if attempt.goes_on {
            return;
        }
        let Some(above) = self.here().get(&run).map(|here| here.context) else { return };
        let context = Context { parent: span::of_run(run), is_remote: false, ..above };
        let id = span::of_node(run, attempt.path, attempt.attempt);
        let mut span = self.ended(context, id, format!("node {}", attempt.kind), SpanKind::Internal, attempt.took);
        span.failed = attempt.failed.map(|(code, class)| (code.0, class.as_str()));
        span.attributes = vec![
            KeyValue::new("liteagent.run.id", run.to_string()),
            KeyValue::new("liteagent.node.path", attempt.path.to_owned()),
            KeyValue::new("liteagent.node.type", attempt.kind.to_owned()),
            KeyValue::new("liteagent.node.attempt", i64::from(attempt.attempt)),
        ];
        self.send(span);
    }

    fn ended(&self, run: RunId, workflow: &str, end: &RunEnd) {
        let Some((context, started_at)) = self.here().get(&run).map(|here| (here.context, here.started_at)) else {
            return;
        };
        let took = Duration::from_millis(u64::try_from(self.clock.now() - started_at).unwrap_or(0));
        let name = format!("run {workflow}");
        let mut span = Self::ended(self, context, span::of_run(run), name, SpanKind::Internal, took);
        span.failed = end
            .error
            .as_ref()
            .map(|error| (liteagent_engine::error::Code::interned(&error.code).0, error.class.as_str()));
        let used = end.usage.total();
        span.attributes = vec![
            KeyValue::new("liteagent.run.id", run.to_string()),
            KeyValue::new("liteagent.workflow", workflow.to_owned()),
            KeyValue::new("liteagent.run.status", end.status.as_str()),
            KeyValue::new("liteagent.run.model_calls", i64::try_from(used.calls).unwrap_or(i64::MAX)),
            KeyValue::new("liteagent.run.cost_dollars", used.report().cost),
        ];
        self.send(span);
    }
}

impl Watcher for Traces {
    fn wants_content(&self) -> bool {
        self.with_content
    }

    fn model_called(&self, call: &ModelCall<'_>) {
        let Some(run) = call.run else { return };
        let (above, attempt) = {
            let here = self.here();
            let Some(here) = here.get(&run) else { return };
            (here.context, here.attempts.get(call.node).copied().unwrap_or(1))
        };
        let context = Context { parent: span::of_node(run, call.node, attempt), is_remote: false, ..above };
        let (name, attributes) = model::described(call);
        let mut span = self.ended(context, span::random(), name, SpanKind::Client, call.took);
        span.failed = call.failed.map(|(code, class)| (code.0, class.as_str()));
        span.attributes = attributes;
        self.send(span);
    }
}

/// What a status says of a failure.
fn status(failed: Option<(&'static str, &'static str)>) -> Status {
    match failed {
        Some((code, _)) => Status::error(code),
        None => Status::Unset,
    }
}
