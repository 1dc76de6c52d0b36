//! Answers as OpenAI streams them, and as its many relatives do.

use liteagent_engine::{
    capability::model::{ChatRequest, Finish, Message},
    codes,
};
use rstest::rstest;
use serde_json::json;

use super::world::{World, delta, finish, question, tool, usage, user};

#[tokio::test]
async fn text_comes_in_pieces_and_the_end_says_what_was_used() {
    let mut world = World::openai("models.m = { input = 1.0, cached = 0.1, output = 2.0 }").await;
    let asked = world.ask(question("Hello"));
    let mut call = world.server.next().await;
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(call.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(call.body["messages"], json!([{ "role": "user", "content": "Hello" }]));
    assert_eq!(call.body["stream_options"], json!({ "include_usage": true }));
    call.stream().await;
    call.chunk(": keep-alive\n\n").await;
    call.event(delta(json!({ "role": "assistant", "content": "" }))).await;
    // Cut within a character, within a line, within a line end.
    let event = format!("data: {}\r\n\r\n", delta(json!({ "content": "Grüße, 世界" })));
    for byte in event.as_bytes() {
        call.chunk([*byte]).await;
    }
    call.event(delta(json!({ "content": "!" }))).await;
    call.event(finish("stop")).await;
    call.event(json!({ "choices": [], "usage": { "prompt_tokens": 1000, "completion_tokens": 300,
        "prompt_tokens_details": { "cached_tokens": 200 }, "completion_tokens_details": { "reasoning_tokens": 50 } } }))
        .await;
    call.chunk("data: [DONE]\n\n").await;
    call.end().await;

    let said = asked.await.unwrap().unwrap();
    assert_eq!(said.pieces, ["Grüße, 世界", "!"]);
    let end = said.end();
    assert_eq!((end.model.as_str(), end.finish), ("x/m", Finish::Stop));
    let used = end.usage;
    assert_eq!(
        (used.input_tokens, used.cached_tokens, used.output_tokens, used.reasoning_tokens),
        (1000, 200, 300, 50)
    );
    assert_eq!((used.cost, used.unpriced), (800 + 20 + 600, 0));
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_dropped_answer_hangs_up() {
    use liteagent_engine::capability::model::Models as _;
    let mut world = World::openai("").await;
    for _ in 0..2 {
        let asked = world.ask(question("Hi"));
        world.server.next().await.events([delta(json!({ "content": "Hi" })), finish("stop")]).await;
        asked.await.unwrap().unwrap();
    }
    let router = world.router.clone();
    let asked = tokio::spawn(async move { router.chat(question("Hi")).await.map(drop) });
    let mut call = world.server.next().await;
    call.stream().await;
    call.event(delta(json!({ "content": "Hi" }))).await;
    asked.await.unwrap().unwrap();
    call.hung_up().await;
}

/// Pieces of calls as servers send them, and the calls that they are.
#[rstest]
#[case::in_pieces_and_in_parallel(
    &[
        r#"[{"index":0,"id":"a","type":"function","function":{"name":"look_up","arguments":""}}]"#,
        r#"[{"index":0,"function":{"arguments":"{\"id\":"}}]"#,
        r#"[{"index":1,"id":"b","function":{"name":"look_up","arguments":"{}"}}]"#,
        r#"[{"index":0,"function":{"arguments":"\"7\"}"}}]"#,
    ],
    &[r#"look_up({"id":"7"})#a"#, "look_up({})#b"]
)]
#[case::a_name_that_comes_late(
    &[
        r#"[{"index":0,"id":"a","function":{"arguments":"{"}}]"#,
        r#"[{"index":0,"function":{"name":"look_up"}}]"#,
        r#"[{"index":0,"function":{"name":"look_up","arguments":"}"}}]"#,
    ],
    &["look_up({})#a"]
)]
#[case::without_index(
    &[
        r#"[{"id":"a","function":{"name":"one","arguments":"{}"}},{"id":"b","function":{"name":"two","arguments":"{"}}]"#,
        r#"[{"function":{"arguments":"}"}}]"#,
    ],
    &["one({})#a", "two({})#b"]
)]
#[case::the_same_index_for_all(
    &[
        r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}]"#,
        r#"[{"index":0,"id":"b","function":{"name":"two","arguments":"{}"}}]"#,
    ],
    &["one({})#a", "two({})#b"]
)]
#[case::without_id_or_arguments(
    &[r#"[{"index":0,"id":null,"function":{"name":"one","arguments":null}},{"index":1,"function":{"name":"two"}}]"#],
    &["one({})#call_0", "two({})#call_1"]
)]
#[case::arguments_as_an_object(
    &[r#"[{"index":0,"id":"a","function":{"name":"one","arguments":{"id":7}}}]"#],
    &[r#"one({"id":7})#a"#]
)]
#[case::truncated_arguments_are_passed_on(
    &[r#"[{"index":0,"id":"a","function":{"name":"one","arguments":"{\"id\": \"7"}}]"#],
    &[r#"one({"id": "7)#a"#]
)]
#[tokio::test]
async fn calls_are_put_together(#[case] pieces: &[&str], #[case] calls: &[&str]) {
    let mut world = World::openai("").await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Find 7") });
    let pieces = pieces
        .iter()
        .map(|piece| delta(json!({ "tool_calls": serde_json::from_str::<serde_json::Value>(piece).unwrap() })));
    // Some servers say that they stopped, though there are calls.
    let events = pieces.chain([finish("stop"), usage(10, 5)]);
    world.server.next().await.events(events).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!(said.shown_calls(), calls);
    assert_eq!((said.end().finish, said.end().usage.unpriced), (Finish::Tools, 1));
}

