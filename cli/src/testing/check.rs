//! What the types of a test file cannot say.

use std::collections::HashSet;

use liteagent_engine::{
    codes, definition,
    diagnostic::Diagnostic,
    error::Code,
    node::{Capability, NodeSpec},
    shape,
    source::Document,
    suggest,
};
use serde_json::Value as Json;

use super::{
    file::{Crash, Expect, Fake, FakeCalls, Fakes, Test, TestFile, Trigger},
    lookup::Lookup,
    script::moment,
};

/// What the types cannot say: names that must be there, fields that exclude each other.
struct Check<'a> {
    document: &'a Document,
    lookup: Lookup<'a>,
    findings: Vec<Diagnostic>,
}

/// What is wrong in a test file.
pub(super) fn file(file: &TestFile, document: &Document, lookup: Lookup<'_>) -> Vec<Diagnostic> {
    let mut check = Check { document, lookup, findings: Vec::new() };
    check.file(file);
    check.findings
}

/// What is wrong in the expectations at a pointer.
pub(super) fn expectations(expect: &Expect, pointer: &str, document: &Document, lookup: Lookup<'_>) -> Vec<Diagnostic> {
    let mut check = Check { document, lookup, findings: Vec::new() };
    check.expect(pointer, expect);
    check.findings
}

