//! `search`: looks something up in a knowledge base, and shows what each stage of the search said.

use clap::ValueEnum;
use liteagent_engine::{
    capability::knowledge::{Filter, Hit, Search as Asked, SearchMode},
    codes,
    value::Value,
};
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    knowledge::{self, told},
    platform::block_on,
    project::Project,
    shell::Shell,
};

/// How much of a passage is shown.
const SHOWN: usize = 160;

/// Looks something up in a knowledge base: the passages, best first, with the scores of each stage.
#[derive(clap::Args)]
pub(crate) struct Search {
    /// The knowledge base
    #[arg(value_name = "KNOWLEDGE")]
    knowledge: String,
    /// What to look for
    #[arg(value_name = "QUERY")]
    query: String,
    /// How to look
    #[arg(long, value_enum, default_value_t = By::Hybrid)]
    by: By,
    /// At most so many passages
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    top_k: u32,
    /// The least cosine of question and passage
    #[arg(long, value_name = "COSINE")]
    threshold: Option<f32>,
    /// Which documents are looked through, as YAML: `{ year: { ">=": 2024 } }`
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// By meaning and by words
    Hybrid,
    /// By meaning
    Vector,
    /// By words
    Keyword,
}

impl Search {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let project = Project::here()?;
        let filter = self.filter.as_deref().map(read_filter).transpose()?;
        let hits = block_on(async {
            let bases = knowledge::open(&project).await?;
            let router = project.config.router(&project.secrets().await?).await?;
            let asked = Asked {
                mode: match self.by {
                    By::Hybrid => SearchMode::Hybrid,
                    By::Vector => SearchMode::Vector,
                    By::Keyword => SearchMode::Keyword,
                },
                text: self.query.clone(),
                vector: None,
                top_k: self.top_k as usize,
                score_threshold: self.threshold,
                weights: (0.5, 0.5),
                filter,
            };
            bases.ask(&*router, &self.knowledge, asked).await.map_err(told)
        })?;
        if self.json {
            shell.json(&hits.iter().map(row).collect::<Vec<_>>())?;
        } else if hits.is_empty() {
            shell.note("nothing was found");
        } else {
            shell.out(hits.iter().enumerate().map(shown).collect::<Vec<_>>().join("\n\n"))?;
        }
        Ok(Exit::Done)
    }
}

fn read_filter(text: &str) -> Result<Filter, Failure> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        Failure::usage(codes::KNOWLEDGE_FILTER, format!("expected a filter in YAML, found `{text}`: {error}"))
            .hint("write `--filter '{ year: { \">=\": 2024 } }'`")
    })?;
    Filter::read(&value).map_err(told)
}

fn row(hit: &Hit) -> serde_json::Value {
    json!({
        "document": hit.document,
        "title": hit.title,
        "position": hit.position,
        "headings": hit.chunk.headings,
        "page": hit.chunk.page,
        "score": hit.score,
        "scores": hit.scores,
        "content": hit.chunk.passage.as_deref().unwrap_or(&hit.chunk.text),
    })
}

fn shown((index, hit): (usize, &Hit)) -> String {
    let score = |name: &str, score: Option<f32>| score.map(|score| format!("{name} {score:.3}"));
    let scores = [
        score("vector", hit.scores.vector),
        score("keyword", hit.scores.keyword),
        score("fused", hit.scores.fused),
        score("reranked", hit.scores.rerank),
    ];
    let scores: Vec<String> = scores.into_iter().flatten().collect();
    let page = hit.chunk.page.map_or_else(String::new, |page| format!(", page {page}"));
    let headings = hit.chunk.headings.iter().filter(|heading| **heading != hit.title);
    let place = [&hit.title].into_iter().chain(headings).map(String::as_str).collect::<Vec<_>>().join(" > ");
    let text = hit.chunk.passage.as_deref().unwrap_or(&hit.chunk.text);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    format!("{}. {:.3}  {}{page}\n   {place}\n   {}\n   {text}", index + 1, hit.score, hit.document, scores.join(", "))
}
