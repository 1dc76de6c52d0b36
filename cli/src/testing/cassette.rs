//! Cassettes: what models and HTTP services answered to the nodes of tests, in `NAME.cassette.yaml` beside
//! `NAME.test.yaml`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use liteagent_engine::{
    capability::model::{ModelInfo, ToolUse},
    codes,
    diagnostic::{Diagnostic, Severity},
    id::Digest,
    shape, source,
    source::{Document, MAX_BYTES},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{exchange::Answer, file::Test, path::Pattern};

/// The version of the form.
const VERSION: u32 = 1;
const HEAD: &str = "\
# Recorded by `liteagent test --record`. Read it as you read code that changes; record again instead of editing it.
";

/// What was recorded for the tests of a file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Cassette")]
pub(crate) struct Cassette {
    /// The version of this form: 1.
    cassette: u32,
    /// The recordings, by the names of the tests.
    pub(super) tests: IndexMap<String, Recording>,
}

/// What was recorded for a test.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recording {
    /// What was known of the models, by the names that nodes gave them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) models: BTreeMap<String, Described>,
    /// The calls, by the path of the node, then in order.
    #[schemars(extend("x-liteagent-literal" = true))]
    pub(super) calls: Vec<Entry>,
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    name: String,
    chats: bool,
    tools: ToolUse,
    structured: bool,
    images: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<u64>,
}

/// A call of a node, and what came back.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The path of the node.
    pub(super) node: String,
    /// Which of its calls it is, from 1.
    pub(super) call: u32,
    /// Whom it called.
    pub(super) kind: Kind,
    /// The begin of the SHA-256 of the request: it shows whether the request was edited.
    digest: String,
    /// What was asked, without secrets.
    pub(super) request: Json,
    /// What came back, without secrets.
    pub(super) answer: Json,
}

/// Whom a node calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A chat model.
    Chat,
    /// An embedding model.
    Embed,
    /// An HTTP service.
    Http,
}

impl Entry {
    pub(super) fn new(node: String, call: u32, kind: Kind, request: Json, answer: Json) -> Self {
        Self { node, call, kind, digest: digest(&request), request, answer }
    }
}

impl Described {
    pub(super) fn of(info: &ModelInfo) -> Self {
        let ModelInfo { name, chats, tools, structured, images, context } = info.clone();
        Self { name, chats, tools, structured, images, context }
    }

    pub(super) fn info(&self) -> ModelInfo {
        let Self { name, chats, tools, structured, images, context } = self.clone();
        ModelInfo { name, chats, tools, structured, images, context }
    }
}

impl Recording {
    /// How many calls it holds.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// In the order in which it is stored.
    pub(super) fn sorted(mut self) -> Self {
        self.calls.sort_by_cached_key(|call| (Pattern::new(&call.node), call.call));
        self
    }
}

impl Default for Cassette {
    fn default() -> Self {
        Self { cassette: VERSION, tests: IndexMap::new() }
    }
}

impl Cassette {
    /// The file that belongs to a test file.
    pub(super) fn path(tests: &Path) -> PathBuf {
        let name = tests.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.split_once(".test.").map_or(&*name, |(stem, _)| stem);
        tests.with_file_name(format!("{stem}.cassette.yaml"))
    }

    /// Reads a file; nothing is recorded where there is none. With `anew`, it is about to be recorded: only its form must
    /// be right.
    pub(super) fn read(path: &Path, tests: &[(&Test, bool)], anew: bool) -> Result<Self, Vec<Diagnostic>> {
        if path.symlink_metadata().is_err() {
            return Ok(Self::default());
        }
        let (document, mut findings) = source::read(path);
        findings.retain(|finding| finding.severity == Severity::Error);
        let (Some(document), true) = (document, findings.is_empty()) else { return Err(findings) };
        let invalid = |pointer: &str, message: String, hint: &str| {
            Diagnostic::error(codes::CASSETTE_INVALID, document.span(pointer), message).hint(hint)
        };
        const REMOVE: &str = "remove the file and record again: `liteagent test --record`";
        let version = document.value.get("cassette").and_then(Json::as_u64);
        if version.is_some_and(|version| version > u64::from(VERSION)) {
            let message = format!("expected a cassette of the form {VERSION}, found {}", version.unwrap_or_default());
            return Err(vec![invalid("/cassette", message, "update LiteAgent, or remove the file and record again")]);
        }
        let shape = shape::walk(&liteagent_engine::node::schema_of::<Self>(), &document.value, "");
        findings.extend(shape.findings.iter().map(|finding| document.diagnostic(finding)));
        if !findings.is_empty() {
            return Err(findings);
        }
        let cassette: Self = serde_json::from_value(document.value.clone())
            .map_err(|error| vec![invalid("", error.to_string(), REMOVE)])?;
        if !anew {
            findings.extend(cassette.findings(&document, tests));
        }
        if findings.is_empty() { Ok(cassette) } else { Err(findings) }
    }

