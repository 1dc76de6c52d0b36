//! Whose live text is the answer: that of the nodes which the workflow's `answer` nodes, or its output `text`, pass on.

use std::collections::BTreeSet;

use liteagent_engine::{bundle::Bundle, node::ANSWER};
use serde_json::Value as Json;

/// The nodes that speak to the person, by their paths without the numbers of passes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Voices(BTreeSet<String>);

/// How the live text of a node is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// It is the answer.
    Answer,
    /// It may become the answer: a node inside of one that speaks, such as a round of an agent.
    Perhaps,
    /// It is for no person.
    None,
}

impl Voices {
    /// Those of the workflow that a bundle is for.
    pub(super) fn of(bundle: &Bundle) -> Self {
        let json = serde_json::to_value(bundle).unwrap_or_default();
        let workflow = &json["workflows"][bundle.entry.as_str()];
        let mut voices = BTreeSet::new();
        collect(&workflow["nodes"], "", &mut voices);
        if voices.is_empty() {
            voices.extend(passes_on(&workflow["outputs"]["text"]).map(str::to_owned));
        }
        Self(voices)
    }

    /// What the live text of this node is.
    pub(super) fn voice(&self, path: &str) -> Voice {
        let path = without_numbers(path);
        if self.0.contains(&path) {
            return Voice::Answer;
        }
        let is_inside = path.match_indices('.').any(|(at, _)| self.0.contains(&path[..at]));
        if is_inside { Voice::Perhaps } else { Voice::None }
    }
}

fn collect(nodes: &Json, prefix: &str, voices: &mut BTreeSet<String>) {
    for (id, node) in nodes.as_object().into_iter().flatten() {
        if node["type"] == ANSWER {
            // A sibling that it passes on speaks before it; else it speaks for itself.
            let speaks = passes_on(&node["text"]).filter(|of| nodes.get(of).is_some()).unwrap_or(id);
            voices.insert(format!("{prefix}{speaks}"));
        }
        collect(&node["nodes"], &format!("{prefix}{id}."), voices);
    }
}

/// The node whose text a template is, and nothing else.
fn passes_on(template: &Json) -> Option<&str> {
    let expression = template.as_str()?.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let node = expression.trim().strip_suffix(".text")?;
    node.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_').then_some(node)
}

/// `each[3].reply` is `each.reply`.
fn without_numbers(path: &str) -> String {
    let mut inside = false;
    let keep = |letter: &char| {
        inside = *letter == '[' || inside && *letter != ']';
        !inside && *letter != ']'
    };
    path.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voices(nodes: &str, outputs: &str) -> Voices {
        let text = format!(
            r#"{{"format":1,"entry":"w","workflows":{{"w":{{"name":"w","nodes":{{{nodes}}},"outputs":{{{outputs}}}}}}}}}"#
        );
        Voices::of(&Bundle::parse(&text).unwrap())
    }

    const LLM: &str = r#""reply":{"type":"llm","messages":[{"user":"Hi"}]}"#;

    #[test]
    fn a_node_speaks_when_an_answer_passes_its_text_on() {
        let of = |text: &str| voices(&format!(r#"{LLM},"say":{{"type":"answer","text":"{text}"}}"#), "");
        let passed_on = of("{{ reply.text }}");
        assert_eq!(
            ["reply", "say", "other"].map(|node| passed_on.voice(node)),
            [Voice::Answer, Voice::None, Voice::None]
        );
        assert_eq!(passed_on.voice("reply[2].model"), Voice::Perhaps);
        let changed = of("It says {{ reply.text }}");
        assert_eq!(["reply", "say"].map(|node| changed.voice(node)), [Voice::None, Voice::Answer]);
    }

    #[test]
    fn without_an_answer_the_output_text_speaks() {
        assert_eq!(voices(LLM, r#""text":"{{ reply.text }}""#).voice("reply"), Voice::Answer);
        assert_eq!(voices(LLM, r#""other":"{{ reply.text }}""#).voice("reply"), Voice::None);
    }

    #[test]
    fn answers_in_passes_speak_too() {
        let inner = r#""say":{"type":"answer","text":"{{ item }}"}"#;
        let each =
            format!(r#""each":{{"type":"iteration","items":"{{{{ inputs.x }}}}","nodes":{{{inner}}},"output":"x"}}"#);
        assert_eq!(voices(&each, "").voice("each[12].say"), Voice::Answer);
    }
}
