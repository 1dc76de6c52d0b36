//! What a test expects of a run, against what was found.

use indexmap::IndexMap;
use liteagent_engine::{
    engine::RunEnd,
    error::{ErrorClass, ErrorReport},
    event::{RunStatus, Wait},
    value::Value,
    view::{NodeSeen, ViewStatus},
};
use serde_json::{Value as Json, json};

use super::{
    file::{Expect, ExpectError, ExpectWait, Status},
    matching::{Mismatch, compare, has_matcher, shown},
    path::Pattern,
};

/// What was found of a run that has come to rest.
pub(super) struct Found {
    status: Status,
    pub(super) outputs: Json,
    error: Option<ErrorReport>,
    /// What a chat shows.
    pub(super) answer: Option<String>,
    /// The nodes of the run and of those that it started, by path.
    pub(super) nodes: IndexMap<String, NodeSeen>,
    /// The nodes that wait, by path.
    pub(super) waits: Vec<(String, Wait)>,
    /// The workflows that were started.
    workflows: Vec<String>,
    calls: IndexMap<String, u32>,
    /// What models were asked: the path of the node, and the conversation as text.
    pub(super) prompts: Vec<(String, String)>,
    /// The tools that models called, with their arguments.
    pub(super) tools: Vec<(String, Json)>,
}

impl Found {
    pub(super) fn new(
        end: Option<RunEnd>,
        nodes: IndexMap<String, NodeSeen>,
        workflows: Vec<String>,
        calls: IndexMap<String, u32>,
    ) -> Self {
        let status = match end.as_ref().map(|end| end.status) {
            None => Status::Waiting,
            Some(RunStatus::Succeeded) => Status::Succeeded,
            Some(RunStatus::Failed) => Status::Failed,
            Some(RunStatus::Cancelled) => Status::Cancelled,
        };
        let waits = nodes.iter().filter_map(|(path, node)| match &node.status {
            ViewStatus::Waiting(wait) => Some((path.clone(), wait.clone())),
            _ => None,
        });
        Self {
            status,
            outputs: end.as_ref().map_or(Json::Null, |end| end.outputs.to_json()),
            error: end.and_then(|end| end.error),
            answer: None,
            waits: waits.collect(),
            nodes,
            workflows,
            calls,
            prompts: Vec::new(),
            tools: Vec::new(),
        }
    }

    /// The texts of these nodes, in this order; without any, the output `text`.
    pub(super) fn say(&self, paths: &[String]) -> Option<String> {
        let mut said = Vec::new();
        for path in paths {
            let pattern = Pattern::new(path);
            for (_, node) in self.nodes.iter().filter(|(path, _)| pattern.fits(path)) {
                if let ViewStatus::Succeeded { output, .. } = &node.status {
                    said.extend(output.get("text").and_then(Value::as_str).map(str::to_owned));
                }
            }
        }
        match (paths, said.as_slice()) {
            ([], _) => self.outputs.get("text").and_then(Json::as_str).map(str::to_owned),
            (_, []) => None,
            _ => Some(said.join("\n")),
        }
    }

    fn at<'s>(&'s self, path: &str) -> impl Iterator<Item = &'s NodeSeen> {
        let pattern = Pattern::new(path);
        self.nodes.iter().filter(move |(path, _)| pattern.fits(path)).map(|(_, node)| node)
    }
}

/// Every difference.
pub(super) fn check(expect: Option<&Expect>, found: &Found) -> Vec<Mismatch> {
    let mut into = Vec::new();
    let Some(expect) = expect else {
        if found.status == Status::Failed {
            into.push(Mismatch::new("status", "succeeded or waiting", status(found)));
        }
        return into;
    };
    check_status(expect, found, &mut into);
    check_outputs(expect, found, &mut into);
    check_nodes(expect, found, &mut into);
    check_models(expect, found, &mut into);
    if let Some(error) = &expect.error {
        check_error(error, found, &mut into);
    }
    if let Some(wait) = &expect.waiting_for {
        check_wait(wait, found, &mut into);
    }
    into
}

/// The outputs and the answer that differ, with what was found instead: pointers below `expect`. Where a matcher
/// stands, a person decided what counts, so nothing is offered.
pub(super) fn updates(expect: &Expect, found: &Found) -> Vec<(String, Json)> {
    let outputs = expect.outputs.iter().filter_map(|(name, expected)| {
        let pointer = format!("/outputs/{}", name.replace('~', "~0").replace('/', "~1"));
        Some((pointer, expected, found.outputs.get(name)?.clone()))
    });
    let answer = expect.answer.as_ref().zip(found.answer.as_ref());
    let answer = answer.map(|(expected, answer)| ("/answer".to_owned(), expected, json!(answer)));
    let differs = |expected: &Json, value: &Json| {
        let mut into = Vec::new();
        compare("", expected, value, &mut into);
        !into.is_empty() && !has_matcher(expected)
    };
    outputs
        .chain(answer)
        .filter(|(_, expected, value)| differs(expected, value))
        .map(|(pointer, _, value)| (pointer, value))
        .collect()
}

fn check_status(expect: &Expect, found: &Found, into: &mut Vec<Mismatch>) {
    let wanted = expect.status.unwrap_or({
        if expect.waiting_for.is_some() {
            Status::Waiting
        } else if expect.error.is_some() {
            Status::Failed
        } else {
            Status::Succeeded
        }
    });
    if wanted != found.status {
        into.push(Mismatch::new("status", wanted.as_str(), status(found)));
    }
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Waiting => "waiting",
        }
    }
}

