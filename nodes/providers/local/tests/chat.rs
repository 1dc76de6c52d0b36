//! The chat model as nodes see it. Nothing depends on what it says, only on the form. `cargo xtask models` fetches the weights.

use std::sync::LazyLock;

use bytes::Bytes;
use futures::StreamExt as _;
use liteagent_engine::{
    capability::model::{
        ChatEnd, ChatEvent, ChatRequest, Finish, Message, Models, Part, Sampling, ToolChoice, ToolSpec,
    },
    codes,
    error::{Code, NodeError},
    value::Value,
};
use liteagent_local_models::{LocalConfig, LocalModels, weights};
use rstest::rstest;
use serde_json::json;

const MODEL: &str = "local/smollm2-135m-instruct";

static MODELS: LazyLock<LocalModels> = LazyLock::new(|| LocalModels::new(LocalConfig::new(weights::folder())));

fn user(text: &str) -> Message {
    Message::User { parts: vec![Part::Text { text: text.into() }] }
}

fn request(messages: impl Into<Vec<Message>>) -> ChatRequest {
    let sampling = Sampling { max_tokens: Some(24), seed: Some(1), ..Sampling::default() };
    ChatRequest { models: vec![MODEL.into()], messages: messages.into(), sampling, ..ChatRequest::default() }
}

/// The pieces of an answer, and its end.
async fn ask(request: ChatRequest) -> Result<(Vec<String>, ChatEnd), NodeError> {
    let mut answer = MODELS.chat(request).await?;
    let mut pieces = Vec::new();
    while let Some(event) = answer.next().await {
        match event? {
            ChatEvent::Text(text) => pieces.push(text),
            ChatEvent::End(end) => {
                assert!(answer.next().await.is_none(), "nothing follows the end");
                return Ok((pieces, end));
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the answer has no end")
}

#[track_caller]
fn refused(answer: Result<(Vec<String>, ChatEnd), NodeError>, code: Code) -> String {
    let error = answer.map(|_| ()).expect_err("it is refused");
    assert_eq!(error.code, code, "{error}");
    assert!(error.hint.is_some());
    error.message
}

#[tokio::test]
async fn an_answer_comes_in_pieces_and_says_what_it_used() {
    let (pieces, end) = ask(request([user("Name three fruits.")])).await.unwrap();
    assert!(pieces.len() > 3 && pieces.iter().all(|piece| !piece.is_empty()), "{pieces:?}");
    assert_eq!(end.model, MODEL);
    assert_eq!(end.usage.input_tokens, 34);
    assert!((1..=24).contains(&end.usage.output_tokens));
    assert_eq!(end.usage.cost, 0);
    let info = MODELS.describe(MODEL).unwrap();
    assert!(
        info.chats && info.structured && info.tools == liteagent_engine::capability::model::ToolUse::No && !info.images
    );
    assert_eq!(info.context, Some(8192));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let asked = || ask(request([user("Tell a story about a fox.")]));
    assert_eq!(asked().await.unwrap().0.concat(), asked().await.unwrap().0.concat());
}

#[tokio::test]
async fn an_answer_ends_at_its_most_tokens_and_at_a_text_that_ends_it() {
    let mut short = request([user("Count from one to one hundred.")]);
    short.sampling.max_tokens = Some(5);
    let (_, end) = ask(short).await.unwrap();
    assert_eq!((end.finish, end.usage.output_tokens), (Finish::Length, 5));

    // Any answer has an `e` before long; none is given out.
    let mut stopped = request([user("Write about the sea, the trees and the weather.")]);
    stopped.sampling.stop = vec!["e".into()];
    stopped.sampling.max_tokens = Some(200);
    let (pieces, end) = ask(stopped).await.unwrap();
    assert_eq!(end.finish, Finish::Stop);
    assert!(!pieces.concat().contains('e') && end.usage.output_tokens < 100, "{pieces:?}");
}

#[tokio::test]
async fn a_follow_up_question_is_not_read_from_its_begin() {
    let long = "The harbour was quiet in the morning. ".repeat(30);
    let mut messages = vec![Message::System { text: long }, user("What was quiet?")];
    let (pieces, first) = ask(request(messages.clone())).await.unwrap();
    messages.push(Message::Assistant { text: pieces.concat(), calls: Vec::new(), opaque: None });
    messages.push(user("And when?"));
    let (_, second) = ask(request(messages.clone())).await.unwrap();
    assert!(second.usage.cached_tokens >= first.usage.input_tokens, "{first:?} {second:?}");
    assert!(second.usage.input_tokens > second.usage.cached_tokens);
    // Another question after the same begin shares the begin only.
    messages.truncate(1);
    messages.push(user("Something else entirely?"));
    let (_, third) = ask(request(messages)).await.unwrap();
    assert!(third.usage.cached_tokens > 200 && third.usage.cached_tokens < first.usage.input_tokens, "{third:?}");
}

#[rstest]
#[case(json!({ "type": "object", "required": ["name", "age"], "properties": {
    "name": { "type": "string", "maxLength": 20 }, "age": { "type": "integer" }, "member": { "type": "boolean" } } }))]
