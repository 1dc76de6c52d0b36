//! What is sent: both wire formats from the same question, and what is learnt from refusals.

use liteagent_engine::{
    capability::model::{ChatRequest, Message, Part, Sampling, ToolCall, ToolChoice},
    value,
    value::Value,
};
use rstest::rstest;
use serde_json::{Value as Json, json};

use super::world::{Server, World, delta, finish, question, tool, user};

/// A question with everything in it.
fn everything() -> ChatRequest {
    let parts = vec![
        Part::Text { text: "Look".into() },
        Part::Image { mime: "image/png".into(), content: "png".into() },
        Part::File { name: "a.pdf".into(), mime: "application/pdf".into(), content: "pdf".into() },
        Part::File { name: "b.csv".into(), mime: "text/csv".into(), content: "1,2".into() },
    ];
    let call =
        |id: &str, arguments: &str| ToolCall { id: id.into(), name: "look_up".into(), arguments: arguments.into() };
    let result = |call: &str, failed: bool| Message::Tool {
        call: call.into(),
        name: "look_up".into(),
        text: "none".into(),
        failed,
    };
    ChatRequest {
        messages: vec![
            Message::System { text: "Be brief.".into() },
            Message::User { parts },
            Message::Assistant {
                text: "I look.".into(),
                calls: vec![call("a:1", "{\"id\":7}"), call("b", "{\"id")],
                opaque: None,
            },
            result("a:1", false),
            result("b", true),
            user("And?"),
        ],
        tools: vec![tool()],
        tool_choice: ToolChoice::Required,
        sampling: Sampling {
            temperature: Some(0.5),
            max_tokens: Some(99),
            stop: vec!["END".into()],
            ..Sampling::default()
        },
        idempotency_key: Some("key-1".into()),
        ..question("")
    }
}

fn schema() -> Value {
    value!({ "type": "object", "properties": { "city": { "type": "string", "maxLength": 9 } }, "required": ["city"] })
}

#[tokio::test]
async fn openai_gets_everything_in_its_words() {
    let mut world = World::openai("headers = { X-Team = \"blue\" }\nextra = { service_tier = \"flex\" }").await;
    let asked = world.ask(ChatRequest { schema: Some(schema()), ..everything() });
    let call = world.server.next().await;
    assert_eq!((call.header("idempotency-key"), call.header("x-team")), (Some("key-1"), Some("blue")));
    let body = &call.body;
    let messages = &body["messages"];
    assert_eq!(messages[0], json!({ "role": "system", "content": "Be brief." }));
    assert_eq!(
        messages[1]["content"],
        json!([
            { "type": "text", "text": "Look" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,cG5n" } },
            { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm" } },
            { "type": "text", "text": "File b.csv:\n\n1,2" },
        ])
    );
    assert_eq!(messages[2]["tool_calls"][1]["function"], json!({ "name": "look_up", "arguments": "{\"id" }));
    assert_eq!(messages[4], json!({ "role": "tool", "tool_call_id": "b", "content": "none" }));
    assert_eq!(
        (&body["tool_choice"], &body["max_tokens"], &body["stop"]),
        (&json!("required"), &json!(99), &json!(["END"]))
    );
    assert_eq!((&body["temperature"], &body["service_tier"]), (&json!(0.5), &json!("flex")));
    let format = &body["response_format"]["json_schema"];
    assert_eq!((&format["strict"], &format["schema"]["additionalProperties"]), (&json!(true), &json!(false)));
    assert_eq!(format["schema"]["properties"]["city"], json!({ "type": "string" }), "the caller validates the rest");
    call.events([delta(json!({ "content": "{}" })), finish("stop")]).await;
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn anthropic_gets_the_same_with_its_roles_in_turns() {
    let mut world = World::anthropic("").await;
    let asked = world.ask(everything());
    let call = world.server.next().await;
    assert_eq!(call.path, "/v1/messages");
    assert_eq!((call.header("x-api-key"), call.header("authorization")), (Some("sk-secret"), None));
    assert!(call.header("anthropic-version").is_some());
    let body = &call.body;
    assert_eq!((&body["system"], &body["max_tokens"]), (&json!("Be brief."), &json!(99)));
    assert_eq!((&body["tool_choice"], &body["stop_sequences"]), (&json!({ "type": "any" }), &json!(["END"])));
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let first = &body["messages"][0]["content"];
    assert_eq!(first[1]["source"], json!({ "type": "base64", "media_type": "image/png", "data": "cG5n" }));
    assert_eq!(
        first[2],
        json!({ "type": "document", "title": "a.pdf",
        "source": { "type": "base64", "media_type": "application/pdf", "data": "cGRm" } })
    );
    assert_eq!(first[3]["source"], json!({ "type": "text", "media_type": "text/plain", "data": "1,2" }));
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "a_1", "name": "look_up", "input": { "id": 7 } },
            { "type": "tool_use", "id": "b", "name": "look_up", "input": { "unreadable": "{\"id" } },
        ])
    );
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            { "type": "tool_result", "tool_use_id": "a_1", "content": "none" },
            { "type": "tool_result", "tool_use_id": "b", "content": "none", "is_error": true },
            { "type": "text", "text": "And?" },
        ])
    );
    drop(call);
    asked.abort();
}