fn status(found: &Found) -> String {
    let name = found.status.as_str();
    if let Some(error) = &found.error {
        let at = error.node.as_deref().map(|node| format!(" at `{node}`")).unwrap_or_default();
        return format!("{name}{at} with {}: {}", error.code, error.message);
    }
    match found.waits.as_slice() {
        [] => name.to_owned(),
        waits => {
            format!("{name} at {}", waits.iter().map(|(path, _)| format!("`{path}`")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn check_outputs(expect: &Expect, found: &Found, into: &mut Vec<Mismatch>) {
    let mut output = |name: &str, expected: &Json| match found.outputs.get(name) {
        Some(value) => compare(&format!("outputs.{name}"), expected, value, into),
        None => into.push(Mismatch::new(format!("outputs.{name}"), shown(expected), "nothing")),
    };
    for (name, expected) in &expect.outputs {
        output(name, expected);
    }
    for (name, part) in &expect.contains {
        output(name, &json!({ "contains": part }));
    }
    for (name, pattern) in &expect.matches {
        output(name, &json!({ "matches": pattern }));
    }
    if let Some(expected) = &expect.answer {
        match &found.answer {
            Some(answer) => compare("answer", expected, &json!(answer), into),
            None => into.push(Mismatch::new("answer", shown(expected), "nothing")),
        }
    }
}

fn check_nodes(expect: &Expect, found: &Found, into: &mut Vec<Mismatch>) {
    let stands =
        |path: &str| found.at(path).next().map_or_else(|| "it was never reached".to_owned(), super::report::standing);
    for path in &expect.ran {
        if !found.at(path).any(has_run) {
            into.push(Mismatch::new(format!("ran `{path}`"), "to run", stands(path)));
        }
    }
    for path in &expect.skipped {
        let mut seen = found.at(path).peekable();
        if seen.peek().is_none() || !seen.all(|node| matches!(node.status, ViewStatus::Skipped(_))) {
            into.push(Mismatch::new(format!("skipped `{path}`"), "to be skipped", stands(path)));
        }
    }
    for path in &expect.not_run {
        if found.at(path).any(has_run) || found.workflows.iter().any(|workflow| workflow == path) {
            into.push(Mismatch::new(format!("not_run `{path}`"), "not to run", stands(path)));
        }
    }
    for (path, wanted) in &expect.attempts {
        let most = found.at(path).map(|node| node.attempt).max().unwrap_or(0);
        if most != *wanted {
            into.push(Mismatch::new(format!("attempts.{path}"), wanted.to_string(), most.to_string()));
        }
    }
    for (path, wanted) in &expect.calls {
        let pattern = Pattern::new(path);
        let calls: u32 = found.calls.iter().filter(|(path, _)| pattern.fits(path)).map(|(_, calls)| calls).sum();
        if calls != *wanted {
            into.push(Mismatch::new(format!("calls.{path}"), wanted.to_string(), calls.to_string()));
        }
    }
}

fn check_models(expect: &Expect, found: &Found, into: &mut Vec<Mismatch>) {
    for (path, questions) in &expect.prompts {
        let pattern = Pattern::new(path);
        let asked: Vec<_> = found.prompts.iter().filter(|(path, _)| pattern.fits(path)).map(|(_, text)| text).collect();
        for (number, expected) in questions {
            let field = format!("prompts.{path}.{number}");
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match index.and_then(|index| asked.get(index)) {
                Some(text) => compare(&field, expected, &json!(text), into),
                None => into.push(Mismatch::new(field, shown(expected), format!("{} questions", asked.len()))),
            }
        }
    }
    if let Some(expected) = &expect.tools {
        let called = found.tools.iter().map(|(name, arguments)| json!({ name: arguments }));
        compare("tools", &json!(expected), &called.collect(), into);
    }
}

fn has_run(node: &NodeSeen) -> bool {
    match node.status {
        ViewStatus::Skipped(_) => false,
        ViewStatus::Cancelled => node.attempt > 0,
        _ => true,
    }
}

fn check_error(expected: &ExpectError, found: &Found, into: &mut Vec<Mismatch>) {
    let Some(error) = &found.error else {
        if found.status == Status::Failed {
            into.push(Mismatch::new("error", "an error", "none"));
        }
        return;
    };
    let mut text = |field: &str, expected: Option<&str>, found: &str| {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            into.push(Mismatch::new(format!("error.{field}"), expected, found));
        }
    };
    text("code", expected.code.as_deref(), &error.code);
    text("class", expected.class.map(ErrorClass::as_str), error.class.as_str());
    if let Some(path) = &expected.node
        && !error.node.as_deref().is_some_and(|node| Pattern::new(path).fits(node))
    {
        into.push(Mismatch::new("error.node", path, error.node.as_deref().unwrap_or("none")));
    }
    if let Some(message) = &expected.message {
        compare("error.message", message, &json!(error.message), into);
    }
}

fn check_wait(expected: &ExpectWait, found: &Found, into: &mut Vec<Mismatch>) {
    let fits = |(path, _): &&(String, Wait)| expected.node.as_ref().is_none_or(|node| Pattern::new(node).fits(path));
    let Some((_, wait)) = found.waits.iter().find(fits) else {
        let paths: Vec<_> = found.waits.iter().map(|(path, _)| path.as_str()).collect();
        let found = if paths.is_empty() { "nothing waits".to_owned() } else { paths.join(", ") };
        return into.push(Mismatch::new("waiting_for.node", expected.node.as_deref().unwrap_or("a node"), found));
    };
    if let Some(to) = &expected.to {
        compare("waiting_for.to", to, &wait.ask.get("to").cloned().unwrap_or_default().to_json(), into);
    }
}
