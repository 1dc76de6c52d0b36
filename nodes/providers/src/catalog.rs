//! What is known of models before they are called: the table that comes with LiteAgent, and what `liteagent.toml` adds.

use std::{collections::BTreeMap, sync::LazyLock};

use liteagent_engine::capability::model::Usage;
use serde::Deserialize;

use crate::wire::{Structured, Used};

/// What is known of a model. What is missing is not known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// US dollars per million tokens of questions.
    pub input: Option<f64>,
    /// Of those that the provider had in its cache; `input` if missing.
    pub cached: Option<f64>,
    /// Of those that it put into its cache; `input` if missing.
    pub written: Option<f64>,
    /// US dollars per million tokens of answers.
    pub output: Option<f64>,
    /// Prices of long questions.
    pub long: Option<LongPrices>,
    /// The most tokens of a question and its answer together.
    pub context: Option<u64>,
    /// The most tokens of an answer.
    pub answer: Option<u64>,
    /// Whether it turns texts into vectors, and does not chat.
    pub embeds: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it reads images.
    pub images: Option<bool>,
    /// Whether it takes `temperature`, `top_p` and their like.
    pub sampling: Option<bool>,
    /// Whether it calls tools only when it does not reason.
    pub tools_without_reasoning: Option<bool>,
    /// Whether a tool can be required.
    pub forced_tools: Option<bool>,
    /// What stands before a question that is to be embedded.
    pub question: Option<String>,
    /// What stands before a passage that is to be embedded.
    pub passage: Option<String>,
    pub(crate) structured: Option<Structured>,
}

/// Prices of questions that are longer than `above` tokens: US dollars per million.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LongPrices {
    /// From how many tokens of the question on.
    pub above: u64,
    /// Of questions.
    pub input: f64,
    /// Of those that the provider had in its cache; `input` if missing.
    pub cached: Option<f64>,
    /// Of those that it put into its cache; `input` if missing.
    pub written: Option<f64>,
    /// Of answers.
    pub output: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    checked: String,
    models: BTreeMap<String, Facts>,
}

/// The table is checked by tests: it is part of the program.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("catalog/models.yaml")).expect("the table of models can be read")
});

/// The day on which prices were looked up.
pub fn prices_checked() -> &'static str {
    &TABLE.checked
}

/// What the table says of a model.
pub(crate) fn known(vendor: &str, model: &str) -> Facts {
    let name = format!("{vendor}/{model}");
    let fits = |known: &str| known.strip_suffix('*').map_or(known == name, |begin| name.starts_with(begin));
    let best = TABLE
        .models
        .iter()
        .filter(|(known, _)| fits(known))
        .max_by_key(|(known, _)| (known.len(), !known.ends_with('*')));
    best.map_or_else(Facts::default, |(_, facts)| facts.clone())
}

/// The models of a vendor that the table names.
pub(crate) fn names(vendor: &str) -> Vec<&'static str> {
    let begin = format!("{vendor}/");
    let named = TABLE.models.iter().filter(|(_, facts)| facts.input.is_some());
    let names = named.filter_map(|(name, _)| name.strip_prefix(&begin).map(|name| name.trim_end_matches('*')));
    names.filter(|name| !name.is_empty()).collect()
}

impl Facts {
    /// The same, with what is known better.
    pub(crate) fn with(self, better: &Self) -> Self {
        let better = better.clone();
        Self {
            input: better.input.or(self.input),
            cached: better.cached.or(self.cached.filter(|_| better.input.is_none())),
            written: better.written.or(self.written.filter(|_| better.input.is_none())),
            output: better.output.or(self.output),
            long: better.long.or(self.long.filter(|_| better.input.is_none())),
            context: better.context.or(self.context),
            answer: better.answer.or(self.answer),
            embeds: better.embeds.or(self.embeds),
            tools: better.tools.or(self.tools),
            images: better.images.or(self.images),
            sampling: better.sampling.or(self.sampling),
            tools_without_reasoning: better.tools_without_reasoning.or(self.tools_without_reasoning),
            forced_tools: better.forced_tools.or(self.forced_tools),
            question: better.question.or(self.question),
            passage: better.passage.or(self.passage),
            structured: better.structured.or(self.structured),
        }
    }

    /// What was used, with its cost in millionths of a dollar. A price of dollars per million tokens is one of millionths
    /// per token.
    pub(crate) fn price(&self, used: Used) -> Usage {
        let Used { usage, written } = used;
        let usage = Usage { calls: 1, ..usage };
        let (Some(input), Some(output)) = (self.input, self.output) else {
            return Usage { unpriced: 1, ..usage };
        };
        let long = self.long.filter(|long| usage.input_tokens > long.above);
        let (input, cached, stored, output) = match long {
            Some(long) => (long.input, long.cached, long.written, long.output),
            None => (input, self.cached, self.written, output),
        };
        let fresh = usage.input_tokens.saturating_sub(usage.cached_tokens).saturating_sub(written);
        let cost = fresh as f64 * input
            + usage.cached_tokens as f64 * cached.unwrap_or(input)
            + written as f64 * stored.unwrap_or(input)
            + usage.output_tokens as f64 * output;
        Usage { cost: cost.round().max(0.0) as u64, ..usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(input_tokens: u64, cached_tokens: u64, written: u64, output_tokens: u64) -> Used {
        Used { usage: Usage { input_tokens, cached_tokens, output_tokens, ..Usage::default() }, written }
    }

    #[test]
    fn the_longest_name_that_fits_is_taken() {
        assert_eq!(known("openai", "gpt-4.1-mini-2025-04-14").input, Some(0.40));
        assert_eq!(known("openai", "gpt-4.1").input, Some(2.00));
        assert_eq!(known("anthropic", "claude-haiku-5-5").forced_tools, Some(false));
        assert_eq!(known("anthropic", "claude-sonnet-4-20250514").structured, Some(Structured::Tool));
        assert_eq!(known("anthropic", "claude-sonnet-4-5-20250929").structured, None);
        assert!(known("openai", "gpt-99").input.is_none() && known("work", "gpt-4.1").input.is_none());
        assert!(names("openai").contains(&"gpt-6-luna") && names("ollama").iter().all(|name| name.contains("embed")));
    }

    #[test]
    fn costs_are_those_of_the_table() {
        let haiku = known("anthropic", "claude-haiku-5-5");
        // 1,000 fresh at 0.10, 2,000 cached at 0.01, 4,000 written at 0.125, 3,000 out at 0.50.
        assert_eq!(haiku.price(used(7_000, 2_000, 4_000, 3_000)).cost, 100 + 20 + 500 + 1_500);
        assert_eq!(haiku.price(used(200_000, 0, 0, 1_000)).cost, 100_000 + 2_500);
        let unknown = Facts::default().price(used(10, 0, 0, 10));
        assert_eq!((unknown.cost, unknown.unpriced, unknown.tokens()), (0, 1, 20));
        let own = haiku.with(&Facts { input: Some(1.0), ..Facts::default() });
        assert_eq!(
            own.price(used(1_000, 1_000, 0, 0)).cost,
            1_000,
            "a price of one's own has no discount of the table"
        );
    }
}
