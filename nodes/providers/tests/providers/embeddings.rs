//! Vectors of texts.

use liteagent_engine::{
    capability::model::{EmbedRequest, Models as _},
    codes,
};
use serde_json::json;

use super::world::{World, question};

#[tokio::test]
async fn many_texts_go_in_requests_of_a_bounded_size() {
    let mut world = World::openai("models.e = { embeds = true, input = 10.0, output = 0.0, question = \"q: \" }").await;
    let texts: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let router = world.router.clone();
    let asked = tokio::spawn(async move {
        router.embed(EmbedRequest { model: "x/e".into(), texts, questions: true, ..EmbedRequest::default() }).await
    });
    for _ in 0..3 {
        let call = world.server.next().await;
        assert_eq!(call.path, "/v1/embeddings");
        let input = call.body["input"].as_array().unwrap().clone();
        assert!(input.len() <= 128 && input.iter().all(|text| text.as_str().unwrap().starts_with("q: ")));
        let number = |text: &serde_json::Value| text.as_str().unwrap()[3..].parse::<f64>().unwrap();
        let data: Vec<_> = input.iter().map(|text| json!({ "embedding": [1.0, number(text)] })).collect();
        let body = json!({ "data": data, "usage": { "prompt_tokens": input.len(), "total_tokens": input.len() } });
        call.answer(200, &[("content-type", "application/json")], body.to_string()).await;
    }
    let done = asked.await.unwrap().unwrap();
    assert_eq!((done.model.as_str(), done.usage.input_tokens, done.usage.cost), ("x/e", 300, 3_000));
    let back: Vec<f32> = done.vectors.iter().map(|vector| (vector[1] / vector[0]).round()).collect();
    assert_eq!(back, (0..300).map(|number| number as f32).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_model_does_what_it_can_and_nothing_else() {
    let mut world = World::openai("models.e = { embeds = true }").await;
    let mut chat = question("Hi");
    chat.models = vec!["x/e".to_owned()];
    let error = world.ask(chat).await.unwrap().unwrap_err();
    assert_eq!(error.code, codes::PROVIDER_UNABLE);
    let info = world.router.describe("x/e").unwrap();
    assert!(!info.chats && info.tools == liteagent_engine::capability::model::ToolUse::No);
    assert!(world.server.is_quiet());

    let none = EmbedRequest { model: "x/e".into(), ..EmbedRequest::default() };
    assert_eq!(world.router.embed(none).await.unwrap().vectors.len(), 0);

    let claude = World::anthropic("").await;
    let some = EmbedRequest { model: "x/m".into(), texts: vec!["a".into()], ..EmbedRequest::default() };
    assert_eq!(claude.router.embed(some).await.unwrap_err().code, codes::PROVIDER_UNABLE);
}

#[tokio::test]
async fn a_refusal_of_vectors_is_told_as_any_other() {
    let mut world = World::openai("").await;
    let router = world.router.clone();
    let asked = tokio::spawn(async move {
        router.embed(EmbedRequest { model: "x/e".into(), texts: vec!["a".into()], ..EmbedRequest::default() }).await
    });
    world.server.next().await.answer(401, &[], r#"{"error":{"message":"no"}}"#).await;
    assert_eq!(asked.await.unwrap().unwrap_err().code, codes::PROVIDER_WRONG_KEY);
}
