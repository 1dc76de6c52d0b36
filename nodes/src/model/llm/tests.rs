use liteagent_engine::{
    capability::{
        Capabilities,
        model::{Message, Part},
    },
    testing::{FakeModels, NodeTest, TestNode},
};

use super::*;

fn node(yaml: &str, scope: &str, answers: &str) -> (TestNode, Arc<FakeModels>) {
    let answers: serde_json::Value = serde_saphyr::from_str(answers).unwrap();
    let answers = answers.as_array().unwrap().iter().cloned().map(Value::from);
    let models = Arc::new(FakeModels::answering(answers));
    let caps = Capabilities { models: Some(models.clone()), ..Capabilities::default() };
    (NodeTest::new(&crate::registry(), yaml).scope(scope).caps(caps).build().unwrap(), models)
}

fn shown(messages: &[Message]) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Text { text } => text.clone(),
        other => format!("{other:?}"),
    };
    let line = |message: &Message| match message {
        Message::System { text } => format!("system: {text}"),
        Message::User { parts } => format!("user: {}", parts.iter().map(part).collect::<String>()),
        Message::Assistant { text, .. } => format!("assistant: {text}"),
        Message::Tool { text, .. } => format!("tool: {text}"),
    };
    messages.iter().map(line).collect()
}

#[tokio::test]
async fn the_text_is_seen_as_it_comes() {
    let (node, _) = node("type: llm\nmessages: [{ user: Hi }]", "", "[{ text: Good morning to you }]");
    node.outcome().await;
    assert_eq!(node.emitted(), ["Good ", "morning ", "to ", "you"]);
}

#[tokio::test]
async fn messages_may_be_given_whole_and_braces_in_them_are_text() {
    let scope = "\
state:
  messages:
    - { system: Be brief. }
    - { history: { last: 2 } }
    - { user: '{{ secrets.TOKEN }} and {{ 1 + 1 }}' }
    - { role: assistant, text: '', calls: [{ id: a, name: sums, arguments: '{}' }], opaque: { sign: x } }
    - { role: tool, call: a, name: sums, text: '2' }
    - { user: [{ text: 7 }] }
fakes:
  history: [{ message: Hello, answer: Hi }]
";
    let (node, models) = node("type: llm\nmessages: '{{ state.messages }}'", scope, "[{ text: ok }]");
    let outcome = node.outcome().await;
    let asked = &models.asked()[0].messages;
    let expected = [
        "system: Be brief.",
        "user: Hello",
        "assistant: Hi",
        "user: {{ secrets.TOKEN }} and {{ 1 + 1 }}",
        "assistant: ",
        "tool: 2",
        "user: 7",
    ];
    assert_eq!(shown(asked), expected);
    let kept = Message::Assistant {
        text: String::new(),
        calls: vec![ToolCall { id: "a".to_owned(), name: "sums".to_owned(), arguments: "{}".to_owned() }],
        opaque: Some(liteagent_engine::value!({ "sign": "x" })),
    };
    assert_eq!(asked[4], kept, "what its provider wants to see again goes along");
    let message = outcome.get("output").unwrap().get("message").unwrap();
    assert_eq!(message, &liteagent_engine::value!({ "role": "assistant", "text": "ok" }));

    for wrong in ["{ user: [{ sound: x }] }", "{ role: nobody }", "{ tool: x }", "hello", "{ history: {} }"] {
        let scope = format!("state: {{ messages: [{wrong}] }}");
        let (node, _) = self::node("type: llm\nmessages: '{{ state.messages }}'", &scope, "[]");
        assert_eq!(node.outcome().await.get("error").and_then(Value::as_str), Some("LA2503"), "{wrong}");
    }
}