#[case(json!({ "type": "object", "required": ["kind"], "properties": { "kind": { "enum": ["invoice", "order"] } } }))]
#[case(json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 4 }))]
#[case(json!({ "type": "object", "required": ["any"] }))]
#[tokio::test]
async fn an_answer_has_the_form_of_its_schema(#[case] schema: serde_json::Value, #[values(0.0, 1.5)] temperature: f64) {
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut held = request([user("Ada is 36 and paid 12.50 for an order.")]);
    held.sampling.max_tokens = Some(60);
    held.sampling.temperature = Some(temperature);
    held.schema = Some(Value::from(schema));
    let text = ask(held).await.unwrap().0.concat();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(validator.is_valid(&value), "{text}");
}

#[tokio::test]
async fn many_questions_at_once_are_all_answered() {
    let all = (0..6).map(|index| ask(request([user(&format!("Question {index}"))])));
    for answer in futures::future::join_all(all).await {
        assert!(answer.unwrap().1.usage.output_tokens > 0);
    }
}

#[tokio::test]
async fn what_the_model_cannot_do_is_said_before_it_is_asked() {
    let tool = ToolSpec { name: "time".into(), description: String::new(), parameters: Value::object() };
    let mut with_tools = request([user("What time is it?")]);
    with_tools.tools = vec![tool];
    let message = refused(ask(with_tools.clone()).await, codes::LOCAL_UNABLE);
    assert_eq!(message, "`local/smollm2-135m-instruct` cannot call tools");
    with_tools.tool_choice = ToolChoice::None;
    assert!(ask(with_tools).await.is_ok(), "tools that must not be called do not matter");

    let image = Part::Image { mime: "image/png".into(), content: Bytes::new() };
    refused(ask(request([Message::User { parts: vec![image] }])).await, codes::LOCAL_UNABLE);
    let tool = Message::Tool { call: "1".into(), name: "time".into(), text: "12:00".into(), failed: false };
    refused(ask(request([user("x"), tool])).await, codes::LOCAL_UNABLE);

    let message = refused(ask(request([user(&"word ".repeat(9000))])).await, codes::LOCAL_CONTEXT);
    assert!(message.starts_with("expected a question of fewer than 8192 tokens, found 90"), "{message}");
    let mut bad = request([user("x")]);
    bad.schema = Some(Value::from(json!({ "$ref": "#/definitions/x" })));
    refused(ask(bad).await, codes::LOCAL_SCHEMA);

    let mut other = request([user("x")]);
    other.models = vec!["local/all-minilm-l6-v2".into()];
    refused(ask(other.clone()).await, codes::LOCAL_UNABLE);
    other.models.push(MODEL.into());
    assert!(ask(other).await.is_ok(), "the next model of the list is asked");
}
