//! Tools in words, for models that cannot call them otherwise: thoughts, actions and observations in turns, as in Yao et al.
//! 2022, "ReAct" (arXiv:2210.03629). A model answers in text; what it wants to call is read from it.

use std::fmt::Write as _;

use liteagent_engine::capability::model::{Message, Part, ToolCall, ToolSpec};

use super::structured::{self, Returns};

const THOUGHT: &str = "Thought:";
const ACTION: &str = "Action:";
const INPUT: &str = "Action Input:";
const OBSERVATION: &str = "Observation:";
const ANSWER: &str = "Final Answer:";

/// What ends an answer: results are ours to tell.
pub(super) const STOP: &str = "\nObservation:";

/// The messages of a conversation with tools, in words.
pub(super) fn tell(messages: Vec<Message>, tools: &[ToolSpec], returns: Option<&Returns>) -> Vec<Message> {
    let mut told = vec![];
    for message in messages {
        match message {
            Message::Assistant { text, calls, opaque } if calls.is_empty() => {
                told.push(Message::Assistant { text, calls, opaque });
            }
            Message::Assistant { text, calls, .. } => {
                told.push(Message::Assistant { text: acted(&text, &calls), calls: Vec::new(), opaque: None });
            }
            Message::Tool { text, failed, .. } => {
                let failed = if failed { "(failed) " } else { "" };
                observe(&mut told, &format!("{OBSERVATION} {failed}{text}"));
            }
            other => told.push(other),
        }
    }
    super::ask::tell(&mut told, &instruction(tools, returns));
    told
}

fn instruction(tools: &[ToolSpec], returns: Option<&Returns>) -> String {
    let mut text = "You can use these tools:\n".to_owned();
    for tool in tools {
        let description = tool.description.trim().replace('\n', "\n  ");
        let description = if description.is_empty() { "no description" } else { &description };
        // Writing to a text cannot fail.
        let _ =
            writeln!(text, "- {}: {description}\n  Its input fits this JSON Schema: {}", tool.name, tool.parameters);
    }
    let _ = write!(
        text,
        "\nTo use one, write these three lines and nothing after them:\n\
         {THOUGHT} why you need it\n{ACTION} the name of the tool\n{INPUT} its input as one JSON object\n\
         Its result is then told to you after `{OBSERVATION}`. Never write a result yourself. When you know the answer, write:\n\
         {THOUGHT} what you found\n{ANSWER} your answer to the person"
    );
    if let Some(returns) = returns {
        let _ = write!(
            text,
            "\nThe final answer is one JSON object that fits this JSON Schema: {}",
            structured::schema(returns)
        );
    }
    text
}

/// What a model wrote when it called tools.
fn acted(thought: &str, calls: &[ToolCall]) -> String {
    let thought = Some(thought.trim()).filter(|thought| !thought.is_empty());
    let thought = thought.map(|thought| format!("{THOUGHT} {thought}"));
    let action = |call: &ToolCall| format!("{ACTION} {}\n{INPUT} {}", call.name, call.arguments);
    thought.into_iter().chain(calls.iter().map(action)).collect::<Vec<_>>().join("\n")
}

/// Adds a result to those before it: many models want turns.
fn observe(told: &mut Vec<Message>, line: &str) {
    if let Some(Message::User { parts }) = told.last_mut()
        && let [Part::Text { text }] = parts.as_mut_slice()
        && text.starts_with(OBSERVATION)
    {
        text.push('\n');
        text.push_str(line);
        return;
    }
    told.push(Message::User { parts: vec![Part::Text { text: line.to_owned() }] });
}

/// What a model said.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// Why it does what it does; empty where it does not say.
    pub(super) thought: String,
    /// The answer; empty when it calls tools.
    pub(super) text: String,
    /// What it wants to call.
    pub(super) calls: Vec<ToolCall>,
}

/// Reads what a model said. A text without any of the words is an answer.
pub(super) fn read(text: &str) -> Said {
    // Results that it made up are none.
    let text = text.split(STOP).next().unwrap_or_default().trim();
    let action = text.find(ACTION);
    let answer = text.find(ANSWER);
    if let Some(at) = action.filter(|at| answer.is_none_or(|answer| *at < answer)) {
        let end = answer.unwrap_or(text.len());
        return Said { thought: thought(&text[..at]), text: String::new(), calls: calls(&text[at..end]) };
    }
    match answer {
        Some(at) => {
            Said { thought: thought(&text[..at]), text: text[at + ANSWER.len()..].trim().to_owned(), calls: Vec::new() }
        }
        None => Said { thought: String::new(), text: thought(text), calls: Vec::new() },
    }
}

