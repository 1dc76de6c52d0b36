//! Models, outgoing requests and code: what happens at the borders of the process.

use std::time::Duration;

use liteagent_engine::capability::{BreakerState, CodeRan, ModelCall, Operation, Watcher};

use super::{
    Metrics,
    table::{Counter, Gauge, Seconds, Sum, Table, long, short},
};

/// What is counted at the borders.
pub(super) struct Borders {
    calls: Counter<3>,
    took: Seconds<1>,
    first: Seconds<1>,
    tokens: Counter<2>,
    cost: Sum<1>,
    unpriced: Counter<0>,
    waited: Seconds<1>,
    refusals: Counter<1>,
    breaker: Gauge<1>,
    refused: Counter<1>,
    code: Seconds<1>,
    code_waited: Seconds<0>,
    killed: Counter<1>,
}

impl Borders {
    pub(super) fn new(table: &mut Table) -> Self {
        let borders = Self {
            calls: table.counter(
                "model_calls",
                ["model", "operation", "status"],
                "Calls of models; the status is `succeeded`, `given_up`, or the class of the failure",
            ),
            took: table.seconds("model_call_seconds", ["model"], "Calls of models, waiting for limits included", long),
            first: table.seconds("model_first_token_seconds", ["model"], "Until the answer of a model begins", long),
            tokens: table.counter("model_tokens", ["model", "direction"], "Tokens of models"),
            cost: table.sum("model_cost_dollars", ["model"], "What calls of models cost by the price table"),
            unpriced: table.counter("cost_unpriced_calls", [], "Calls of models whose price is not known"),
            waited: table.seconds(
                "limiter_wait_seconds",
                ["provider"],
                "Until the limits of a provider let a call pass",
                long,
            ),
            refusals: table.counter(
                "model_refused",
                ["provider"],
                "Calls that a provider refused, because there were too many (429); each may be sent again",
            ),
            breaker: table.gauge(
                "breaker_state",
                ["provider"],
                "Whether a provider is called: 0 it is, 1 one call tries it, 2 it is left alone",
            ),
            refused: table.counter(
                "egress_refused",
                ["purpose"],
                "Outgoing requests to addresses that may not be reached",
            ),
            code: table.seconds("sandbox_seconds", ["language"], "Calls of code", long),
            code_waited: table.seconds("sandbox_wait_seconds", [], "Until there was a place for a call of code", short),
            killed: table.counter("sandbox_killed", ["limit"], "Calls of code that were stopped at a limit"),
        };
        for purpose in ["http", "models"] {
            drop(borders.refused.with([purpose]));
        }
        for limit in ["wall", "cpu", "memory", "output", "log", "input"] {
            drop(borders.killed.with([limit]));
        }
        borders
    }
}

impl Watcher for Metrics {
    fn address_refused(&self, purpose: &'static str) {
        self.borders.refused.with([purpose]).inc();
    }

    fn model_waited(&self, provider: &str, waited: Duration) {
        self.borders.waited.with([provider]).observe(waited.as_secs_f64());
    }

    fn model_refused(&self, provider: &str) {
        self.borders.refusals.with([provider]).inc();
    }

    fn breaker(&self, provider: &str, state: BreakerState) {
        let level = match state {
            BreakerState::Closed => 0.0,
            BreakerState::Trial => 1.0,
            BreakerState::Open => 2.0,
        };
        self.borders.breaker.with([provider]).set(level);
    }

    fn model_called(&self, call: &ModelCall<'_>) {
        let model = call.model.unwrap_or(call.asked);
        let operation = match call.operation {
            Operation::Chat => "chat",
            Operation::Embed => "embed",
        };
        let status = match call.failed {
            Some((_, class)) => class.as_str(),
            None if call.given_up => "given_up",
            None => "succeeded",
        };
        let borders = &self.borders;
        borders.calls.with([model, operation, status]).inc();
        borders.took.with([model]).observe(call.took.as_secs_f64());
        if let Some(first) = call.first {
            borders.first.with([model]).observe(first.as_secs_f64());
        }
        for (direction, count) in [("input", call.usage.input_tokens), ("output", call.usage.output_tokens)] {
            borders.tokens.with([model, direction]).inc_by(count);
        }
        borders.cost.with([model]).inc_by(call.usage.report().cost);
        borders.unpriced.with([]).inc_by(call.usage.unpriced);
    }

    fn code_ran(&self, call: &CodeRan) {
        self.borders.code.with([call.language]).observe(call.took.as_secs_f64());
        self.borders.code_waited.with([]).observe(call.waited.as_secs_f64());
        if let Some(limit) = call.exceeded {
            self.borders.killed.with([limit]).inc();
        }
    }
}
