//! The truth table of `ENGINE.md` section 1: every kind of edge against every way in which a node can end.

use super::{sim::Sim, step::plan};

const ENDS: [&str; 7] = ["ok", "left", "timeout", "continues", "stands in", "is skipped", "right"];

const EDGES: [(&str, &str); 9] = [
    ("needs: [x]", r#"{ "needs": ["x"] }"#),
    ("needs: [x.left]", r#"{ "needs": ["x.left"] }"#),
    ("needs: [x.error]", r#"{ "needs": ["x.error"] }"#),
    ("needs: [x.timeout]", r#"{ "needs": ["x.timeout"] }"#),
    ("needs: [any: x.left, x.error]", r#"{ "needs": [{ "any": ["x.left", "x.error"] }] }"#),
    ("{{ x.text }}", r#"{ "reads": "{{ x.text }}" }"#),
    ("{{ x.text if x else '' }}", r#"{ "reads": "{{ x.text if x else '' }}" }"#),
    ("{{ x.error.message }}", r#"{ "reads": "{{ x.error.message }}" }"#),
    ("{{ x.ok }}", r#"{ "reads": "{{ x.ok }}" }"#),
];

fn node(edge: &str, other: Option<&str>) -> serde_json::Value {
    let mut node: serde_json::Value = serde_json::from_str(edge).unwrap();
    let fields = node.as_object_mut().unwrap();
    fields.insert("type".to_owned(), "step".into());
    if let Some(other) = other {
        let mut more: serde_json::Value =
            serde_json::from_str(&other.replace('x', "y").replace("teyt", "text")).unwrap();
        for (key, value) in more.as_object_mut().unwrap() {
            match (fields.get_mut(key), value.take()) {
                (Some(serde_json::Value::Array(all)), serde_json::Value::Array(new)) => all.extend(new),
                (Some(serde_json::Value::String(text)), serde_json::Value::String(new)) => text.push_str(&new),
                (_, new) => {
                    fields.insert(key.clone(), new);
                }
            }
        }
    }
    node
}

fn upstream() -> serde_json::Value {
    serde_json::json!({ "type": "step", "ports": ["left", "right", "timeout"], "on_error": "continue" })
}

#[test]
fn one_edge() {
    let mut table = String::new();
    for (name, edge) in EDGES {
        table.push_str(&format!("{name}\n"));
        for end in ENDS {
            let mut sim = Sim::new(plan(serde_json::json!({ "nodes": { "x": upstream(), "n": node(edge, None) } })));
            assert_eq!(sim.fate("n"), "waits");
            sim.end("x", end);
            table.push_str(&format!("    x {end:<12} {}\n", sim.fate("n")));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn two_edges() {
    let mut table = String::new();
    for (first, a) in EDGES {
        for (second, b) in EDGES {
            table.push_str(&format!("{first}  +  {}\n", second.replace('x', "y").replace("teyt", "text")));
            for (x, y) in [
                ("left", "left"),
                ("left", "is skipped"),
                ("is skipped", "left"),
                ("continues", "left"),
                ("is skipped", "is skipped"),
                ("timeout", "continues"),
            ] {
                let nodes = serde_json::json!({ "x": upstream(), "y": upstream(), "n": node(a, Some(b)) });
                let mut sim = Sim::new(plan(serde_json::json!({ "nodes": nodes })));
                sim.end("x", x);
                assert_eq!(sim.fate("n"), "waits", "a node waits until every edge is settled");
                sim.end("y", y);
                table.push_str(&format!("    x {x:<10} y {y:<10} {}\n", sim.fate("n")));
            }
        }
    }
    insta::assert_snapshot!(table);
}
