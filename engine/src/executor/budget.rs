//! What is said when a budget is used up or nearly so.

use super::{beside::Beside, owner::Owner};
use crate::{
    codes,
    error::{ErrorClass, NodeError},
    event::{AfterFailure, Event},
    run::{Addr, Limit, Overrun, path},
};

impl Owner {
    /// Stops the run, or fails the node whose budget, or that of a container around it, is used up.
    pub(super) fn out_of_budget(&mut self, at: Addr, attempt: u32, over: Overrun) {
        let due = path::path(&self.plan, &self.state, at);
        let Some(of) = over.of else {
            let given = self.state.start.budget;
            let (field, is_given) = match over.limit {
                Limit::Tokens { most, .. } => ("tokens", given.tokens == Some(most)),
                Limit::Cost { most, .. } | Limit::Price { most, .. } => ("cost", given.cost == Some(most)),
                Limit::Nodes { most } => ("nodes", given.nodes == Some(most)),
            };
            let of_run = if is_given { "what this run was given to use" } else { "the budget of the run" };
            let error = used_up(over.limit, of_run, &due, codes::OUT_OF_BUDGET);
            let hint = match (over.limit, is_given) {
                (Limit::Price { .. }, _) => price_hint(),
                (_, true) => format!("raise `budget.{field}` of the workflow that started this run"),
                (_, false) => format!("raise `budget.{field}`"),
            };
            return self.stop(error.hint(hint));
        };
        if !self.may_start(at) {
            return;
        }
        let plan = self.plan.clone();
        let whose = path::path(&plan, &self.state, of);
        let error = used_up(over.limit, &format!("the budget of `{whose}`"), &due, codes::NODE_BUDGET);
        let hint = match over.limit {
            Limit::Price { .. } => price_hint(),
            _ => format!("raise `budget` of `{whose}`"),
        };
        // Whoever has the budget decides what its end means.
        let then = if of == at { super::policy::unhandled(self.node(&plan, at)) } else { AfterFailure::Fail };
        self.record_failure(at, attempt, &error.hint(hint), then, Beside::default());
    }

    /// Fixes the result of the run.
    pub(super) fn stop(&mut self, error: NodeError) {
        let mut report = error.report("");
        report.node = None;
        self.record(Event::RunStopping { error: report });
    }
}

fn used_up(limit: Limit, whose: &str, due: &str, code: crate::error::Code) -> NodeError {
    let message = match limit {
        Limit::Tokens { used, most } => {
            format!("{whose} is {most} tokens, {used} were used, and `{due}` would use more")
        }
        Limit::Cost { used, most } => format!("{whose} is {most}, {used} were spent, and `{due}` would spend more"),
        Limit::Nodes { most } => format!("{whose} is {most} starts of nodes, and `{due}` would be one more"),
        Limit::Price { calls, most } => {
            format!("{whose} is {most}, and nobody knows what calls of models cost: {calls} have no price")
        }
    };
    let code = if matches!(limit, Limit::Price { .. }) { codes::COST_UNKNOWN } else { code };
    NodeError::new(code, ErrorClass::LimitExceeded, message)
}

fn price_hint() -> String {
    "give the model a price, 0 when it costs nothing, or limit `tokens` instead of `cost`".to_owned()
}

/// Why an attempt must not call another model, as nodes are told.
pub(crate) fn refused(limit: Limit) -> NodeError {
    let message = match limit {
        Limit::Tokens { used, most } => format!("{most} tokens were left of the budget, and {used} were used"),
        Limit::Cost { used, most } => format!("{most} were left of the budget, and {used} were spent"),
        Limit::Price { calls, most } => {
            format!("{most} are left of the budget, and nobody knows what {calls} calls of models cost")
        }
        Limit::Nodes { .. } => return NodeError::internal("an attempt starts no nodes"),
    };
    let code = if matches!(limit, Limit::Price { .. }) { codes::COST_UNKNOWN } else { codes::NODE_BUDGET };
    let hint = if matches!(limit, Limit::Price { .. }) { price_hint() } else { "raise `budget`".to_owned() };
    NodeError::new(code, ErrorClass::LimitExceeded, message).hint(hint)
}
