//! What the local models do in a second. `cargo xtask models` fetches the weights.
//!
//! Without arguments it prints a table. `serve THREADS` answers lines of JSON instead, for `beside.py`, which measures others
//! in turns with it.

use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, executor::block_on};
use liteagent_engine::capability::model::{ChatEvent, ChatRequest, EmbedRequest, Message, Models, Part, Sampling};
use liteagent_local_models::{LocalConfig, LocalModels, weights};
use serde_json::{Value, json};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let _entered = runtime.enter();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let config = LocalConfig { kept: 0, ..LocalConfig::new(weights::folder()) };
    match arguments.as_slice() {
        [] => print(&LocalModels::new(config)),
        [serve, threads] if serve == "serve" => {
            let threads = threads.parse().expect("a number of threads");
            answer_lines(&LocalModels::new(LocalConfig { threads, answers: 1, ..config }));
        }
        other => panic!("expected nothing, or `serve THREADS`, found {other:?}"),
    }
}

/// A chat, measured.
struct Chatted {
    first: Duration,
    rest: Duration,
    input: u64,
    output: u64,
}

fn chat(models: &LocalModels, text: &str, most: u64) -> Chatted {
    let request = ChatRequest {
        models: vec!["local/smollm2-135m-instruct".into()],
        messages: vec![Message::User { parts: vec![Part::Text { text: text.into() }] }],
        sampling: Sampling { temperature: Some(0.0), max_tokens: Some(most), ..Sampling::default() },
        ..ChatRequest::default()
    };
    let start = now();
    let mut answer = block_on(models.chat(request)).expect("an answer");
    let first = start.elapsed();
    let start = now();
    let mut usage = None;
    while let Some(event) = block_on(answer.next()) {
        if let ChatEvent::End(end) = event.expect("no fault") {
            usage = Some(end.usage);
        }
    }
    let usage = usage.expect("an end");
    Chatted { first, rest: start.elapsed(), input: usage.input_tokens, output: usage.output_tokens }
}

fn embed(models: &LocalModels, texts: Vec<String>) -> (Duration, Vec<Vec<f32>>, u64) {
    let request = EmbedRequest { model: "local/all-minilm-l6-v2".into(), texts, ..EmbedRequest::default() };
    let start = now();
    let found = block_on(models.embed(request)).expect("vectors");
    (start.elapsed(), found.vectors, found.usage.input_tokens)
}

fn print(models: &LocalModels) {
    let load = now();
    chat(models, "Hi", 1);
    say(&format!("chat model, first start      {:8.1} ms", load.elapsed().as_secs_f64() * 1e3));
    for words in [60, 240, 800, 2000] {
        let text = "the quick brown fox jumps over the lazy dog and "[..].repeat(words / 10);
        let best =
            (0..3).map(|_| chat(models, &format!("Tell a long story of {text}"), 48)).min_by_key(|run| run.first);
        let run = best.expect("it ran");
        say(&format!(
            "question of {:5} tokens     {:8.1} ms to the first token, {:5.0} tokens/s read, {:5.1} tokens/s written",
            run.input,
            run.first.as_secs_f64() * 1e3,
            run.input as f64 / run.first.as_secs_f64(),
            (run.output - 1) as f64 / run.rest.as_secs_f64(),
        ));
    }
    let load = now();
    embed(models, vec!["Hi".into()]);
    say(&format!("embedding model, first start {:8.1} ms", load.elapsed().as_secs_f64() * 1e3));
    let texts: Vec<String> = (0..256).map(|index| format!("{index} {}", "some words of a chunk ".repeat(17))).collect();
    let (took, vectors, tokens) = (0..3).map(|_| embed(models, texts.clone())).min_by_key(|run| run.0).expect("it ran");
    say(&format!(
        "256 texts of {:3} tokens       {:8.1} texts/s",
        tokens / vectors.len() as u64,
        vectors.len() as f64 / took.as_secs_f64()
    ));
}

/// `{"chat": TEXT, "most": N}` and `{"embed": [TEXT...]}`, each answered by a line.
fn answer_lines(models: &LocalModels) {
    for line in stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let reply = if let Some(text) = line["chat"].as_str() {
            let run = chat(models, text, line["most"].as_u64().expect("how many tokens"));
            json!({ "first": run.first.as_secs_f64(), "rest": run.rest.as_secs_f64(), "input": run.input, "output": run.output })
        } else {
            let texts = serde_json::from_value(line["embed"].clone()).expect("texts");
            let (took, vectors, tokens) = embed(models, texts);
            json!({ "seconds": took.as_secs_f64(), "vectors": vectors, "tokens": tokens })
        };
        say(&reply.to_string());
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "a benchmark speaks on stdout")]
fn say(text: &str) {
    println!("{text}");
    let _ = stdout().flush();
}
