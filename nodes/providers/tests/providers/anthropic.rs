//! Answers as Anthropic streams them.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use liteagent_engine::{
    capability::model::{ChatRequest, Finish, Message, ToolCall},
    codes, value,
};
use serde_json::{Value as Json, json};

use super::world::{Call, World, question, tool, user};

/// Streams events, each under its name.
async fn stream(mut call: Call, events: impl IntoIterator<Item = Json>) {
    call.stream().await;
    for event in events {
        call.chunk(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).await;
    }
    call.end().await;
}

fn start() -> Json {
    let usage = json!({ "input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 40, "output_tokens": 1 });
    json!({ "type": "message_start", "message": { "id": "m", "role": "assistant", "content": [], "usage": usage } })
}

fn begin(index: u64, block: Json) -> Json {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn go_on(index: u64, delta: Json) -> Json {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn stop(reason: &str) -> [Json; 2] {
    [
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": 25 } }),
        json!({ "type": "message_stop" }),
    ]
}

#[tokio::test]
async fn text_calls_and_usage_are_read() {
    let price = "models.m = { input = 1.0, cached = 0.1, written = 2.0, output = 4.0 }";
    let mut world = World::anthropic(price).await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Find 7") });
    let events = [
        start(),
        json!({ "type": "ping" }),
        begin(0, json!({ "type": "text", "text": "" })),
        go_on(0, json!({ "type": "text_delta", "text": "I " })),
        go_on(0, json!({ "type": "text_delta", "text": "look." })),
        json!({ "type": "content_block_stop", "index": 0 }),
        begin(1, json!({ "type": "tool_use", "id": "a", "name": "look_up", "input": {} })),
        go_on(1, json!({ "type": "input_json_delta", "partial_json": "" })),
        go_on(1, json!({ "type": "input_json_delta", "partial_json": "{\"id\": " })),
        go_on(1, json!({ "type": "input_json_delta", "partial_json": "\"7\"}" })),
        begin(2, json!({ "type": "tool_use", "id": "b", "name": "look_up", "input": {} })),
        json!({ "type": "something_new" }),
    ];
    stream(world.server.next().await, events.into_iter().chain(stop("tool_use"))).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!(
        (said.text.as_str(), said.shown_calls()),
        ("I look.", vec![r#"look_up({"id": "7"})#a"#.into(), "look_up({})#b".into()])
    );
    let end = said.end();
    assert_eq!((end.finish, end.opaque.as_ref()), (Finish::Tools, None));
    assert_eq!((end.usage.input_tokens, end.usage.cached_tokens, end.usage.output_tokens), (150, 100, 25));
    assert_eq!(end.usage.cost, 10 + 10 + 80 + 100);
}

#[tokio::test]
async fn signed_thinking_goes_back_as_it_was() {
    let mut world = World::anthropic("").await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Find 7") });
    let events = [
        start(),
        begin(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        go_on(0, json!({ "type": "thinking_delta", "thinking": "Hm" })),
        go_on(0, json!({ "type": "signature_delta", "signature": "sig" })),
        begin(1, json!({ "type": "redacted_thinking", "data": "xyz" })),
        begin(2, json!({ "type": "text", "text": "I look." })),
        begin(3, json!({ "type": "tool_use", "id": "a", "name": "look_up", "input": {} })),
        go_on(3, json!({ "type": "input_json_delta", "partial_json": "{\"id\":\"7\"}" })),
    ];
    stream(world.server.next().await, events.into_iter().chain(stop("tool_use"))).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.reasoning.as_str(), said.text.as_str()), ("Hm", "I look."));

    let history = |text: &str, calls: &[ToolCall]| {
        let answer = Message::Assistant { text: text.into(), calls: calls.to_vec(), opaque: said.end().opaque.clone() };
        let result = Message::Tool { call: "a".into(), name: "look_up".into(), text: "7".into(), failed: false };
        ChatRequest { messages: vec![user("Find 7"), answer, result], tools: vec![tool()], ..question("") }
    };
    let blocks = json!([
        { "type": "thinking", "thinking": "Hm", "signature": "sig" },
        { "type": "redacted_thinking", "data": "xyz" },
        { "type": "text", "text": "I look." },
        { "type": "tool_use", "id": "a", "name": "look_up", "input": { "id": "7" } },
    ]);
    let asked = world.ask(history("I look.", &said.calls));
    let call = world.server.next().await;
    assert_eq!(call.body["messages"][1]["content"], blocks);
    // Bound to another conversation: it is sent without, this once.
    let refusal = json!({ "type": "error", "error": { "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation." } });
    call.answer(400, &[], refusal.to_string()).await;
    let call = world.server.next().await;
    assert_eq!(call.body["messages"][1]["content"][0]["type"], "text");
    drop(call);
    asked.abort();

    // A message that was changed has no claim to the signature.
    let asked = world.ask(history("I looked.", &said.calls));
    let call = world.server.next().await;
    assert_eq!(call.body["messages"][1]["content"][0], json!({ "type": "text", "text": "I looked." }));
    drop(call);
    asked.abort();
}

#[tokio::test]
async fn an_answer_that_is_a_tool_comes_as_text() {
    let mut world = World::anthropic("").await;
    let schema = value!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let asked = world.ask(ChatRequest { schema: Some(schema), ..question("Where?") });
    let call = world.server.next().await;
    assert_eq!(call.body["tool_choice"], json!({ "type": "tool", "name": "answer" }));
    let events = [
        start(),
        begin(0, json!({ "type": "tool_use", "id": "a", "name": "answer", "input": {} })),
        go_on(0, json!({ "type": "input_json_delta", "partial_json": "{\"city\":" })),
        go_on(0, json!({ "type": "input_json_delta", "partial_json": "\"Rome\"}" })),
    ];
    stream(call, events.into_iter().chain(stop("tool_use"))).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!(said.pieces, ["{\"city\":", "\"Rome\"}"]);
    assert_eq!((said.calls.len(), said.end().finish), (0, Finish::Stop));
}

#[tokio::test]
async fn ends_of_every_kind_are_understood() {
    let mut world = World::anthropic("").await;
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
    ] {
        let asked = world.ask(question("Hi"));
        let events = [start(), begin(0, json!({ "type": "text", "text": "Hi" }))];
        stream(world.server.next().await, events.into_iter().chain(stop(reason))).await;
        assert_eq!(asked.await.unwrap().unwrap().end().finish, finish, "{reason}");
    }
    let refused = world.ask(question("Hi"));
    let events = [start(), begin(0, json!({ "type": "text", "text": "I" }))];
    stream(world.server.next().await, events.into_iter().chain(stop("refusal"))).await;
    let said = refused.await.unwrap().unwrap();
    assert_eq!(said.error.unwrap().code, codes::PROVIDER_FILTERED);
    assert_eq!(said.spent.unwrap().input_tokens, 150, "a refusal was paid for");
}

#[tokio::test]
async fn a_whole_message_is_read_all_the_same() {
    let mut world = World::anthropic("").await;
    let asked = world.ask(ChatRequest { tools: vec![tool()], ..question("Hi") });
    let body = json!({ "type": "message", "content": [{ "type": "thinking", "thinking": "Hm", "signature": "s" },
        { "type": "text", "text": "Hi" }, { "type": "tool_use", "id": "a", "name": "look_up", "input": { "id": "7" } }],
        "stop_reason": "tool_use", "usage": { "input_tokens": 3, "output_tokens": 4 } });
    world.server.next().await.answer(200, &[("content-type", "application/json")], body.to_string()).await;
    let said = asked.await.unwrap().unwrap();
    assert_eq!((said.reasoning.as_str(), said.text.as_str(), said.end().usage.tokens()), ("Hm", "Hi", 7));
    assert_eq!(said.shown_calls(), [r#"look_up({"id":"7"})#a"#]);
}

#[tokio::test]
async fn a_broken_stream_is_an_error_that_says_so() {
    let mut world = World::anthropic("").await;
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let text = begin(0, json!({ "type": "text", "text": "Hi" }));
    let lost = go_on(7, json!({ "type": "text_delta", "text": "x" }));
    for (events, code, said) in [
        (vec![start(), text.clone(), error], codes::PROVIDER_OVERLOADED, "Overloaded"),
        (vec![start(), text.clone()], codes::PROVIDER_ANSWER, "ended before the answer did"),
        (vec![start(), text, lost], codes::PROVIDER_ANSWER, "the block 7, which did not begin"),
    ] {
        let asked = world.ask(question("Hi"));
        stream(world.server.next().await, events).await;
        let answer = asked.await.unwrap().unwrap();
        let error = answer.error.unwrap();
        assert_eq!((error.code, answer.text.as_str()), (code, "Hi"));
        assert!(error.message.contains(said), "{error}");
    }
}
