//! What came of an evaluation: a table for people, JSON for machines.

use liteagent_engine::{units::Millis, usage::Usage};
use serde_json::{Value as Json, json};

use super::{Evaluation, Outcome, median};
use crate::progress::{grouped, paid};

/// How a model did.
pub(crate) struct Score<'o> {
    model: &'o str,
    outcomes: Vec<&'o Outcome>,
    usage: Usage,
    p50: Option<Millis>,
}

impl<'o> Score<'o> {
    /// How each model did, in the order of the command line.
    pub(crate) fn all(evaluation: &'o Evaluation, outcomes: &'o [Outcome]) -> Vec<Self> {
        let models = evaluation.models.iter().enumerate();
        models
            .map(|(index, (model, _))| {
                let outcomes: Vec<_> = outcomes.iter().filter(|outcome| outcome.model == index).collect();
                let mut usage = Usage::default();
                for outcome in &outcomes {
                    usage += outcome.usage;
                }
                let p50 = median(outcomes.iter().map(|outcome| outcome.verdict.took).collect());
                Self { model, outcomes, usage, p50 }
            })
            .collect()
    }

    fn passed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.passed()).count()
    }

    /// The share of cases that passed, from 0 to 1.
    fn rate(&self) -> f64 {
        self.passed() as f64 / self.outcomes.len().max(1) as f64
    }
}

impl Outcome {
    /// Whether everything was as expected.
    pub(crate) fn passed(&self) -> bool {
        self.verdict.failures.is_empty()
    }
}

/// A line for each model.
pub(crate) fn table(scores: &[Score<'_>]) -> String {
    let mut rows = vec![["MODEL", "PASSED", "RATE", "COST", "TOKENS", "P50"].map(str::to_owned)];
    rows.extend(scores.iter().map(|score| {
        [
            score.model.to_owned(),
            format!("{} of {}", score.passed(), score.outcomes.len()),
            format!("{:.0} %", 100.0 * score.rate()),
            paid(&score.usage),
            grouped(score.usage.tokens()),
            score.p50.map_or_else(String::new, lasted),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn lasted(millis: Millis) -> String {
    if millis < 1_000 { format!("{millis} ms") } else { format!("{:.1} s", millis as f64 / 1_000.0) }
}

/// Everything, for machines.
pub(crate) fn report(evaluation: &Evaluation, scores: &[Score<'_>]) -> Json {
    let case = |outcome: &&Outcome| {
        let verdict = &outcome.verdict;
        let failures = verdict
            .failures
            .iter()
            .map(|failure| json!({ "field": failure.field, "expected": failure.expected, "found": failure.found }));
        json!({
            "name": verdict.name,
            "line": evaluation.cases[outcome.case].line,
            "passed": outcome.passed(),
            "failures": failures.collect::<Vec<_>>(),
            "result": outcome.result,
            "took_ms": verdict.took,
            "usage": outcome.usage.report(),
            "judge_usage": outcome.judged.report(),
        })
    };
    let model = |score: &Score<'_>| {
        json!({
            "model": score.model,
            "cases": score.outcomes.len(),
            "passed": score.passed(),
            "pass_rate": score.rate(),
            "p50_ms": score.p50,
            "usage": score.usage.report(),
            "outcomes": score.outcomes.iter().map(case).collect::<Vec<_>>(),
        })
    };
    json!({ "judge": evaluation.judge, "models": scores.iter().map(model).collect::<Vec<_>>() })
}
