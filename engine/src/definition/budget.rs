//! What runs and nodes may use up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Money;

/// What a run may use up, with the runs that it starts. It is checked before a node starts; what is in flight then may
/// go beyond it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many tokens models may take in and give out. When they are used up, no node that uses a model starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens: Option<u64>,
    /// What calls of models may cost, as in `0.50 USD`. When it is used up, or the price of a call is not known, no node
    /// that uses a model starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// How many nodes may start, failed attempts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub nodes: Option<u64>,
    /// The share of a limit, from 0 to 1, from which on the run says that it is nearly used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warn_at: Option<f64>,
}

/// What a node and everything inside it may use of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeBudget {
    /// How many tokens models may take in and give out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub tokens: Option<u64>,
    /// What calls of models may cost, as in `0.50 USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// Amounts of what budgets limit: limits, what is left of them, or what was used. `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Tokens of models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Starts of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub const fn is_none(&self) -> bool {
        self.tokens.is_none() && self.cost.is_none() && self.nodes.is_none()
    }

    /// The tighter one of each.
    pub fn min(self, other: Self) -> Self {
        Self {
            tokens: tighter(self.tokens, other.tokens),
            cost: tighter(self.cost, other.cost),
            nodes: tighter(self.nodes, other.nodes),
        }
    }
}

fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl From<&Budget> for Limits {
    fn from(budget: &Budget) -> Self {
        Self { tokens: budget.tokens, cost: budget.cost, nodes: budget.nodes }
    }
}

impl From<NodeBudget> for Limits {
    fn from(budget: NodeBudget) -> Self {
        Self { tokens: budget.tokens, cost: budget.cost, nodes: None }
    }
}