#[tokio::test]
async fn history_is_cut_by_messages_and_by_tokens() {
    let scope = "\
fakes:
  history:
    - { message: one, answer: eins }
    - { message: two, answer: zwei }
    - { message: three, files: [{ name: a.pdf }] }
";
    for (window, expected) in [
        ("last: 2", vec!["user: three\n[files: a.pdf]", "user: now"]),
        ("tokens: 3", vec!["user: two", "assistant: zwei", "user: three\n[files: a.pdf]", "user: now"]),
        ("tokens: 1", vec!["user: now"]),
    ] {
        let yaml = format!("type: llm\nmessages: [{{ history: {{ {window} }} }}, {{ user: now }}]");
        let (node, models) = node(&yaml, scope, "[{ text: ok }]");
        node.outcome().await;
        assert_eq!(shown(&models.asked()[0].messages), expected, "{window}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told_to_the_model_and_asked_for_once_more() {
    let yaml = "type: llm\nmessages: [{ user: How many? }]\nreturns: { count: integer }";
    let (node, models) = node(yaml, "", "[{ json: { count: many } }, { json: { count: 3 } }]");
    let outcome = node.outcome().await;
    assert_eq!(outcome.get("output").unwrap().get("data").unwrap().to_json(), serde_json::json!({ "count": 3 }));
    assert!(node.emitted().is_empty());
    let repair = shown(&models.asked()[1].messages);
    assert_eq!(repair[1], r#"assistant: {"count":"many"}"#);
    assert!(repair[2].starts_with("user: That does not fit: at `/count`: expected an integer"), "{}", repair[2]);

    let (node, _) = self::node(yaml, "", "[{ text: many }, { text: many }]");
    let outcome = node.outcome().await;
    assert_eq!(outcome.get("error").and_then(Value::as_str), Some("LA2501"));
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_no_json() {
    let yaml = "type: llm\nmax_tokens: 5\nmessages: [{ user: How many? }]\nreturns: { count: integer }";
    let (node, models) = node(yaml, "", "[{ text: '{ \"cou', finish: length }]");
    let error = node.run().await.unwrap_err();
    assert_eq!((error.code, error.class), (codes::MODEL_ANSWER, ErrorClass::LimitExceeded));
    assert_eq!(models.asked().len(), 1);
}

#[tokio::test]
async fn a_model_from_a_template_must_be_allowed() {
    let yaml = "type: llm\nmodel: '{{ inputs.model }}'\nallow: [openai/gpt-4.1-mini]\nmessages: [{ user: Hi }]";
    let (node, models) = node(yaml, "inputs: { model: openai/o3 }", "[{ text: Hi }]");
    assert_eq!(node.run().await.unwrap_err().code, codes::MODEL_NOT_ALLOWED);
    assert!(models.asked().is_empty());
    let yaml = "type: llm\nmodel: '{{ inputs.model }}'\nmessages: [{ user: Hi }]";
    assert_eq!(NodeTest::new(&crate::registry(), yaml).build().err().unwrap().code, codes::MODEL_CHOICE);
}

#[test]
fn a_message_has_exactly_one_key() {
    for (messages, place) in [
        ("[{ system: a, user: b }]", "/messages/0"),
        ("[{ user: a }, { history: {} }]", "/messages/1/history"),
        ("[{ user: [{ text: a }, {}] }]", "/messages/0/user/1"),
        ("[]", "/messages"),
    ] {
        let error =
            NodeTest::new(&crate::registry(), &format!("type: llm\nmessages: {messages}")).build().err().unwrap();
        assert_eq!((error.code, &*error.field), (codes::MESSAGE_FORM, place), "{messages}");
    }
}

#[tokio::test]
async fn a_model_that_calls_no_tools_is_told_of_none_and_people_of_that() {
    for (models, is_told) in [("test/plain", false), ("[test/plain, test/other]", true), ("test/other", true)] {
        let yaml =
            format!("type: llm\nmodel: {models}\nmessages: [{{ user: Hi }}]\ntools: {{ now: {{ builtin: time }} }}");
        let (node, models) = node(&yaml, "", "[{ text: Hi }]");
        node.outcome().await;
        assert_eq!(models.asked()[0].tools.len(), usize::from(is_told));
        let logged = node.logged().unwrap_or_default();
        assert_eq!(logged.contains("`test/plain` cannot be trusted with tools"), !is_told, "{logged}");
    }
}

#[tokio::test]
async fn a_model_that_calls_tools_in_words_is_told_how_and_what_it_writes_is_read() {
    let yaml = "\
type: llm
model: test/words
messages: '{{ state.messages }}'
tools: { sums: { builtin: calculator } }
returns: { sum: integer }
";
    let asked = "state: { messages: [{ user: What is 2 + 2? }] }";
    let action = "Thought: I calculate.\nAction: sums\nAction Input: {\"expression\": \"2 + 2\"}\nObservation: 5";
    let (first, models) = node(yaml, asked, &serde_json::json!([{ "text": action }]).to_string());
    let outcome = first.outcome().await.to_json();
    let call = serde_json::json!({ "id": "call_1", "name": "sums", "arguments": { "expression": "2 + 2" } });
    assert_eq!((&outcome["output"]["calls"][0], &outcome["output"]["finish"]), (&call, &"tools".into()), "{outcome}");
    let request = &models.asked()[0];
    assert!(request.tools.is_empty() && request.schema.is_none() && request.sampling.stop.len() == 1);
    assert!(shown(&request.messages)[0].contains("- sums: ") && first.logged().unwrap().contains("told in words"));

    let scope = serde_json::json!({ "state": { "messages": [
        { "user": "What is 2 + 2?" },
        outcome["output"]["message"],
        { "role": "tool", "call": "call_1", "name": "sums", "text": "4" },
    ] } });
    let answers = r#"[{ "text": "Final Answer: four" }, { "text": "Final Answer: {\"sum\": 4}" }]"#;
    let (second, models) = node(yaml, &scope.to_string(), answers);
    let outcome = second.outcome().await.to_json();
    assert_eq!(outcome["output"]["data"], serde_json::json!({ "sum": 4 }), "{outcome}");
    let said = shown(&models.asked()[0].messages);
    assert_eq!(said[2], "assistant: Thought: I calculate.\nAction: sums\nAction Input: {\"expression\":\"2 + 2\"}");
    assert_eq!(said[3], "user: Observation: 4");
    assert_eq!(second.logged(), None, "people are told once");
}

#[tokio::test]
async fn calls_keep_what_is_no_json() {
    let yaml = "type: llm\nmessages: [{ user: Hi }]";
    let (node, _) = node(yaml, "", "[{ call: [{ find: { q: x } }, { find: '{ \"q\": ' }] }]");
    let outcome = node.outcome().await.to_json();
    assert_eq!(
        outcome["output"]["calls"],
        serde_json::json!([
            { "id": "call_1", "name": "find", "arguments": { "q": "x" } },
            { "id": "call_2", "name": "find", "arguments": "{ \"q\": " },
        ])
    );
    assert_eq!(outcome["output"]["finish"], "tools");
}
