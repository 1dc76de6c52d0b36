//! What came of tests: lines for people, JUnit for machines.

use indexmap::IndexMap;
use liteagent_engine::{
    event::SkipReason,
    view::{NodeSeen, ViewStatus},
};

use super::script::Verdict;
use crate::progress::shown;

/// The lines of a test: one when it passed, else also what was expected and found, and what the nodes did.
pub(crate) fn lines(verdict: &Verdict, color: bool) -> Vec<String> {
    let (green, red, dim, end) = if color { ("\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "", "") };
    let name = format!("{} › {}", verdict.workflow, verdict.name);
    if verdict.failures.is_empty() {
        return vec![format!("{green}pass{end} {name}")];
    }
    let mut lines = vec![format!("{red}FAIL{end} {name}  {dim}{}{end}", verdict.place)];
    for failure in &verdict.failures {
        lines.push(format!("  {}", failure.field));
        lines.push(format!("    expected: {}", indented(&failure.expected)));
        lines.push(format!("    found:    {}", indented(&failure.found)));
    }
    if !verdict.trace.is_empty() {
        lines.push("  nodes".to_owned());
        lines.extend(verdict.trace.iter().map(|line| format!("    {dim}{line}{end}")));
    }
    lines
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n              ")
}

/// The nodes, one a line: path, and where it stands.
pub(super) fn trace(nodes: &IndexMap<String, NodeSeen>) -> Vec<String> {
    const MOST: usize = 40;
    let width = nodes.keys().map(|path| path.chars().count()).max().unwrap_or(0).min(40);
    let mut lines = Vec::new();
    for (path, node) in nodes.iter().take(MOST) {
        lines.push(format!("{path:width$}  {}", standing(node)));
        let printed = node.logs.iter().flat_map(|(_, log)| shown(log, true));
        lines.extend(printed.map(|line| format!("  │ {line}")));
    }
    if nodes.len() > MOST {
        lines.push(format!("and {} more", nodes.len() - MOST));
    }
    lines
}

/// Where a node stands, in a few words.
pub(super) fn standing(node: &NodeSeen) -> String {
    let failure = || {
        let last = node.failures.last();
        last.map(|(attempt, error)| format!(" in attempt {attempt} with {}: {}", error.code, error.message))
            .unwrap_or_default()
    };
    match &node.status {
        ViewStatus::Running { .. } => "running".to_owned(),
        ViewStatus::Sleeping(_) => format!("failed{}; it is tried again", failure()),
        ViewStatus::Waiting(wait) => match (&wait.signal, wait.ask.is_null()) {
            (Some(signal), _) => format!("waiting for the signal `{signal}`"),
            (None, false) => "waiting for a person".to_owned(),
            (None, true) => "waiting for a time".to_owned(),
        },
        ViewStatus::Succeeded { port: Some(port), .. } => format!("succeeded by `{port}`"),
        ViewStatus::Succeeded { .. } => "succeeded".to_owned(),
        ViewStatus::Failed { handled: true } => format!("failed{}; handled", failure()),
        ViewStatus::Failed { handled: false } => format!("failed{}", failure()),
        ViewStatus::Skipped(why) => format!("skipped: {}", reason(why)),
        ViewStatus::Cancelled => "cancelled".to_owned(),
    }
}

fn reason(why: &SkipReason) -> String {
    match why {
        SkipReason::NotNeeded { need } => format!("`{need}` was not taken"),
        SkipReason::NoValue { of } => format!("`{of}`, which it reads, has no value"),
        SkipReason::NothingTaken => "nothing before it ran".to_owned(),
        SkipReason::When => "`when` was false".to_owned(),
    }
}

/// The verdicts as JUnit XML: a suite for each workflow.
pub(crate) fn junit(verdicts: &[Verdict]) -> String {
    let mut suites: IndexMap<&str, Vec<&Verdict>> = IndexMap::new();
    for verdict in verdicts {
        suites.entry(&verdict.workflow).or_default().push(verdict);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, tests) in suites {
        let failed = tests.iter().filter(|test| !test.failures.is_empty()).count();
        let count = tests.len();
        xml.push_str(&format!("  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\">\n", escaped(name)));
        for test in tests {
            xml.push_str(&case(test));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(test: &Verdict) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}.{:03}\"",
        escaped(&test.workflow),
        escaped(&test.name),
        test.took / 1000,
        test.took % 1000
    );
    let Some(first) = test.failures.first() else { return format!("{head}/>\n") };
    let message = format!("{}: expected {}, found {}", first.field, first.expected, first.found);
    let text = lines(test, false).join("\n");
    format!("{head}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", escaped(&message), escaped(&text))
}

/// Text for XML: what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            letter if letter.is_control() && letter != '\t' => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
