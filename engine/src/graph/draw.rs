//! Pictures of a workflow: Mermaid, DOT and SVG.
//!
//! An arrow leads from what is waited for to what waits. It is solid where it decides whether the node runs, and dashed
//! where it only orders. A port stands on the arrow. Containers are drawn around their bodies.

use std::collections::BTreeMap;

use super::{BodyGraph, NodeInfo, WorkflowGraph};
use crate::definition::Need;

mod svg;

pub use self::svg::svg;

/// An arrow between two nodes of one body, by position.
struct Arrow {
    from: usize,
    to: usize,
    /// The ports, or nothing.
    label: String,
    /// Whether it decides, or only orders.
    decides: bool,
}

/// The arrows of a body: one for each pair of nodes.
fn arrows(body: &BodyGraph) -> Vec<Arrow> {
    let mut found = BTreeMap::<(usize, usize), Arrow>::new();
    let mut add = |from: Option<usize>, to: usize, port: Option<&str>, decides: bool| {
        let Some(from) = from else { return };
        let arrow = found.entry((from, to)).or_insert(Arrow { from, to, label: String::new(), decides: false });
        arrow.decides |= decides;
        if let Some(port) = port {
            let separator = if arrow.label.is_empty() { "" } else { ", " };
            arrow.label.push_str(&format!("{separator}{port}"));
        }
    };
    for (to, node) in body.nodes.iter().enumerate() {
        for exit in node.needs.iter().flat_map(Need::exits) {
            add(body.position(&exit.node), to, exit.port.as_deref(), true);
        }
        for read in node.reads.iter().filter(|read| read.up == 0) {
            add(body.position(&read.node), to, None, !read.guarded);
        }
    }
    found.into_values().collect()
}

/// The bodies of a workflow with the title under which they are drawn; the nodes themselves have none.
fn sections(graph: &WorkflowGraph) -> impl Iterator<Item = (Option<&'static str>, &BodyGraph)> {
    let handler = |title, body: &'_ Option<BodyGraph>| body.is_some().then_some(title);
    let titles = [None, handler("on_failure", &graph.on_failure), handler("finally", &graph.finally)];
    let bodies = [Some(&graph.body), graph.on_failure.as_ref(), graph.finally.as_ref()];
    titles.into_iter().zip(bodies).filter_map(|(title, body)| Some((title, body?)))
}

/// A Mermaid flowchart.
pub fn mermaid(graph: &WorkflowGraph) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for (title, body) in sections(graph) {
        match title {
            None => mermaid_body(&mut text, body, "", 1),
            Some(title) => {
                text.push_str(&format!("  subgraph {title}\n"));
                mermaid_body(&mut text, body, &format!("{title}__"), 2);
                text.push_str("  end\n");
            }
        }
    }
    text
}

fn mermaid_body(text: &mut String, body: &BodyGraph, prefix: &str, depth: usize) {
    let indent = "  ".repeat(depth);
    for node in &body.nodes {
        let id = format!("{prefix}{}", node.id);
        if let Some(inner) = &node.body {
            text.push_str(&format!("{indent}subgraph {id}[\"{} ({})\"]\n", node.id, node.kind));
            mermaid_body(text, inner, &format!("{id}__"), depth + 1);
            text.push_str(&format!("{indent}end\n"));
        } else {
            text.push_str(&format!("{indent}{id}[\"{}<br><small>{}</small>\"]\n", node.id, node.kind));
        }
    }
    for arrow in arrows(body) {
        let line = if arrow.decides { "-->" } else { "-.->" };
        let label = if arrow.label.is_empty() { String::new() } else { format!("|{}|", arrow.label) };
        let id = |position: usize| format!("{prefix}{}", body.nodes[position].id);
        text.push_str(&format!("{indent}{} {line}{label} {}\n", id(arrow.from), id(arrow.to)));
    }
}

/// A graph in the language of Graphviz.
pub fn dot(graph: &WorkflowGraph) -> String {
    let mut text =
        "digraph workflow {\n  compound=true;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n  \
                    edge [fontname=\"sans-serif\", fontsize=10];\n"
            .to_owned();
    for (title, body) in sections(graph) {
        match title {
            None => dot_body(&mut text, body, "", 1),
            Some(title) => {
                text.push_str(&format!("  subgraph \"cluster_{title}\" {{\n    label=\"{title}\";\n"));
                dot_body(&mut text, body, &format!("{title}."), 2);
                text.push_str("  }\n");
            }
        }
    }
    text + "}\n"
}

fn dot_body(text: &mut String, body: &BodyGraph, prefix: &str, depth: usize) {
    let indent = "  ".repeat(depth);
    for node in &body.nodes {
        let id = format!("{prefix}{}", node.id);
        if let Some(inner) = &node.body {
            text.push_str(&format!(
                "{indent}subgraph \"cluster_{id}\" {{\n{indent}  label=\"{} ({})\";\n",
                node.id, node.kind
            ));
            dot_body(text, inner, &format!("{id}."), depth + 1);
            text.push_str(&format!("{indent}}}\n"));
        } else {
            text.push_str(&format!("{indent}\"{id}\" [label=\"{}\\n{}\"];\n", node.id, node.kind));
        }
    }
    for arrow in arrows(body) {
        let (from, to) = (&body.nodes[arrow.from], &body.nodes[arrow.to]);
        let mut options = Vec::new();
        if !arrow.label.is_empty() {
            options.push(format!("label=\"{}\"", arrow.label));
        }
        if !arrow.decides {
            options.push("style=dashed".to_owned());
        }
        options.extend(from.body.is_some().then(|| format!("ltail=\"cluster_{prefix}{}\"", from.id)));
        options.extend(to.body.is_some().then(|| format!("lhead=\"cluster_{prefix}{}\"", to.id)));
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
        text.push_str(&format!("{indent}\"{}\" -> \"{}\"{options};\n", leaf(prefix, from), leaf(prefix, to)));
    }
}

/// Graphviz draws no arrow to a cluster, but cuts one to a node in it at the border.
fn leaf(prefix: &str, node: &NodeInfo) -> String {
    let id = format!("{prefix}{}", node.id);
    match node.body.as_ref().and_then(|body| body.nodes.first()) {
        Some(first) => leaf(&format!("{id}."), first),
        None => id,
    }
}
