//! The text for each record that a person wants to see.

use std::collections::HashMap;

use liteagent_engine::{
    definition::Limits,
    event::{AfterFailure, Event, Over, Record, SkipReason, Wait},
    time::iso,
    units::Millis,
    usage::{Spent, Usage},
    value::Value,
};

use super::{
    log::shown,
    usage::{grouped, used_by_node},
};

/// Turns records into lines. Remembers when nodes started, how many frames a container has, and what was used.
pub(crate) struct Story {
    frames_too: bool,
    color: bool,
    started: HashMap<String, Millis>,
    items: HashMap<String, (usize, &'static str)>,
    used: HashMap<String, Usage>,
    total: Spent,
}

impl Story {
    pub(crate) fn new(frames_too: bool, color: bool) -> Self {
        Self {
            frames_too,
            color,
            started: HashMap::new(),
            items: HashMap::new(),
            used: HashMap::new(),
            total: Spent::default(),
        }
    }

    /// What the records so far say that the run used of models.
    pub(crate) fn total(&self) -> &Spent {
        &self.total
    }

    /// Counts what a node used, also for the containers around it.
    fn count(&mut self, node: &str, spent: &Spent) {
        self.total += spent;
        let usage = spent.total();
        let around = node.char_indices().filter(|(_, letter)| *letter == '[').map(|(at, _)| &node[..at]);
        for path in around.chain([node]) {
            *self.used.entry(path.to_owned()).or_default() += usage;
        }
    }

    /// The text for a record: a line, and below it what the node printed. `None` when it is not worth a line.
    pub(crate) fn tell(&mut self, record: &Record<String>) -> Option<String> {
        let mut text = self.line_for(record)?;
        if let Event::NodeSucceeded { log: Some(log), .. } | Event::NodeFailed { log: Some(log), .. } = &record.event {
            for line in shown(log, self.frames_too) {
                text.push_str(&format!("\n    │ {line}"));
            }
        }
        Some(text)
    }

    fn line_for(&mut self, record: &Record<String>) -> Option<String> {
        if let Some((node, spent)) = record.event.usage_of_node() {
            self.count(node, spent);
        }
        match &record.event {
            Event::NodeStarted { node, .. } => {
                self.started.insert(node.clone(), record.at);
                None
            }
            Event::ContainerOpened { node, over, .. } => {
                self.started.insert(node.clone(), record.at);
                if let Over::Items { items, .. } | Over::Calls { calls: items, .. } = over {
                    let count = items.value().as_list().map_or(0, <[_]>::len);
                    let what = if matches!(over, Over::Calls { .. }) { "call" } else { "item" };
                    self.items.insert(node.clone(), (count, what));
                }
                None
            }
            Event::NodeSucceeded { node, port, cached, .. } => {
                let mut words: Vec<String> = port.iter().map(|port| format!("port `{port}`")).collect();
                words.extend(self.items.remove(node).map(|(items, what)| count(items, what)));
                words.extend(cached.then(|| "from the cache".to_owned()));
                words.extend(self.started.remove(node).map(|start| duration(record.at - start)));
                words.extend(self.used.get(node).filter(|usage| usage.calls > 0).map(used_by_node));
                self.routine(node, "✓", "32", &words.join(", "))
            }
            Event::NodeSkipped { node, why } => self.routine(node, "·", "2", &format!("skipped: {}", skipped(why))),
            Event::NodeWaiting { node, wait, .. } => Some(self.line(node, "…", "33", &waits(wait))),
            Event::NodeFailed { node, attempt, error, then, .. } => {
                let (mark, after) = match then {
                    AfterFailure::Retry(at) => ("↻", format!("; attempt {} at {}", attempt + 1, iso(*at))),
                    AfterFailure::Continue => ("!", "; handled".to_owned()),
                    AfterFailure::StandIn(_) => ("!", "; other outputs stand in".to_owned()),
                    AfterFailure::Fail => ("✗", String::new()),
                };
                Some(self.line(node, mark, "31", &format!("{}: {}{after}", error.code, error.message)))
            }
            Event::NodeLost { node, .. } => {
                Some(self.line(node, "!", "33", "lost with the process that ran it; it starts again"))
            }
            Event::NodeCancelled { node, .. } => self.routine(node, "✗", "33", "cancelled"),
            Event::SignalReceived { by, .. } => {
                Some(format!("  signal received{}", by.as_ref().map_or(String::new(), |by| format!(" from {by}"))))
            }
            Event::CancelRequested { .. } => Some("  cancel requested".to_owned()),
            Event::RunForked { from, kept, .. } => {
                Some(format!("  kept {} from {from}", count(*kept as usize, "settled node")))
            }
            Event::BudgetWarned { used, limit } => Some(format!("  budget nearly used up: {}", near(used, limit))),
            Event::RunStopping { error } => Some(format!("  stopping: {}: {}", error.code, error.message)),
            _ => None,
        }
    }

    /// A line about a node that went as it should: not shown within containers, unless asked for.
    fn routine(&self, node: &str, mark: &str, color: &str, words: &str) -> Option<String> {
        (self.frames_too || !node.contains('[')).then(|| self.line(node, mark, color, words))
    }

