//! The nodes of a composite with the fields of one node in their places.

use serde_json::{Map, Value as Json, json};

use super::Composite;
use crate::graph::escape;

/// The nodes of a composite as a workflow in JSON.
#[derive(Clone, Debug)]
pub(crate) struct Expansion {
    /// With `loop`, one node `rounds` of that type; else the nodes themselves, and `outputs`.
    pub(crate) view: Json,
    /// Where the fields were placed.
    pub(crate) placed: Vec<Placed>,
    /// Whether it goes in rounds.
    pub(crate) is_loop: bool,
}

/// A field of an author that stands in a node of a composite. Templates in it see what the author's node sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Where it stands.
    pub(crate) pointer: String,
    /// The field of the composite.
    pub(crate) field: String,
    /// How many composites further out its author's node stands.
    pub(crate) out: u32,
}

/// The node that repeats the others; nothing may refer to it.
const ROUNDS: &str = "rounds";

impl Expansion {
    /// The map of nodes.
    pub(crate) fn nodes(&self) -> &Json {
        let top = &self.view["nodes"];
        if self.is_loop { &top[ROUNDS]["nodes"] } else { top }
    }

    /// Where a place of the view stands in the file of the composite.
    pub(crate) fn in_file(pointer: &str, is_loop: bool) -> String {
        let rest = |prefix: &str| pointer.strip_prefix(prefix);
        if let Some(rest) = rest("/inputs") {
            return format!("/fields{rest}");
        }
        if !is_loop {
            // An output is its value.
            let mut parts = pointer.splitn(4, '/');
            return match (parts.nth(1), parts.next(), parts.next()) {
                (Some("outputs"), Some(name), below) => {
                    format!("/outputs/{name}/value{}", below.map_or_else(String::new, |below| format!("/{below}")))
                }
                _ => pointer.to_owned(),
            };
        }
        let Some(rest) = pointer.strip_prefix("/nodes/rounds") else { return pointer.to_owned() };
        if let Some(rest) = rest.strip_prefix("/output") {
            return Self::in_file(&format!("/outputs{rest}"), false);
        }
        if rest == "/nodes" || rest.starts_with("/nodes/") { rest.to_owned() } else { format!("/loop{rest}") }
    }
}

impl Composite {
    /// Puts the fields of a node in their places. `outer` says which of them stand there as fields of a composite around
    /// it, by pointers below the node.
    pub(crate) fn expand(&self, config: &Map<String, Json>, outer: &[Placed]) -> Expansion {
        let mut placed = Vec::new();
        let mut nodes = json!(self.def.nodes);
        let outputs: Map<_, _> =
            self.def.outputs.iter().map(|(name, output)| (name.clone(), json!(output.value))).collect();
        let placer = Placer { composite: self, config, outer };
        let view = match &self.def.rounds {
            Some(rounds) => {
                let mut node = rounds.clone();
                placer.fields(&mut node, &format!("/nodes/{ROUNDS}"), &mut placed);
                placer.nodes(&mut nodes, &format!("/nodes/{ROUNDS}/nodes"), &mut placed);
                node.insert("type".to_owned(), "loop".into());
                node.insert("nodes".to_owned(), nodes);
                node.insert("output".to_owned(), outputs.into());
                json!({ "nodes": { ROUNDS: node } })
            }
            None => {
                placer.nodes(&mut nodes, "/nodes", &mut placed);
                json!({ "nodes": nodes, "outputs": outputs })
            }
        };
        Expansion { view, placed, is_loop: self.def.rounds.is_some() }
    }

    /// The nodes of a node of this type, by id; `None` where it has none.
    pub fn nodes(&self, config: &Map<String, Json>) -> Option<Json> {
        Some(self.expand(config, &[]).nodes().clone()).filter(Json::is_object)
    }

    /// Every `{ field: NAME }` of its file: where it stands, and the field.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        let mut places = Vec::new();
        let mut gather = |pointer: String, field: &str| places.push((pointer, field.to_owned()));
        if let Some(rounds) = &self.def.rounds {
            each_place(rounds, "/loop", &mut gather);
        }
        each_node(&json!(self.def.nodes), "/nodes", &mut |node, pointer| each_place(node, pointer, &mut gather));
        places
    }
}

struct Placer<'a> {
    composite: &'a Composite,
    config: &'a Map<String, Json>,
    outer: &'a [Placed],
}

