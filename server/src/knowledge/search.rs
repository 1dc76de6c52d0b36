//! `POST /api/knowledge/{name}/search`.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::{
    capability::knowledge::{Filter, Hit, Scores, Search, SearchMode},
    codes,
    engine::{Settled, Start},
    load::load_text,
    value,
    value::Value,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::api::BasePath;
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path},
    openai::failed,
    problem::Problem,
    routes::Routes,
};

/// The longest question, in characters.
const LONGEST_QUERY: usize = 4_000;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::UserOrKey(Role::Viewer), routes!(search))
}

/// How passages are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// By meaning: the nearest vectors.
    Vector,
    /// By words.
    Keyword,
    /// By both, joined by ranks.
    #[default]
    Hybrid,
}

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchBody {
    /// What to look for.
    #[schema(example = "How many days of leave are there?", max_length = 4000)]
    query: String,
    /// How to look.
    #[serde(default)]
    mode: Mode,
    /// How many passages at most: 1 to 100.
    #[serde(default = "five")]
    #[schema(default = 5, minimum = 1, maximum = 100)]
    top_k: usize,
    /// The least cosine of a passage, where there is a vector.
    score_threshold: Option<f32>,
    /// Which documents are looked through, by their metadata.
    #[schema(value_type = Option<Object>, example = json!({ "year": { ">=": 2024 } }))]
    filter: Option<Value>,
    /// The chat model that sorts what was found, `provider/model` or an alias; nobody does by default.
    rerank: Option<String>,
}

const fn five() -> usize {
    5
}

/// A passage that was found.
#[derive(Serialize, Deserialize, ToSchema)]
struct Passage {
    /// Its text.
    content: String,
    /// The id of its document.
    document: String,
    /// What people call the document.
    title: String,
    /// Where the document can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The place of its chunk in the document, from 0.
    position: u32,
    /// The headings above it, the outermost first.
    headings: Vec<String>,
    /// The page it begins on, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    /// What passages are sorted by: from 0 to 1.
    score: f64,
    /// What each stage said of it: `vector` is the cosine, `keyword` BM25, `fused` what both ranks give, `rerank` what the
    /// model said.
    #[schema(value_type = Object, example = json!({ "vector": 0.61, "keyword": 3.2, "fused": 1.0 }))]
    scores: Scores,
    /// The metadata of the document.
    #[schema(value_type = Object)]
    metadata: Value,
}

impl From<Hit> for Passage {
    fn from(hit: Hit) -> Self {
        Self {
            content: hit.chunk.passage.map_or(hit.chunk.text, |passage| passage.to_string()),
            document: hit.document,
            title: hit.title,
            url: hit.url,
            position: hit.position,
            headings: hit.chunk.headings,
            page: hit.chunk.page,
            score: (f64::from(hit.score) * 1e4).round() / 1e4,
            scores: hit.scores,
            metadata: Value::Object(Arc::new(hit.metadata)),
        }
    }
}

/// What was found.
#[derive(Serialize, ToSchema)]
struct SearchReply {
    /// The passages, best first.
    passages: Vec<Passage>,
}

/// Searches a knowledge base
///
/// With `rerank`, the search is a run, which counts what the model used.
#[utoipa::path(post, path = "/api/knowledge/{name}/search", tag = "knowledge", params(BasePath), request_body = SearchBody,
    responses((status = 200, body = SearchReply)))]
async fn search(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(BasePath { name }): Path<BasePath>,
    Json(body): Json<SearchBody>,
) -> Result<Json<SearchReply>, Problem> {
    caller.check_knowledge(&name)?;
    body.check()?;
    let passages = if let Some(model) = &body.rerank {
        reranked(&app, &caller, &name, model, &body).await?
    } else {
        let hits = app.bases().await?.ask(&*app.models, &name, body.search()?).await?;
        hits.into_iter().map(Passage::from).collect()
    };
    Ok(Json(SearchReply { passages }))
}

impl SearchBody {
    fn check(&self) -> Result<(), Problem> {
        let wrong =
            |detail: String| Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("see /docs for the fields"));
        let length = self.query.chars().count();
        if self.query.trim().is_empty() || length > LONGEST_QUERY {
            return wrong(format!("`query`: expected 1 to {LONGEST_QUERY} characters, found {length}"));
        }
        if !(1..=100).contains(&self.top_k) {
            return wrong(format!("`top_k`: expected 1 to 100, found {}", self.top_k));
        }
        Ok(())
    }

    fn search(&self) -> Result<Search, Problem> {
        Ok(Search {
            mode: match self.mode {
                Mode::Vector => SearchMode::Vector,
                Mode::Keyword => SearchMode::Keyword,
                Mode::Hybrid => SearchMode::Hybrid,
            },
            text: self.query.clone(),
            vector: None,
            top_k: self.top_k,
            score_threshold: self.score_threshold,
            weights: (0.5, 0.5),
            filter: self.filter.as_ref().map(Filter::read).transpose()?,
        })
    }
}

/// What a chat model makes of what is found.
async fn reranked(
    app: &App,
    caller: &Caller,
    base: &str,
    model: &str,
    body: &SearchBody,
) -> Result<Vec<Passage>, Problem> {
    // It is said before the model is asked.
    body.search()?;
    app.models.describe(model)?;
    let workflow = json!({
        "format": 1,
        "name": "knowledge/search",
        "durability": "end",
        "inputs": {
            "knowledge": "string", "query": "string", "top_k": "integer",
            "filter": { "type": "any", "optional": true }, "score_threshold": { "type": "number", "optional": true },
        },
        "nodes": { "search": {
            "type": "knowledge-retrieval",
            "knowledge": "{{ inputs.knowledge }}",
            "allow": ["*"],
            "query": "{{ inputs.query }}",
            "search": match body.mode { Mode::Vector => "vector", Mode::Keyword => "keyword", Mode::Hybrid => "hybrid" },
            "top_k": "{{ inputs.top_k }}",
            "filter": "{{ inputs.filter }}",
            "score_threshold": "{{ inputs.score_threshold }}",
            "rerank": model,
        } },
        "outputs": { "documents": "{{ search.documents }}" },
    });
    let loaded = load_text("knowledge/search", &workflow.to_string(), app.workflows.registry());
    let bundle = loaded.bundle.ok_or_else(|| {
        let found: Vec<_> = loaded.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
        Problem::internal(found.join("; "))
    })?;
    let given = [
        ("filter", body.filter.clone()),
        ("score_threshold", body.score_threshold.map(|least| Value::from(json!(least)))),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let always = [
        ("knowledge", Value::from(base)),
        ("query", Value::from(body.query.as_str())),
        ("top_k", Value::from(body.top_k as i64)),
    ];
    let inputs = Value::from_pairs(always.into_iter().chain(given));
    let start =
        Start { user: value!({ "name": caller.name() }), ..Start::new(bundle, inputs, value!({ "type": "api" })) };
    let run = app.begin(Some(caller), start).await?;
    let Settled::Ended(end) = app.engine.settled(run).await? else {
        return Err(Problem::internal("a search waits").about(run));
    };
    if let Some(problem) = failed(run, &end) {
        return Err(problem);
    }
    let documents = end.outputs.get("documents").cloned().unwrap_or_default();
    documents.to_typed().map_err(|error| Problem::internal(error).about(run))
}