    fn line(&self, node: &str, mark: &str, color: &str, words: &str) -> String {
        let (start, end) = if self.color { (format!("\x1b[{color}m"), "\x1b[0m") } else { (String::new(), "") };
        let indent = "  ".repeat(node.matches('.').count());
        format!("  {indent}{start}{mark}{end} {node:<24} {words}").trim_end().to_owned()
    }
}

/// What was used of limits: `812 of 1,000 tokens`.
fn near(used: &Limits, limit: &Limits) -> String {
    let counted = |used: Option<u64>, most: Option<u64>, what: &str| {
        Some(format!("{} of {} {what}", grouped(used?), grouped(most?)))
    };
    let money = || Some(format!("{} of {}", used.cost?, limit.cost?));
    let tokens = counted(used.tokens, limit.tokens, "tokens");
    let nodes = counted(used.nodes, limit.nodes, "starts of nodes");
    [tokens, money(), nodes].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Why a node was skipped, in words.
pub(crate) fn skipped(why: &SkipReason) -> String {
    match why {
        SkipReason::NotNeeded { need } => format!("`{need}` was not taken"),
        SkipReason::NoValue { of } => format!("`{of}` has no value"),
        SkipReason::NothingTaken => "nothing before it was taken".to_owned(),
        SkipReason::When => "`when` is false".to_owned(),
    }
}

/// What a node waits for, in words.
pub(crate) fn waits(wait: &Wait) -> String {
    let what = match (&wait.signal, wait.ask.is_null()) {
        (_, false) => "waits for an answer",
        (Some(signal), true) => &format!("waits for the signal `{signal}`"),
        (None, true) => "waits",
    };
    let what = match wait.ask.get("problem").and_then(Value::as_str) {
        Some(problem) => &format!("{what}, after one that was refused ({problem})"),
        None => what,
    };
    wait.until.map_or_else(|| what.to_owned(), |until| format!("{what}, until {}", iso(until)))
}

/// `1 item`, `2 items`.
pub(crate) fn count(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// `8 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(millis: Millis) -> String {
    match millis {
        ..1_000 => format!("{} ms", millis.max(0)),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
        _ => format!("{} h {} min", millis / 3_600_000, millis % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        error::{ErrorClass, ErrorReport},
        event::{Payload, Place},
        units::Money,
        value,
    };

    use super::*;

    #[test]
    fn a_run_is_told_line_by_line() {
        let mut story = Story::new(false, false);
        let succeeded = |node: &str, port: Option<&str>| Event::NodeSucceeded {
            node: node.to_owned(),
            attempt: 1,
            port: port.map(str::to_owned),
            output: Payload::Value(Value::object()),
            writes: Vec::new(),
            cached: false,
            usage: Spent::default(),
            log: None,
        };
        let call = Usage { input_tokens: 1_200, output_tokens: 34, cost: 1_200, ..Usage::default() };
        let mut spent = Spent::default();
        spent.add("a/b", call);
        let error = ErrorReport {
            code: "LA2203".into(),
            class: ErrorClass::Unavailable,
            message: "the endpoint answered 503".into(),
            hint: None,
            node: None,
        };
        let ask = Wait { signal: None, until: Some(9_000), ask: value!({ "message": "?" }) };
        let events = [
            Event::NodeStarted { node: "fetch".into(), attempt: 1, place: Place::Local { epoch: 1 } },
            Event::NodeFailed {
                node: "fetch".into(),
                attempt: 1,
                error,
                then: AfterFailure::Retry(3_000),
                usage: spent.clone(),
                log: None,
            },
            Event::NodeSucceeded {
                node: "fetch".into(),
                attempt: 2,
                port: None,
                output: Payload::Value(Value::object()),
                writes: Vec::new(),
                cached: false,
                usage: spent,
                log: None,
            },
            succeeded("each[3].shape", None),
            succeeded("found", Some("else")),
            Event::NodeSkipped { node: "there".into(), why: SkipReason::NotNeeded { need: "found.yes".into() } },
            Event::NodeWaiting { node: "ask".into(), attempt: 1, wait: ask, usage: Spent::default() },
            Event::BudgetWarned {
                used: Limits { tokens: Some(2_468), cost: Some(Money(2_400)), nodes: None },
                limit: Limits { tokens: Some(3_000), cost: Some(Money(2_500)), nodes: None },
            },
        ];
        let lines: Vec<String> = events
            .into_iter()
            .enumerate()
            .filter_map(|(i, event)| story.tell(&Record { seq: i as u64 + 1, at: i as i64 * 700, event }))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        ↻ fetch                    LA2203: the endpoint answered 503; attempt 2 at 1970-01-01T00:00:03.000Z
        ✓ fetch                    1.4 s, 2,468 tokens, 0.0024 USD
        ✓ found                    port `else`
        · there                    skipped: `found.yes` was not taken
        … ask                      waits for an answer, until 1970-01-01T00:00:09.000Z
        budget nearly used up: 2,468 of 3,000 tokens, 0.0024 USD of 0.0025 USD
        ");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!([8, 1_250, 200_000, 7_500_000].map(duration), ["8 ms", "1.2 s", "3 min 20 s", "2 h 5 min"]);
    }
}
