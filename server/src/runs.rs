//! Runs: started, followed, looked at, steered.

use liteagent_engine::{
    engine::{OpenWait, RunEnd, Settled},
    error::ErrorReport,
    id::RunId,
    store::RunRow,
    usage::UsageReport,
    value::Value,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{access::Caller, app::App, problem::Problem, routes::Routes};

mod bulk;
pub(crate) mod events;
pub(crate) mod follow;
mod kept;
mod list;
mod standing;
pub(crate) mod start;
pub(crate) mod steer;

pub use self::standing::Standing;
pub(crate) use self::start::idempotency_key;

pub(crate) fn routes(routes: Routes) -> Routes {
    [start::routes, list::routes, bulk::routes, events::routes, kept::routes, steer::routes]
        .into_iter()
        .fold(routes, |routes, more| more(routes))
}

/// A failure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failure {
    /// The stable code.
    #[schema(example = "LA2110")]
    code: String,
    /// The class, as `retry.classes` names it.
    class: &'static str,
    /// What was expected and what was found.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The path of the node that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

impl From<ErrorReport> for Failure {
    fn from(error: ErrorReport) -> Self {
        let ErrorReport { code, class, message, hint, node } = error;
        Self { code, class: class.as_str(), message, hint, node }
    }
}

/// What models were used for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Used {
    /// How many calls of models.
    calls: u64,
    /// Tokens of questions, those from a provider's cache included.
    input_tokens: u64,
    /// Those of them that a provider had in its cache.
    cached_tokens: u64,
    /// Tokens of answers, those of reasoning included.
    output_tokens: u64,
    /// Those of them that were reasoning.
    reasoning_tokens: u64,
    /// Questions and answers together.
    tokens: u64,
    /// What it cost by the price table, in US dollars.
    cost: f64,
    /// Calls of models whose price is not known; `cost` is without them.
    unpriced: u64,
}

impl From<UsageReport> for Used {
    fn from(usage: UsageReport) -> Self {
        let UsageReport { calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, tokens, cost, unpriced } =
            usage;
        Self { calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, tokens, cost, unpriced }
    }
}

/// A node that waits.
#[derive(Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// Its run: this one, or one that it started.
    run: String,
    /// Its path.
    node: String,
    /// The signal that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// When time ends it, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// What a person is asked: `message`, `to`, `form`, `actions`.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Value::is_null")]
    ask: Value,
}

impl From<OpenWait> for Waiting {
    fn from(open: OpenWait) -> Self {
        let OpenWait { run, node, wait } = open;
        Self { run: run.to_string(), node, signal: wait.signal, until: wait.until, ask: wait.ask }
    }
}

/// How a run came out so far.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunReply {
    /// The run.
    #[schema(example = "run_01kgd0a9qse7xv3m2bn4t5w6y8")]
    id: String,
    /// How it stands.
    status: Standing,
    /// The conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    /// Of a run that was just started in a conversation: whose that is. An API key names it to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Its outputs; empty unless it succeeded.
    #[schema(value_type = Object)]
    outputs: Value,
    /// Why it did not succeed.
    error: Option<Failure>,
    /// How many failures were handled by `on_error`.
    handled_errors: u32,
    /// What it used of models, with the runs that it started; `null` before its end.
    usage: Option<Used>,
    /// The nodes that wait for a person or a signal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits: Vec<Waiting>,
}

impl RunReply {
    /// A run that goes on.
    pub(crate) fn begun(run: RunId, status: Standing) -> Self {
        Self {
            id: run.to_string(),
            status,
            conversation: None,
            user: None,
            outputs: Value::object(),
            error: None,
            handled_errors: 0,
            usage: None,
            waits: Vec::new(),
        }
    }

    fn ended(run: RunId, end: RunEnd) -> Self {
        Self {
            status: end.status.into(),
            outputs: end.outputs,
            error: end.error.map(Failure::from),
            handled_errors: end.handled_errors,
            usage: Some(end.usage.total().report().into()),
            ..Self::begun(run, Standing::Running)
        }
    }

    fn of(run: RunId, settled: Settled) -> Self {
        match settled {
            Settled::Ended(end) => Self::ended(run, end),
            Settled::Waiting(waits) => {
                Self { waits: waits.into_iter().map(Waiting::from).collect(), ..Self::begun(run, Standing::Waiting) }
            }
            Settled::Queued(_) => Self::begun(run, Standing::Queued),
        }
    }
}

/// A run that this caller may see.
pub(crate) async fn visible(app: &App, caller: &Caller, id: &str) -> Result<RunRow, Problem> {
    let id: RunId = id.parse().map_err(|error: String| {
        Problem::invalid(liteagent_engine::codes::REQUEST_PARAMETER, error).hint("list runs with GET /api/runs")
    })?;
    let own = caller.only_workflow()?;
    let row = app.stores.journal.run(id).await?;
    let row = row.filter(|row| own.is_none_or(|own| row.workflow == own));
    row.ok_or_else(|| liteagent_engine::engine::EngineError::UnknownRun(id).into())
}
