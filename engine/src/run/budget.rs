//! Budgets: what may still be used, and which limit stands in the way of a node. `ENGINE.md` section 6.

use super::state::{Addr, Phase, RunState};
use crate::{
    definition::Limits,
    plan::{Plan, PlanNode},
    units::Money,
    usage::Usage,
};

/// A limit that a node would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Whose budget it is; `None` for that of the run.
    pub of: Option<Addr>,
    /// Which limit, and what was used of it.
    pub limit: Limit,
}

/// A limit, and what was used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Tokens of models.
    Tokens {
        /// So many were used.
        used: u64,
        /// Of so many.
        most: u64,
    },
    /// Money.
    Cost {
        /// So much was spent.
        used: Money,
        /// Of so much.
        most: Money,
    },
    /// Money, and nobody knows how much was spent.
    Price {
        /// So many calls have no known price.
        calls: u64,
        /// Of so much.
        most: Money,
    },
    /// Starts of nodes.
    Nodes {
        /// Of so many.
        most: u64,
    },
}

impl RunState {
    /// The limit that stands in the way of a node that is about to start.
    pub(super) fn overrun(&self, plan: &Plan, at: Addr) -> Option<Overrun> {
        if self.phase != Phase::Running {
            return None;
        }
        let started = self.started + u64::from(self.running);
        if let Some(most) = self.limits.nodes.filter(|most| started >= *most) {
            return Some(Overrun { of: None, limit: Limit::Nodes { most } });
        }
        if !self.plan_node(plan, at)?.uses_models {
            return None;
        }
        let of_run = used_up(self.limits, &self.used.total()).map(|limit| Overrun { of: None, limit });
        of_run.or_else(|| {
            let budget = |(at, node): (Addr, &PlanNode)| {
                let used = self.node(at)?.used();
                let limit = used_up(node.budget?.into(), &used)?;
                Some(Overrun { of: Some(at), limit })
            };
            if plan.has_node_budgets { self.around(plan, at).find_map(budget) } else { None }
        })
    }

    /// What a node may still use: the tightest of its own budget, those of the containers around it, and that of the run.
    pub fn left(&self, plan: &Plan, at: Addr) -> Limits {
        if !(plan.has_node_budgets || self.is_limited) {
            return Limits::default();
        }
        let mut left = rest(self.limits, &self.used.total(), self.started + u64::from(self.running));
        for (at, node) in self.around(plan, at) {
            if let (Some(budget), Some(state)) = (node.budget, self.node(at)) {
                left = left.min(rest(budget.into(), &state.used(), 0));
            }
        }
        left
    }

    /// The limits of the run whose share `warn_at` was reached, and what was used of them; those that were told before
    /// are left out.
    pub(super) fn nearly_used_up(&self, plan: &Plan) -> Option<(Limits, Limits)> {
        let share = plan.budget.warn_at.filter(|_| self.phase == Phase::Running)?;
        let near = |used: u64, most: Option<u64>| most.filter(|most| used as f64 >= share * *most as f64);
        let total = self.used.total();
        let Limits { tokens, cost, nodes } = self.limits;
        let limits = Limits {
            tokens: near(total.tokens(), tokens).filter(|_| self.warned.tokens.is_none()),
            cost: near(total.cost, cost.map(|money| money.0)).filter(|_| self.warned.cost.is_none()).map(Money),
            nodes: near(self.started, nodes).filter(|_| self.warned.nodes.is_none()),
        };
        let used = Limits {
            tokens: limits.tokens.map(|_| total.tokens()),
            cost: limits.cost.map(|_| Money(total.cost)),
            nodes: limits.nodes.map(|_| self.started),
        };
        (!limits.is_none()).then_some((used, limits))
    }

    /// A node, and the containers around it.
    fn around<'a>(&'a self, plan: &'a Plan, at: Addr) -> impl Iterator<Item = (Addr, &'a PlanNode)> {
        let outwards = std::iter::successors(Some(at), |at| self.frame(at.frame)?.parent);
        outwards.filter_map(move |at| Some((at, self.plan_node(plan, at)?)))
    }

    fn plan_node<'p>(&self, plan: &'p Plan, at: Addr) -> Option<&'p PlanNode> {
        Some(plan.bodies[self.frame(at.frame)?.body].node(at.node))
    }
}

/// The first limit that was reached.
fn used_up(limits: Limits, used: &Usage) -> Option<Limit> {
    if let Some(most) = limits.tokens.filter(|most| used.tokens() >= *most) {
        return Some(Limit::Tokens { used: used.tokens(), most });
    }
    let most = limits.cost?;
    if used.cost >= most.0 {
        return Some(Limit::Cost { used: Money(used.cost), most });
    }
    (used.unpriced > 0).then_some(Limit::Price { calls: used.unpriced, most })
}

/// What is left of limits.
fn rest(limits: Limits, used: &Usage, started: u64) -> Limits {
    Limits {
        tokens: limits.tokens.map(|most| most.saturating_sub(used.tokens())),
        cost: limits.cost.map(|most| Money(most.0.saturating_sub(used.cost))),
        nodes: limits.nodes.map(|most| most.saturating_sub(started)),
    }
}

/// Which limit an attempt has used up that was given so much.
pub(crate) fn spent(left: Limits, used: &Usage) -> Option<Limit> {
    used_up(left, used)
}