fn thought(text: &str) -> String {
    text.trim().trim_start_matches(THOUGHT).trim().to_owned()
}

/// The calls in a text that begins with one.
fn calls(text: &str) -> Vec<ToolCall> {
    let actions = text.split(ACTION).map(str::trim).filter(|action| !action.is_empty());
    let call = |(nth, action): (usize, &str)| {
        let (name, input) = action.split_once(INPUT).unwrap_or((action, ""));
        let name = name.lines().next().unwrap_or_default();
        let name = name.trim().trim_matches(['`', '"', '\'', '*', '[', ']', '.']).trim_end_matches("()");
        ToolCall { id: format!("call_{}", nth + 1), name: name.to_owned(), arguments: arguments(input) }
    };
    actions.enumerate().map(call).collect()
}

/// The JSON object at the start of a text that may go on; else the text, which is then told to be none.
fn arguments(text: &str) -> String {
    let text = text.trim().trim_start_matches("```json").trim_start_matches('`').trim();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    match values.next() {
        Some(Ok(value)) => value.to_string(),
        _ => text.trim_end_matches('`').trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use liteagent_engine::value;

    use super::*;

    fn call(nth: usize, name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: format!("call_{nth}"), name: name.to_owned(), arguments: arguments.to_owned() }
    }

    fn said(thought: &str, text: &str, calls: Vec<ToolCall>) -> Said {
        Said { thought: thought.to_owned(), text: text.to_owned(), calls }
    }

    #[test]
    fn calls_and_answers_are_read_from_what_models_write() {
        for (text, expected) in [
            (
                "Thought: I need the sum.\nAction: sums\nAction Input: {\"expression\": \"2 + 2\"}",
                said("I need the sum.", "", vec![call(1, "sums", r#"{"expression":"2 + 2"}"#)]),
            ),
            (
                "Action: `sums`\nAction Input: ```json\n{\"expression\": \"1\"}\n```\nObservation: 1\nFinal Answer: 1",
                said("", "", vec![call(1, "sums", r#"{"expression":"1"}"#)]),
            ),
            (
                "Action: a\nAction Input: {}\nThought: and\nAction: b()\nAction Input: {\"x\": [1]} please",
                said("", "", vec![call(1, "a", "{}"), call(2, "b", r#"{"x":[1]}"#)]),
            ),
            ("Action: clock", said("", "", vec![call(1, "clock", "")])),
            ("Action: sums\nAction Input: {\"expression\": ", said("", "", vec![call(1, "sums", "{\"expression\":")])),
            ("Thought: I know.\nFinal Answer: It is 4.\nReally.", said("I know.", "It is 4.\nReally.", vec![])),
            ("Final Answer: Action: is a word", said("", "Action: is a word", vec![])),
            ("Good morning!", said("", "Good morning!", vec![])),
            ("Thought: hm", said("", "hm", vec![])),
            ("", said("", "", vec![])),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_conversation_with_tools_is_told_in_words() {
        let tool = ToolSpec {
            name: "sums".to_owned(),
            description: "Calculates.\nExactly.".to_owned(),
            parameters: value!({ "type": "object" }),
        };
        let result = |text: &str, failed| Message::Tool {
            call: "call_1".to_owned(),
            name: "sums".to_owned(),
            text: text.to_owned(),
            failed,
        };
        let messages = vec![
            Message::User { parts: vec![Part::Text { text: "What is 2 + 2?".to_owned() }] },
            Message::Assistant {
                text: "I need it.".to_owned(),
                calls: vec![call(1, "sums", "{}"), call(2, "sums", "{\"expression\":\"2 + 2\"}")],
                opaque: None,
            },
            result("expected `expression`", true),
            result("4", false),
        ];
        let told = tell(messages, &[tool], None);
        insta::assert_snapshot!(told.iter().map(|message| format!("{message:?}")).collect::<Vec<_>>().join("\n"));
    }
}