    /// What does not belong there, and what was edited.
    fn findings(&self, document: &Document, tests: &[(&Test, bool)]) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        for (name, recording) in &self.tests {
            let pointer = format!("/tests/{}", name.replace('~', "~0").replace('/', "~1"));
            let test = tests.iter().find(|(test, _)| test.name == *name);
            let unused = match test {
                None => Some(format!("there is no test `{name}`")),
                Some((_, false)) => Some(format!("the test `{name}` does not use a cassette")),
                Some((_, true)) => None,
            };
            if let Some(message) = unused {
                let hint = "remove this, or record again; when the test was renamed, rename it here too";
                findings
                    .push(Diagnostic::error(codes::CASSETTE_UNUSED, document.key_span(&pointer), message).hint(hint));
            }
            for (index, call) in recording.calls.iter().enumerate() {
                let pointer = format!("{pointer}/calls/{index}");
                let edited = Diagnostic::error(
                    codes::CASSETTE_INVALID,
                    document.span(&format!("{pointer}/digest")),
                    format!("the request of `{}` is not the one that was recorded: it was edited", call.node),
                );
                if digest(&call.request) != call.digest {
                    findings.push(edited.hint("record again: `liteagent test --record`"));
                } else if let Err(error) = Answer::read(call.kind, &call.answer) {
                    let message = format!("the answer to `{}` cannot be read: {error}", call.node);
                    let span = document.span(&format!("{pointer}/answer"));
                    let finding = Diagnostic::error(codes::CASSETTE_INVALID, span, message);
                    findings.push(finding.hint("record again: `liteagent test --record`"));
                }
            }
        }
        findings
    }

    /// Takes in what was recorded, and lets go of tests that use no cassette any more.
    pub(super) fn take(&mut self, mut recorded: IndexMap<String, Recording>, tests: &[(&Test, bool)]) {
        let mut old = std::mem::take(&mut self.tests);
        for (test, uses) in tests {
            let recording = recorded.swap_remove(&test.name).or_else(|| old.swap_remove(&test.name));
            if let Some(recording) = recording.filter(|recording| *uses && !recording.calls.is_empty()) {
                self.tests.insert(test.name.clone(), recording);
            }
        }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When it would be too large to be read, or would not be read as it is.
    pub(super) fn text(&self) -> Result<String, String> {
        let value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let text = format!("{HEAD}{}", yaml(&value)?);
        if text.len() > MAX_BYTES {
            return Err(format!("expected at most {MAX_BYTES} bytes, found {}", text.len()));
        }
        let reads = |text: String| source::parse("cassette.yaml", text).0.is_some_and(|read| read.value == value);
        if reads(text.clone()) {
            return Ok(text);
        }
        // JSON is YAML, too, with nothing that could be read otherwise.
        let text = format!("{HEAD}{value:#}\n");
        if reads(text.clone()) { Ok(text) } else { Err("what was recorded cannot be written as YAML".to_owned()) }
    }
}

/// A value as YAML.
pub(super) fn yaml(value: &Json) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

fn digest(request: &Json) -> String {
    Digest::of(request.to_string().as_bytes()).as_str()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_was_asked_and_answered_is_read_back_as_it_was() {
        let texts = [
            "",
            " leads and trails ",
            "{{ inputs.x }} stands",
            "no",
            "1e3",
            "a: b # c",
            "two\n\n  lines\n",
            "\n\ttab\r\n",
            "- item\n---\n...\n",
            "\u{feff}\u{0}\u{85}\u{2028}",
            "it's \"quoted\" \\ ä 漢 🙂",
        ];
        let long = "word ".repeat(60);
        for text in texts.into_iter().chain([long.as_str()]) {
            let request = json!({ "messages": [{ "user": text }], text: [1.5, -0.0, 1e300, u64::MAX, null] });
            let call = Entry::new("each[3].reply".to_owned(), 1, Kind::Chat, request, json!({ "text": text }));
            let recording = Recording { models: BTreeMap::new(), calls: vec![call] };
            let cassette = Cassette { cassette: VERSION, tests: IndexMap::from([(format!("says {text}"), recording)]) };
            let written = cassette.text().unwrap();
            let (document, _) = source::parse("a.cassette.yaml", written.clone());
            let read: Cassette = serde_json::from_value(document.unwrap().value).unwrap();
            assert_eq!(read.tests, cassette.tests, "{written}");
            let call = &read.tests[0].calls[0];
            assert_eq!(digest(&call.request), call.digest, "{written}");
        }
    }
}