impl Check<'_> {
    fn file(&mut self, file: &TestFile) {
        if let Some(Err(message)) = file.defaults.clock.as_deref().map(moment) {
            self.add(codes::TEST_INVALID, "/defaults/clock", message, "write it with its time zone");
        }
        self.fakes("/defaults/fakes", &file.defaults.fakes);
        let mut names = HashSet::new();
        for (index, test) in file.tests.iter().enumerate() {
            let pointer = format!("/tests/{index}");
            if !names.insert(&test.name) {
                let message = format!("two tests are called `{}`", test.name);
                self.add(codes::TEST_INVALID, &format!("{pointer}/name"), message, "give each test a name of its own");
            }
            self.test(&pointer, test);
        }
    }

    fn test(&mut self, pointer: &str, test: &Test) {
        self.fakes(&format!("{pointer}/fakes"), &test.fakes);
        if test.turns.is_some() {
            let alone = [
                ("inputs", test.inputs.is_some()),
                ("trigger", test.trigger.is_some()),
                ("crash", test.crash.is_some()),
                ("signal", test.signal.is_some()),
                ("advance", test.advance.is_some()),
                ("expect", test.expect.is_some()),
            ];
            for (name, _) in alone.iter().filter(|(_, given)| *given) {
                let message = format!("`{name}` stands beside `turns`, so it belongs to no turn");
                let hint = format!("move `{name}` into a turn");
                self.add(codes::TEST_INVALID, &format!("{pointer}/{name}"), message, &hint);
            }
        }
        self.trigger(&format!("{pointer}/trigger"), test.trigger.as_ref());
        self.step(pointer, test.crash.as_ref(), test.expect.as_ref());
        for (index, turn) in test.turns.iter().flatten().enumerate() {
            let pointer = format!("{pointer}/turns/{index}");
            self.fakes(&format!("{pointer}/fakes"), &turn.fakes);
            let chat = self.lookup.bundle.entry().is_some_and(|entry| entry.conversation.is_some());
            if turn.say.is_some() && !chat {
                let message =
                    format!("`{}` is no chat workflow, so nobody can say something to it", self.lookup.bundle.entry);
                let hint = "pass `inputs`, or add `conversation` to the workflow";
                self.add(codes::TEST_INVALID, &format!("{pointer}/say"), message, hint);
            }
            self.step(&pointer, turn.crash.as_ref(), turn.expect.as_ref());
        }
    }

    fn trigger(&mut self, pointer: &str, trigger: Option<&Trigger>) {
        let Some(trigger) = trigger else { return };
        let times = match trigger {
            Trigger::Schedule(schedule) => {
                vec![("scheduled_at", &schedule.scheduled_at), ("previous_at", &schedule.previous_at)]
            }
            Trigger::Name(_) | Trigger::Request(_) | Trigger::After(_) => Vec::new(),
        };
        for (field, time) in times {
            if let Some(Err(message)) = time.as_deref().map(moment) {
                self.add(codes::TEST_INVALID, &format!("{pointer}/{field}"), message, "write it with its time zone");
            }
        }
        let known: Vec<String> =
            self.lookup.bundle.entry().map(|entry| entry.triggers.keys().cloned().collect()).unwrap_or_default();
        let name = trigger.name();
        if !known.contains(name) {
            return self.unknown(codes::TEST_NAME, pointer, false, "trigger", name, &known);
        }
        let declared = self.lookup.bundle.entry().and_then(|entry| entry.triggers.get(name));
        let written = match trigger {
            Trigger::Name(_) => return,
            Trigger::Schedule(_) => "schedule",
            Trigger::Request(_) => "webhook",
            Trigger::After(_) => "after",
        };
        if let Some(kind) = declared.map(definition::Trigger::kind).filter(|kind| *kind != written) {
            let message = format!("the trigger `{name}` is a {kind}, and not a {written}");
            self.add(codes::TEST_INVALID, &format!("{pointer}/type"), message, &format!("write `type: {kind}`"));
        }
    }

    fn step(&mut self, pointer: &str, crash: Option<&Crash>, expect: Option<&Expect>) {
        if let Some(crash) = crash {
            self.path(&format!("{pointer}/crash/after"), false, &crash.after);
        }
        if let Some(expect) = expect {
            self.expect(&format!("{pointer}/expect"), expect);
        }
    }

    fn expect(&mut self, pointer: &str, expect: &Expect) {
        self.outputs(pointer, expect);
        for (field, paths) in [("ran", &expect.ran), ("skipped", &expect.skipped), ("not_run", &expect.not_run)] {
            for (index, path) in paths.iter().enumerate() {
                if !(field == "not_run" && self.lookup.bundle.workflows.contains_key(path)) {
                    self.path(&format!("{pointer}/{field}/{index}"), false, path);
                }
            }
        }
        for (field, counts) in [("attempts", &expect.attempts), ("calls", &expect.calls)] {
            for path in counts.keys() {
                self.path(&format!("{pointer}/{field}/{}", escaped(path)), true, path);
            }
        }
        for (path, questions) in &expect.prompts {
            let pointer = format!("{pointer}/prompts/{}", escaped(path));
            self.path(&pointer, true, path);
            for number in questions.keys().filter(|number| !matches!(number.parse::<u32>(), Ok(1..))) {
                let message = format!("expected the number of a question, counted from 1, found `{number}`");
                self.add(codes::TEST_INVALID, &pointer, message, "write `1: { contains: ... }` for the first question");
            }
        }
        if let Some(node) = expect.waiting_for.as_ref().and_then(|wait| wait.node.as_ref()) {
            self.path(&format!("{pointer}/waiting_for/node"), false, node);
        }
    }

    fn outputs(&mut self, pointer: &str, expect: &Expect) {
        let known: Vec<String> =
            self.lookup.bundle.entry().map(|entry| entry.outputs.keys().cloned().collect()).unwrap_or_default();
        let outputs = expect.outputs.keys().map(|name| ("outputs", name));
        let parts = expect.contains.keys().map(|name| ("contains", name));
        let patterns = expect.matches.keys().map(|name| ("matches", name));
        for (field, name) in outputs.chain(parts).chain(patterns) {
            if !known.contains(name) {
                let pointer = format!("{pointer}/{field}/{}", escaped(name));
                self.unknown(codes::TEST_NAME, &pointer, true, "output", name, &known);
            }
        }
        for (name, pattern) in &expect.matches {
            if let Err(error) = regex::Regex::new(pattern) {
                let reason = error.to_string();
                let message = format!(
                    "expected a regular expression, found `{pattern}`: {}",
                    reason.lines().last().unwrap_or_default()
                );
                let pointer = format!("{pointer}/matches/{}", escaped(name));
                self.add(
                    codes::TEST_INVALID,
                    &pointer,
                    message,
                    "put a backslash before characters that stand for themselves",
                );
            }
        }
    }

    fn path(&mut self, pointer: &str, on_key: bool, path: &str) -> bool {
        match self.lookup.node(path) {
            Ok(_) => true,
            Err(nowhere) => {
                self.unknown(codes::TEST_NODE, pointer, on_key, "node", &nowhere.part, &nowhere.known);
                false
            }
        }
    }

    fn fakes(&mut self, pointer: &str, fakes: &Fakes) {
        for (path, calls) in fakes {
            let pointer = format!("{pointer}/{}", escaped(path));
            if !self.path(&pointer, true, path) {
                continue;
            }
            match calls {
                FakeCalls::All(fake) => self.fake(&pointer, path, fake),
                FakeCalls::Each(all) => {
                    for (index, fake) in all.iter().enumerate() {
                        self.fake(&format!("{pointer}/{index}"), path, fake);
                    }
                }
            }
        }
    }

    fn fake(&mut self, pointer: &str, path: &str, fake: &Fake) {
        if fake.outputs.is_none() && fake.port.is_none() && fake.fail.is_none() && !fake.is_of_model() {
            let hint = "write `outputs`, `port` with `outputs`, or `fail`; of a node that asks a model, `text`, `json` or `call`";
            return self.add(codes::TEST_FAKE, pointer, "the fake says nothing that the node gives".to_owned(), hint);
        }
        let Ok(def) = self.lookup.node(path) else { return };
        if fake.is_of_model() {
            return self.of_model(pointer, path, fake, &def.kind);
        }
        let Some(node) = self.lookup.build(&def) else { return };
        self.port(pointer, path, fake, &node.ports());
        let Some(outputs) = &fake.outputs else { return };
        // Members may be left out: they are filled in.
        let mut schema = Json::from(node.output_schema());
        forget_required(&mut schema);
        let Ok(schema) = schemars::Schema::try_from(schema) else { return };
        let pointer = format!("{pointer}/outputs");
        for finding in shape::walk_as(&def.kind, &schema, &Json::Object(outputs.clone()), &pointer).findings {
            let span = if finding.on_key {
                self.document.key_span(&finding.pointer)
            } else {
                self.document.span(&finding.pointer)
            };
            let diagnostic =
                Diagnostic::error(codes::TEST_FAKE, span, format!("the fake of `{path}`: {}", finding.message));
            self.findings.push(match finding.hint {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic.hint(format!("see the outputs of `{0}` with `liteagent nodes {0}`", def.kind)),
            });
        }
    }

    /// `text`, `json` and `call` are what a model says, so a model must be asked, and the node itself runs.
    fn of_model(&mut self, pointer: &str, path: &str, fake: &Fake, kind: &str) {
        let asks = |spec: &NodeSpec| spec.meta.requires.contains(&Capability::Models);
        if !self.lookup.spec(kind).is_some_and(asks) {
            let message = format!("`{path}` ({kind}) asks no model, so nothing can be said by one");
            return self.add(codes::TEST_FAKE, pointer, message, "write `outputs` to stand in for the node");
        }
        if fake.outputs.is_some() || fake.port.is_some() {
            let message = format!("the fake of `{path}` stands in for the node and for its model");
            return self.add(codes::TEST_FAKE, pointer, message, "remove `outputs` and `port`, or what the model says");
        }
        if fake.text.is_some() && fake.json.is_some() {
            let message = format!("the fake of `{path}` says two things, `text` and `json`");
            self.add(codes::TEST_FAKE, pointer, message, "remove one of them");
        }
    }

    fn port(&mut self, pointer: &str, path: &str, fake: &Fake, ports: &[String]) {
        let named = suggest::list(ports.iter().map(String::as_str));
        match &fake.port {
            Some(port) if !ports.contains(port) => {
                let message = match ports {
                    [] => format!("`{path}` has no ports, found `{port}`"),
                    _ => format!("expected a port of `{path}` ({named}), found `{port}`"),
                };
                let hint = if port == "error" {
                    "let it fail: `fail: { class: unavailable }`"
                } else {
                    "name a port that the node has, or remove `port`"
                };
                self.add(codes::TEST_FAKE, &format!("{pointer}/port"), message, hint);
            }
            None if !ports.is_empty() && fake.outputs.is_some() && !ports.iter().all(|port| port == "timeout") => {
                let message = format!("`{path}` leaves by one of {named}, and the fake does not say by which");
                self.add(codes::TEST_FAKE, pointer, message, &format!("add `port: {}`", ports[0]));
            }
            _ => {}
        }
    }

    fn unknown(&mut self, code: Code, pointer: &str, on_key: bool, what: &str, name: &str, known: &[String]) {
        let span = if on_key { self.document.key_span(pointer) } else { self.document.span(pointer) };
        let names = || known.iter().map(String::as_str);
        let message = format!("the workflow `{}` has no {what} `{name}` here", self.lookup.bundle.entry);
        let hint = suggest::hint(name, names()).unwrap_or_else(|| match known {
            [] => format!("remove it, or add the {what} to the workflow"),
            _ => format!("write one of {}", suggest::list(names())),
        });
        self.findings.push(Diagnostic::error(code, span, message).hint(hint));
    }

    fn add(&mut self, code: Code, pointer: &str, message: String, hint: &str) {
        self.findings.push(Diagnostic::error(code, self.document.span(pointer), message).hint(hint));
    }
}

/// Nothing is required any more, at any depth.
fn forget_required(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            members.retain(|key, value| key != "required" || !value.is_array());
            members.values_mut().for_each(forget_required);
        }
        Json::Array(items) => items.iter_mut().for_each(forget_required),
        _ => {}
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