#[rstest]
// An optional property cannot be held strictly.
#[case(value!({ "type": "object", "properties": { "a": { "type": "string" } } }), json!(false))]
// What is no object stands in words.
#[case(value!({ "type": "array", "items": { "type": "string" } }), Json::Null)]
#[tokio::test]
async fn schemas_that_cannot_be_strict_are_given_otherwise(#[case] schema: Value, #[case] strict: Json) {
    let mut world = World::openai("").await;
    let asked = world.ask(ChatRequest { schema: Some(schema), ..question("Hi") });
    let call = world.server.next().await;
    assert_eq!(call.body["response_format"]["json_schema"]["strict"], strict);
    let words = call.body["messages"][0]["content"].as_str().unwrap();
    assert_eq!(words.contains("must fit this JSON Schema"), strict.is_null(), "{words}");
    call.events([delta(json!({ "content": "{}" })), finish("stop")]).await;
    asked.await.unwrap().unwrap();
}

/// A refusal, the field that it is about, and what the next request has instead.
#[rstest]
#[case::other_name(
    r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}"#,
    "max_tokens", "max_completion_tokens", json!(99)
)]
#[case::fixed_temperature(
    r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model.","param":"temperature","code":"unsupported_value"}}"#,
    "temperature", "max_tokens", json!(99)
)]
#[case::unknown_field(
    r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]},"type":"invalid_request_error"}"#,
    "stream_options", "stream", json!(true)
)]
#[case::schema_only_as_words(
    r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error"}}"#,
    "", "response_format", json!({ "type": "json_object" })
)]
#[case::tools_only_without_reasoning(
    r#"{"error":{"message":"Function tools with reasoning_effort are not supported for m in /v1/chat/completions. Use /v1/responses or set reasoning_effort to 'none'.","param":"reasoning_effort"}}"#,
    "", "reasoning_effort", json!("none")
)]
#[tokio::test]
async fn a_refused_field_is_left_out_from_then_on(
    #[case] refusal: &str,
    #[case] without: &str,
    #[case] with: &str,
    #[case] value: Json,
) {
    let mut world = World::openai("").await;
    for round in 0..2 {
        let asked = world.ask(ChatRequest { schema: Some(schema()), ..everything() });
        if round == 0 {
            world.server.next().await.answer(400, &[], refusal).await;
        }
        let call = world.server.next().await;
        assert_eq!((call.body.get(without), &call.body[with]), (None, &value), "round {round}");
        call.events([delta(json!({ "content": "{}" })), finish("stop")]).await;
        asked.await.unwrap().unwrap();
    }
    assert!(world.server.is_quiet());
}

#[tokio::test]
async fn a_wrong_value_is_not_taken_for_an_unknown_field() {
    let mut world = World::openai("").await;
    let asked = world.ask(everything());
    let refusal = r#"{"error":{"message":"Invalid 'temperature': must be at most 2","param":"temperature","code":"invalid_value"}}"#;
    world.server.next().await.answer(400, &[], refusal).await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.code, liteagent_engine::codes::PROVIDER_REQUEST);
    assert!(error.message.contains("must be at most 2"), "{error}");
}

#[tokio::test]
async fn claude_learns_too_and_its_dialects_differ() {
    // A copy of the interface: the answer is a tool that must be called, until that is refused.
    let mut world = World::anthropic("").await;
    let asked = world.ask(ChatRequest { schema: Some(schema()), ..question("Where?") });
    let call = world.server.next().await;
    assert_eq!(call.body["tool_choice"], json!({ "type": "tool", "name": "answer" }));
    assert_eq!(call.body["tools"][0]["input_schema"]["properties"]["city"]["maxLength"], 9);
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"tool_choice forces tool use, which is not supported on this model"}}"#;
    call.answer(400, &[], refusal).await;
    let call = world.server.next().await;
    assert_eq!(call.body.get("tools"), None);
    assert_eq!(call.body["output_config"]["format"]["type"], "json_schema");
    let unknown = r#"{"type":"error","error":{"type":"invalid_request_error","message":"output_config: Extra inputs are not permitted"}}"#;
    call.answer(400, &[], unknown).await;
    let call = world.server.next().await;
    assert!(call.body.get("output_config").is_none() && call.body["system"].as_str().unwrap().contains("JSON Schema"));
    drop(call);
    asked.abort();
}

#[tokio::test]
async fn azure_names_deployments_and_its_version() {
    let server = Server::start().await;
    let toml =
        format!("[providers.x]\nbase_url = \"http://{}\"\nkey = \"KEY\"\napi_version = \"2024-10-21\"", server.address);
    let mut world = World::at(server, &toml, &[]).await;
    let asked = world.ask(ChatRequest { models: vec!["x/my model/1".into()], ..question("Hi") });
    let call = world.server.next().await;
    assert_eq!(call.path, "/openai/deployments/my%20model%2F1/chat/completions?api-version=2024-10-21");
    drop(call);
    asked.abort();
}
