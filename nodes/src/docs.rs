//! The documentation page of a node type, made from its schema and its examples.

use std::fmt::Write as _;

use liteagent_engine::{
    definition::NodeDef,
    node::{Capability, Container, Effect, Example, Family, NodeSpec},
    source,
};
use schemars::Schema;
use serde_json::Value as Json;

use self::fields::{Choice, Row, rows};

mod fields;

/// The page of a node type in Markdown: what `docs/nodes/<type>.md` holds.
pub fn page(spec: &NodeSpec) -> String {
    let mut page = format!("# {}\n\n{}\n", spec.type_name, description(&spec.config_schema));
    let (fields, choices) = rows(&spec.config_schema);
    section(&mut page, "Fields", &table(fields, Columns::Fields));
    page.push_str("\nThe fields that every node has, such as `needs`, `when`, `retry`, `timeout` and `on_error`, stand beside them.\n");
    values(&mut page, &choices);
    let (output, choices) = rows(&spec.output_schema);
    let output = format!("{}\n\n{}", description(&spec.output_schema), table(output, Columns::Output));
    section(&mut page, "Output", &output);
    values(&mut page, &choices);
    section(&mut page, "Ports", &ports(spec));
    section(&mut page, "Behaviour", &behaviour(spec));
    section(&mut page, "Examples", &spec.meta.examples.iter().map(example).collect::<Vec<_>>().join("\n"));
    page
}

/// What a node type does, in its first sentence, without the full stop.
pub fn summary(spec: &NodeSpec) -> String {
    let paragraph = description(&spec.config_schema).split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default();
    sentence.trim().trim_end_matches('.').to_owned()
}

/// The name of a family, as the table of contents has it.
pub fn family(family: Family) -> &'static str {
    match family {
        Family::Flow => "flow",
        Family::Model => "model",
        Family::Retrieval => "retrieval",
        Family::Data => "data",
        Family::Io => "io",
        Family::Code => "code",
    }
}

fn section(page: &mut String, title: &str, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        page.push_str(&format!("\n## {title}\n\n{text}\n"));
    }
}

fn values(page: &mut String, choices: &[Choice]) {
    for choice in choices {
        let line = |(word, meaning): &(String, String)| format!("- `{word}`: {}", cell(meaning));
        let lines: Vec<_> = choice.values.iter().map(line).collect();
        section(page, &format!("Values of `{}`", choice.field), &lines.join("\n"));
    }
}

fn description(schema: &Schema) -> &str {
    schema.get("description").and_then(Json::as_str).unwrap_or_default()
}

/// What a table shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    Fields,
    Output,
}

fn table(rows: Vec<Row>, columns: Columns) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = match columns {
        Columns::Fields => "| Field | Type | Default | Description |\n|---|---|---|---|\n".to_owned(),
        Columns::Output => "| Name | Type | Description |\n|---|---|---|\n".to_owned(),
    };
    for row in rows {
        let default = match (columns, row.required, row.default) {
            (Columns::Output, ..) => String::new(),
            (_, true, _) => " required |".to_owned(),
            (_, false, Some(default)) => format!(" `{default}` |"),
            (_, false, None) => " |".to_owned(),
        };
        let _ = writeln!(table, "| `{}` | {} |{default} {} |", row.name, cell(&row.kind), cell(&row.description));
    }
    table
}

/// A text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The exits of the first example that can be built, as an example of the exits.
fn ports(spec: &NodeSpec) -> String {
    let built = spec.meta.examples.iter().find_map(|example| Some((example, (spec.build)(fields_of(example)?).ok()?)));
    let Some((example, node)) = built else { return String::new() };
    let names: Vec<_> = node.ports().iter().map(|port| format!("`{port}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            "{} in the example \"{}\". Each node also has the port `error` with `on_error: continue`.",
            names.join(", "),
            example.title
        ),
    }
}

/// The fields of the type in an example: without `type` and what every node has.
fn fields_of(example: &Example) -> Option<Json> {
    let (document, _) = source::parse("example", example.yaml.to_owned());
    let node: NodeDef = serde_json::from_value(document?.value).ok()?;
    Some(Json::Object(node.config))
}

fn behaviour(spec: &NodeSpec) -> String {
    let meta = &spec.meta;
    let mut lines = vec![format!("Family: {}.", family(meta.family))];
    if let Some(composite) = &spec.composite {
        lines.push(
            "Composite: it is made of nodes, which `liteagent graph --open` shows; from outside only its outputs can be \
             read."
                .to_owned(),
        );
        let passes = if composite.def.rounds.is_some() { "rounds that are done" } else { "nodes that are done" };
        lines.push(format!("Retry: it goes on, {passes} stay done."));
        return listed(&lines);
    }
    lines.push(
        match meta.effect {
            Effect::Pure => "Effect: none. It changes nothing outside the run, so another attempt gives the same.",
            Effect::Idempotent => "Effect: it reaches outside, and another attempt changes nothing more.",
            Effect::AtLeastOnce => {
                "Effect: it changes the outside each time. An attempt that a crash interrupts is repeated, under the \
                 same idempotency key."
            }
        }
        .to_owned(),
    );
    if let Some(container) = meta.container {
        let roots = container.roots().iter().map(|root| format!("`{root}`")).collect::<Vec<_>>().join(" and ");
        let retry = match container {
            Container::Items => "items that are done stay done",
            Container::Rounds => "rounds that are done stay done",
            Container::Once => "nodes that are done stay done",
            Container::Calls => "calls that are done stay done",
        };
        lines.push(format!("Container: its nodes see {roots}; from outside only the container can be read."));
        lines.push(format!("Retry: the container goes on, {retry}."));
    } else {
        lines.push(
            "Retry: by default an attempt that fails with `rate_limited`, `timeout` or `unavailable` is tried again \
             when the node or the workflow has a `retry`."
                .to_owned(),
        );
    }
    if meta.fails_when_lost {
        lines.push("When the process that runs it dies, it fails, unless `on_lost: retry` is set.".to_owned());
    }
    if let Some(queue) = spec.queue {
        lines.push(format!(
            "Where the process that executes the run does not serve the queue `{queue}`, it runs in one that does."
        ));
    }
    if !meta.requires.is_empty() {
        let names = meta.requires.iter().map(|capability| capability_name(*capability)).collect::<Vec<_>>().join(", ");
        lines.push(format!("Needs: {names}."));
    }
    if !meta.aliases.is_empty() {
        lines.push(format!("Old names: {}.", meta.aliases.join(", ")));
    }
    listed(&lines)
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

fn capability_name(capability: Capability) -> &'static str {
    match capability {
        Capability::Http => "outgoing HTTP",
        Capability::Files => "folders that it may use",
        Capability::Kv => "state between runs",
        Capability::Code => "the sandbox",
        Capability::Models => "language models",
        Capability::Documents => "readers of documents",
        Capability::Knowledge => "knowledge bases",
    }
}

fn example(example: &Example) -> String {
    let mut text = format!("### {}\n\n```yaml\n{}\n```\n", example.title, example.yaml.trim_end());
    if !example.scope.trim().is_empty() {
        text.push_str(&format!("\nWith\n\n```yaml\n{}\n```\n", example.scope.trim_end()));
    }
    text.push_str(&format!("\nit gives\n\n```yaml\n{}\n```\n", example.gives.trim_end()));
    text
}