impl Placer<'_> {
    fn nodes(&self, nodes: &mut Json, pointer: &str, placed: &mut Vec<Placed>) {
        for (id, node) in nodes.as_object_mut().into_iter().flatten() {
            let pointer = format!("{pointer}/{}", escape(id));
            let Some(fields) = node.as_object_mut() else { continue };
            self.fields(fields, &pointer, placed);
            if let Some(inner) = fields.get_mut("nodes") {
                self.nodes(inner, &format!("{pointer}/nodes"), placed);
            }
        }
    }

    fn fields(&self, fields: &mut Map<String, Json>, pointer: &str, placed: &mut Vec<Placed>) {
        let mut here = Vec::new();
        each_place(fields, "", &mut |key, field| here.push((key[1..].to_owned(), field.to_owned())));
        for (key, field) in here {
            let declared = self.composite.fields.get(&field);
            let value = self.config.get(&field).or_else(|| declared?.default.as_ref()).filter(|value| !value.is_null());
            let Some(value) = value else {
                fields.remove(&key);
                continue;
            };
            let within = format!("/{field}");
            let out = self.outer.iter().find(|placed| placed.pointer == within).map_or(0, |placed| placed.out);
            placed.push(Placed { pointer: format!("{pointer}/{}", escape(&key)), field, out: out + 1 });
            fields.insert(key, value.clone());
        }
    }
}

/// Calls `visit` for every field of a node that is `{ field: NAME }`.
fn each_place(fields: &Map<String, Json>, pointer: &str, visit: &mut impl FnMut(String, &str)) {
    for (key, value) in fields {
        if let Some(field) =
            value.as_object().filter(|form| form.len() == 1).and_then(|form| form.get("field")?.as_str())
        {
            visit(format!("{pointer}/{}", escape(key)), field);
        }
    }
}

/// Calls `visit` for every node of a map at any depth.
pub(super) fn each_node(nodes: &Json, pointer: &str, visit: &mut impl FnMut(&Map<String, Json>, &str)) {
    for (id, node) in nodes.as_object().into_iter().flatten() {
        let pointer = format!("{pointer}/{}", escape(id));
        let Some(fields) = node.as_object() else { continue };
        visit(fields, &pointer);
        if let Some(inner) = fields.get("nodes") {
            each_node(inner, &format!("{pointer}/nodes"), visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{composite::CompositeDef, node::Registry};

    fn composite(rounds: Option<Json>) -> std::sync::Arc<Composite> {
        let mut def = json!({
            "composite": "test", "description": "For the test.",
            "fields": {
                "what": "string",
                "times": { "type": "integer", "default": 3, "static": true },
                "more": { "type": "object", "optional": true, "static": true },
            },
            "nodes": {
                "a": { "type": "x", "text": "{{ inputs.what }}", "limit": { "field": "times" }, "more": { "field": "more" } },
                "each": { "type": "y", "nodes": { "b": { "type": "x", "more": { "field": "more" } } } },
            },
            "outputs": { "text": { "description": "It.", "value": "{{ a.text }}" } },
        });
        if let Some(rounds) = rounds {
            def["loop"] = rounds;
        }
        let def: CompositeDef = serde_json::from_value(def).unwrap();
        let registry = Registry::default().with_composite(def).unwrap();
        registry.get("test").unwrap().composite.clone().unwrap()
    }

    #[test]
    fn fields_are_put_in_their_places() {
        let fields = json!({ "what": "{{ author.says }}", "more": { "m": "{{ author.more }}" } });
        let outer = [Placed { pointer: "/more".to_owned(), field: "outer".to_owned(), out: 1 }];
        let once = composite(None).expand(fields.as_object().unwrap(), &outer);
        let rounds = json!({ "until": "{{ round == inputs.times }}", "max_rounds": { "field": "times" } });
        let looped = composite(Some(rounds)).expand(json!({ "what": "x", "times": 5 }).as_object().unwrap(), &[]);
        let shown = |expansion: &Expansion| {
            let places = expansion.placed.iter().map(|at| format!("{} is `{}`, {} out", at.pointer, at.field, at.out));
            format!("{:#}\n{}", expansion.view, places.collect::<Vec<_>>().join("\n"))
        };
        insta::assert_snapshot!(format!("{}\n\n{}", shown(&once), shown(&looped)));
    }

    #[test]
    fn places_of_the_nodes_lead_back_into_the_file() {
        for (pointer, is_loop, expected) in [
            ("/inputs/what", false, "/fields/what"),
            ("/nodes/a/text", false, "/nodes/a/text"),
            ("/outputs/text", false, "/outputs/text/value"),
            ("/outputs/text/0/x", false, "/outputs/text/value/0/x"),
            ("/nodes/rounds/nodes/a/text", true, "/nodes/a/text"),
            ("/nodes/rounds/until", true, "/loop/until"),
            ("/nodes/rounds/output/text", true, "/outputs/text/value"),
            ("/nodes/rounds", true, "/loop"),
        ] {
            assert_eq!(Expansion::in_file(pointer, is_loop), expected, "{pointer}");
        }
    }
}
