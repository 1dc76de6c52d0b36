//! How fast the local model embeds the chunks of a knowledge base, and nothing else: what `liteagent index` is compared with.
//!
//! `cargo bench -p liteagent-knowledge --bench embedding -- FOLDER BASE`: the data folder (`.liteagent`), and a base in it.
//! Documents are embedded one after the other, as many at once as indexing has under way.

use std::{path::Path, time::Instant};

use futures::{StreamExt as _, stream};
use liteagent_engine::capability::{
    knowledge::Knowledge as _,
    model::{EmbedRequest, Models as _},
};
use liteagent_knowledge::{DocumentQuery, KnowledgeBases, Options};
use liteagent_local_models::{LocalConfig, LocalModels, weights};

/// How many documents indexing has under way, and how many texts it embeds at once.
const DOCUMENTS: usize = 4;
const TEXTS: usize = 256;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [folder, base] = arguments.as_slice() else {
        say("nothing to do: name the data folder and a knowledge base in it");
        return;
    };
    let bases = KnowledgeBases::open(Path::new(folder), Options::default()).await.expect("knowledge bases");
    let documents = texts(&bases, base).await;
    let models = LocalModels::new(LocalConfig::new(weights::folder()));
    let model = bases.base(base).await.expect("the base").model;
    embed(&models, &model, vec!["loaded now".to_owned()]).await;

    let chunks: usize = documents.iter().map(Vec::len).sum();
    let start = now();
    let models = &models;
    let model = model.as_str();
    let each = documents.into_iter().map(|texts| async move {
        let mut tokens = 0;
        for some in texts.chunks(TEXTS) {
            tokens += embed(models, model, some.to_vec()).await;
        }
        tokens
    });
    let tokens: u64 = stream::iter(each).buffer_unordered(DOCUMENTS).fold(0, |sum, one| async move { sum + one }).await;
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        "{chunks} chunks, {tokens} tokens, {seconds:.1} s: {:.1} chunks/s, {:.0} tokens/s",
        chunks as f64 / seconds,
        tokens as f64 / seconds
    ));
}

/// What is embedded of each document.
async fn texts(bases: &KnowledgeBases, base: &str) -> Vec<Vec<String>> {
    let query = DocumentQuery { limit: usize::MAX, ..DocumentQuery::default() };
    let mut all = Vec::new();
    for document in bases.list_documents(base, &query).await.expect("documents") {
        let chunks = bases.chunks(base, &document.id, None, usize::MAX).await.expect("chunks");
        all.push(chunks.iter().map(|stored| stored.chunk.searched(&document.title)).collect());
    }
    all
}

async fn embed(models: &LocalModels, model: &str, texts: Vec<String>) -> u64 {
    let request = EmbedRequest { model: model.to_owned(), texts, ..EmbedRequest::default() };
    models.embed(request).await.expect("vectors").usage.input_tokens
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "a benchmark speaks on stdout")]
fn say(text: &str) {
    println!("{text}");
}
