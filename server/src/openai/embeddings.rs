//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::extract::State;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use liteagent_engine::{capability::model::EmbedRequest, codes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Refusal;
use crate::{
    access::{Access, Role},
    app::App,
    extract::Json,
    problem::Problem,
    routes::Routes,
};

/// The most texts of a request.
const MOST_TEXTS: usize = 2_048;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Editor), routes!(embed))
}

/// Texts that shall become vectors.
#[derive(Deserialize, ToSchema)]
struct EmbedBody {
    /// `provider/model`, or the alias `embed`.
    #[schema(example = "embed")]
    model: String,
    /// The texts.
    input: Input,
    /// `float` or `base64`: little-endian, 4 bytes a number.
    #[serde(default)]
    encoding_format: Encoding,
}

/// One text or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

/// How numbers are written.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Vectors.
#[derive(Serialize, ToSchema)]
struct EmbedReply {
    /// `list`.
    object: &'static str,
    /// One for each text, in their order.
    data: Vec<Embedding>,
    /// The model, `provider/model`.
    model: String,
    usage: EmbedUsage,
}

/// A vector.
#[derive(Serialize, ToSchema)]
struct Embedding {
    /// `embedding`.
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

/// The numbers of a vector.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

/// Tokens that were used.
#[derive(Serialize, ToSchema)]
struct EmbedUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Turns texts into vectors
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = EmbedBody, responses((status = 200, body = EmbedReply)))]
async fn embed(State(app): State<Arc<App>>, Json(body): Json<EmbedBody>) -> Result<Json<EmbedReply>, Refusal> {
    let texts = match body.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        let detail = format!("expected 1 to {MOST_TEXTS} texts in `input`, found {}", texts.len());
        return Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("send them in several requests").into());
    }
    let request = EmbedRequest { model: body.model, texts, questions: false, run: None, node: String::new() };
    let vectors = app.models.embed(request).await?;
    let numbers = |vector: Vec<f32>| match body.encoding_format {
        Encoding::Float => Numbers::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Numbers::Base64(BASE64_STANDARD.encode(bytes))
        }
    };
    let embedding = |(index, vector)| Embedding { object: "embedding", index, embedding: numbers(vector) };
    let tokens = vectors.usage.input_tokens;
    Ok(Json(EmbedReply {
        object: "list",
        data: vectors.vectors.into_iter().enumerate().map(embedding).collect(),
        model: vectors.model,
        usage: EmbedUsage { prompt_tokens: tokens, total_tokens: tokens },
    }))
}
