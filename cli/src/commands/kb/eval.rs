//! `kb eval`: what searches find of what was judged to answer.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Instant};

use liteagent_engine::{
    capability::{
        knowledge::{Hit, Search, SearchMode},
        model::Models,
    },
    codes,
};
use liteagent_knowledge::KnowledgeBases;
use serde::Deserialize;
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    knowledge::told,
    project::Project,
    shell::Shell,
};

/// How many chunks are looked at for each document that counts: several may be of one document.
const CHUNKS_A_DOCUMENT: usize = 5;
/// nDCG is that of the first ten documents.
const NDCG_AT: usize = 10;

/// Measures what searches find of what was judged to answer: recall, MRR and nDCG@10 for each way to look.
#[derive(clap::Args)]
pub(crate) struct Eval {
    /// The knowledge base
    #[arg(value_name = "KNOWLEDGE")]
    knowledge: String,
    /// Judged queries, one JSON object a line: `{ "query": "…", "relevant": ["document", …] }`, or an object that gives each
    /// document a grade
    #[arg(value_name = "QUERIES.JSONL")]
    queries: PathBuf,
    /// How many documents recall counts
    #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    k: u32,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    query: String,
    relevant: Relevant,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Relevant {
    Documents(Vec<String>),
    Grades(BTreeMap<String, f64>),
}

impl Judged {
    fn grades(&self) -> BTreeMap<&str, f64> {
        match &self.relevant {
            Relevant::Documents(ids) => ids.iter().map(|id| (id.as_str(), 1.0)).collect(),
            Relevant::Grades(grades) => grades.iter().map(|(id, grade)| (id.as_str(), *grade)).collect(),
        }
    }
}

/// A way to look.
struct Setting {
    name: &'static str,
    mode: SearchMode,
    weights: (f32, f32),
}

const SETTINGS: [Setting; 5] = [
    Setting { name: "vector", mode: SearchMode::Vector, weights: (1.0, 0.0) },
    Setting { name: "keyword", mode: SearchMode::Keyword, weights: (0.0, 1.0) },
    Setting { name: "hybrid 0.3/0.7", mode: SearchMode::Hybrid, weights: (0.3, 0.7) },
    Setting { name: "hybrid 0.5/0.5", mode: SearchMode::Hybrid, weights: (0.5, 0.5) },
    Setting { name: "hybrid 0.7/0.3", mode: SearchMode::Hybrid, weights: (0.7, 0.3) },
];

/// The means over all queries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Measures {
    recall: f64,
    mrr: f64,
    ndcg: f64,
}

impl Eval {
    pub(super) async fn run(self, project: &Project, bases: &KnowledgeBases, shell: &Shell) -> Result<Exit, Failure> {
        let queries = self.read()?;
        let router = project.config.router(&project.secrets().await?).await?;
        let mut rows = Vec::new();
        for setting in &SETTINGS {
            let (measures, p50) = self.measure(bases, &*router, setting, &queries).await?;
            rows.push((setting.name, measures, p50));
        }
        if self.json {
            let row = |(name, measures, p50): &(&str, Measures, f64)| json!({ "setting": name, "recall": measures.recall, "mrr": measures.mrr, "ndcg": measures.ndcg, "p50_ms": p50 });
            shell.json(
                &json!({ "queries": queries.len(), "k": self.k, "settings": rows.iter().map(row).collect::<Vec<_>>() }),
            )?;
        } else {
            let recall = format!("recall@{}", self.k);
            shell.out(format!("{:16}{recall:>10}{:>8}{:>9}{:>9}", "SETTING", "MRR", "nDCG@10", "p50 ms"))?;
            for (name, Measures { recall, mrr, ndcg }, p50) in rows {
                shell.out(format!("{name:16}{recall:>10.3}{mrr:>8.3}{ndcg:>9.3}{p50:>9.1}"))?;
            }
            shell.note(format!("{} queries", queries.len()));
        }
        Ok(Exit::Done)
    }