#[tokio::test]
async fn calls_come_after_the_text_also_when_the_answer_is_cut_short() {
    let mut world = World::openai("").await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Find 7") });
    let call = json!([{ "index": 0, "id": "a", "function": { "name": "look_up", "arguments": "{\"id" } }]);
    let events = [delta(json!({ "content": "I look." })), delta(json!({ "tool_calls": call })), finish("length")];
    world.server.next().await.events(events).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.text.as_str(), said.end().finish), ("I look.", Finish::Length));
    assert_eq!(said.shown_calls(), [r#"look_up({"id)#a"#]);
}

#[rstest]
#[case("reasoning_content")]
#[case("reasoning")]
#[tokio::test]
async fn reasoning_comes_apart_and_goes_back_with_calls(#[case] field: &str) {
    let mut world = World::openai("").await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Find 7") });
    let call = json!([{ "index": 0, "id": "a", "function": { "name": "look_up", "arguments": "{}" },
        "extra_content": { "google": { "thought_signature": "s" } } }]);
    let events = [
        delta(json!({ field: "Hm" })),
        delta(json!({ field: "m." })),
        delta(json!({ "tool_calls": call })),
        finish("tool_calls"),
    ];
    world.server.next().await.events(events).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.reasoning.as_str(), said.text.as_str()), ("Hmm.", ""));

    let answer =
        Message::Assistant { text: String::new(), calls: said.calls.clone(), opaque: said.end().opaque.clone() };
    let result = Message::Tool { call: "a".into(), name: "look_up".into(), text: "7".into(), failed: false };
    let asked = world.ask(ChatRequest { messages: vec![user("Find 7"), answer, result], ..question("") });
    let call = world.server.next().await;
    let back = &call.body["messages"][1];
    assert_eq!((&back[field], &back["content"]), (&json!("Hmm."), &json!(null)));
    assert_eq!(back["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "s");
    assert_eq!(call.body["messages"][2], json!({ "role": "tool", "tool_call_id": "a", "content": "7" }));
    call.events([delta(json!({ "content": "7" })), finish("stop")]).await;
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn thinking_in_parts_and_usage_in_other_places_are_understood() {
    let mut world = World::openai("").await;
    let asked = world.ask(question("Hi"));
    let parts = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm" }] }, { "type": "text", "text": "Hi" }]);
    let last = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "x_groq": { "usage": { "prompt_tokens": 3, "completion_tokens": 4 } } });
    world.server.next().await.events([delta(json!({ "content": parts })), last]).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.reasoning.as_str(), said.text.as_str(), said.end().usage.tokens()), ("Hm", "Hi", 7));
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_read_all_the_same() {
    let mut world = World::openai("").await;
    let asked = world.ask(question("Hi"));
    let body = json!({ "choices": [{ "message": { "role": "assistant", "content": "Hi", "tool_calls": [
        { "id": "a", "function": { "name": "one", "arguments": "{}" } }] }, "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 4 } });
    world.server.next().await.answer(200, &[("content-type", "application/json")], format!("\n{body}")).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.text.as_str(), said.shown_calls().len(), said.end().usage.tokens()), ("Hi", 1, 7));
}

#[tokio::test]
async fn what_is_not_counted_is_estimated() {
    let mut world = World::openai("").await;
    let asked = world.ask(question(&"word ".repeat(80)));
    world.server.next().await.events([delta(json!({ "content": "x".repeat(40) })), finish("stop")]).await;
    let used = asked.await.unwrap().unwrap().end().usage;
    assert_eq!((used.input_tokens, used.output_tokens), (104, 10));
}

/// An end without `[DONE]`, and `[DONE]` without an end.
#[rstest]
#[case::without_done(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n"], None)]
#[case::without_finish(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n"], None)]
#[case::without_empty_line(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]"], None)]
#[case::without_either(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n"], Some("the connection ended before the answer did"))]
#[case::cut_within_an_event(&["data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n", "data: {\"choices\":[{\"de"], Some("expected a piece of an answer"))]
#[tokio::test]
async fn the_end_of_a_stream_is_recognised(#[case] chunks: &[&str], #[case] broken: Option<&str>) {
    let mut world = World::openai("").await;
    let asked = world.ask(question("Hi"));
    let mut call = world.server.next().await;
    call.stream().await;
    for chunk in chunks {
        call.chunk(chunk).await;
    }
    call.end().await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!(said.text, "Hi");
    match broken {
        None => assert_eq!(said.end().finish, Finish::Stop),
        Some(why) => {
            let error = said.error.unwrap();
            assert_eq!(error.code, codes::PROVIDER_ANSWER);
            assert!(error.message.contains(why), "{error}");
            assert!(said.spent.unwrap().output_tokens > 0, "a broken answer was paid for, too");
        }
    }
}