    fn read(&self) -> Result<Vec<Judged>, Failure> {
        let shown = self.queries.display();
        let text = fs::read_to_string(&self.queries).map_err(|error| {
            Failure::usage(codes::EVAL_CASES, format!("cannot read `{shown}`: {error}"))
                .hint("give a file of judged queries, one JSON object a line")
        })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(index, line): (usize, &str)| {
            let wrong = |what: String| {
                Failure::usage(codes::EVAL_CASES, format!("`{shown}`, line {}: {what}", index + 1))
                    .hint("write `{ \"query\": \"…\", \"relevant\": [\"docs/a.md\"] }`")
            };
            let judged: Judged = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            if judged.grades().values().any(|grade| *grade > 0.0) {
                return Ok(judged);
            }
            Err(wrong("expected a document that answers, found none".to_owned()))
        };
        let queries = lines.map(read).collect::<Result<Vec<_>, _>>()?;
        if queries.is_empty() {
            return Err(Failure::usage(codes::EVAL_CASES, format!("expected judged queries in `{shown}`, found none"))
                .hint("write `{ \"query\": \"…\", \"relevant\": [\"docs/a.md\"] }`, one a line"));
        }
        Ok(queries)
    }

    /// The means, and how long the middle search took, its vector included.
    #[expect(clippy::disallowed_methods, reason = "people want to know how long a search takes")]
    async fn measure(
        &self,
        bases: &KnowledgeBases,
        models: &dyn Models,
        setting: &Setting,
        queries: &[Judged],
    ) -> Result<(Measures, f64), Failure> {
        let mut sum = Measures::default();
        let mut times = Vec::with_capacity(queries.len());
        for judged in queries {
            let asked = Search {
                mode: setting.mode,
                text: judged.query.clone(),
                vector: None,
                top_k: (self.k as usize).max(NDCG_AT) * CHUNKS_A_DOCUMENT,
                score_threshold: None,
                weights: setting.weights,
                filter: None,
            };
            let begun = Instant::now();
            let hits = bases.ask(models, &self.knowledge, asked).await.map_err(told)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            let one = measures(&documents(&hits), &judged.grades(), self.k as usize);
            sum = Measures { recall: sum.recall + one.recall, mrr: sum.mrr + one.mrr, ndcg: sum.ndcg + one.ndcg };
        }
        times.sort_by(f64::total_cmp);
        let count = queries.len() as f64;
        let mean = Measures { recall: sum.recall / count, mrr: sum.mrr / count, ndcg: sum.ndcg / count };
        Ok((mean, times[times.len() / 2]))
    }
}

/// The documents of chunks, each where its best chunk stands.
fn documents(hits: &[Hit]) -> Vec<&str> {
    let mut documents: Vec<&str> = Vec::new();
    for hit in hits {
        if !documents.contains(&hit.document.as_str()) {
            documents.push(&hit.document);
        }
    }
    documents
}

/// Recall at k, the reciprocal rank of the first that answers, and nDCG (Järvelin and Kekäläinen 2002) of the first ten.
fn measures(found: &[&str], grades: &BTreeMap<&str, f64>, k: usize) -> Measures {
    let grade = |id: &&str| grades.get(*id).copied().unwrap_or_default();
    let answers = grades.values().filter(|grade| **grade > 0.0).count();
    let hits = found.iter().take(k).filter(|id| grade(id) > 0.0).count();
    let first = found.iter().position(|id| grade(id) > 0.0);
    let gain = |(index, grade): (usize, f64)| (grade.exp2() - 1.0) / ((index + 2) as f64).log2();
    let dcg: f64 = found.iter().take(NDCG_AT).map(grade).enumerate().map(gain).sum();
    let mut best: Vec<f64> = grades.values().copied().collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = best.into_iter().take(NDCG_AT).enumerate().map(gain).sum();
    Measures {
        recall: hits as f64 / answers.min(k) as f64,
        mrr: first.map_or(0.0, |index| 1.0 / (index + 1) as f64),
        ndcg: dcg / ideal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_the_textbook() {
        let grades = BTreeMap::from([("a", 3.0), ("b", 2.0), ("c", 0.0)]);
        let close = |found: &[&str], recall: f64, mrr: f64, ndcg: f64| {
            let got = measures(found, &grades, 2);
            let same = |a: f64, b: f64| (a - b).abs() < 1e-3;
            assert!(same(got.recall, recall) && same(got.mrr, mrr) && same(got.ndcg, ndcg), "{found:?}: {got:?}");
        };
        close(&["a", "b", "c"], 1.0, 1.0, 1.0);
        close(&["b", "a"], 1.0, 1.0, 0.834);
        close(&["c", "x", "a"], 0.0, 1.0 / 3.0, 0.394);
        close(&[], 0.0, 0.0, 0.0);
    }
}
