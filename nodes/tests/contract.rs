//! What every node type promises, asked of each that the registry has.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};

use liteagent_documents::testing::InProcess;
use liteagent_engine::{
    capability::Capabilities,
    node::{Capability, Family, NodeSpec},
    testing::NodeTest,
    value::Value,
};
use liteagent_nodes::code::Sandboxed;
use liteagent_sandbox::{Config, Sandbox};
use serde_json::Value as Json;

/// What examples run with: code really runs, everything else is faked by their scope.
#[expect(clippy::disallowed_methods, reason = "tests look where make puts the guests of the sandbox")]
fn caps() -> Capabilities {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox =
        || Sandbox::new(Config::of_cache(|name| std::env::var(name).ok())).expect("the usual configuration is served");
    let code = Sandboxed::new(move |request| SANDBOX.get_or_init(sandbox).run(request));
    let documents = InProcess::default();
    Capabilities { code: Some(Arc::new(code)), documents: Some(Arc::new(documents)), ..Capabilities::default() }
}

fn specs() -> Vec<NodeSpec> {
    liteagent_nodes::registry().iter().cloned().collect()
}

/// The node types that are code: composites are shown by workflows of the library.
fn coded() -> Vec<NodeSpec> {
    specs().into_iter().filter(|spec| spec.composite.is_none()).collect()
}

#[test]
fn every_file_of_a_family_is_registered_and_has_its_name() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    for family in [Family::Flow, Family::Model, Family::Retrieval, Family::Data, Family::Io, Family::Code] {
        let family = liteagent_nodes::docs::family(family);
        for entry in fs::read_dir(sources.join(family)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let source = fs::read_to_string(entry.path()).unwrap_or_default();
            if let Some(stem) = name.strip_suffix(".rs").filter(|_| source.contains("\nimpl Node for ")) {
                files.insert(format!("{family}/{}", stem.replace('_', "-")));
            }
        }
    }
    let registered: BTreeSet<_> = coded()
        .iter()
        .map(|spec| format!("{}/{}", liteagent_nodes::docs::family(spec.meta.family), spec.type_name))
        .collect();
    assert_eq!(files, registered, "files on the left, node types on the right");
}

#[test]
fn every_schema_compiles_and_is_described() {
    let mut wrong = Vec::new();
    for spec in specs() {
        for (what, schema) in [("config", &spec.config_schema), ("output", &spec.output_schema)] {
            let name = format!("{} {what}", spec.type_name);
            if let Err(error) = jsonschema::draft7::new(schema.as_value()) {
                wrong.push(format!("{name}: {error}"));
            }
            undescribed(schema.as_value(), &name, &mut wrong);
        }
        if spec.config_schema.get("additionalProperties") != Some(&Json::Bool(false)) {
            wrong.push(format!("{}: the config accepts unknown fields: add `deny_unknown_fields`", spec.type_name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every object says what it is, and so does every field of it.
fn undescribed(schema: &Json, name: &str, wrong: &mut Vec<String>) {
    if schema.get("description").is_none() {
        wrong.push(format!("{name}: no description"));
    }
    let definitions = schema.get("definitions").and_then(Json::as_object);
    let resolve = |field: &Json| -> Option<Json> {
        let path = field.get("$ref").or_else(|| field.pointer("/allOf/0/$ref"))?.as_str()?;
        definitions?.get(path.strip_prefix("#/definitions/")?).cloned()
    };
    let objects = definitions.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema));
    for (object, schema) in objects.chain([("", schema)]) {
        for (field, rules) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let described = |rules: &Json| rules.get("description").is_some();
            if !described(rules) && !resolve(rules).as_ref().is_some_and(described) {
                wrong.push(format!("{name}: no description of `{object}.{field}`"));
            }
        }
    }
}

#[test]
fn an_unknown_field_is_refused() {
    for spec in coded() {
        let Some(example) = spec.meta.examples.first() else { continue };
        let yaml = format!("{}\nno_such_field: 1\n", example.yaml.trim_end());
        let error = NodeTest::new(&liteagent_nodes::registry(), &yaml).build().err();
        let error = error.unwrap_or_else(|| panic!("{} accepts an unknown field", spec.type_name));
        assert!(error.message.contains("no_such_field"), "{}: {}", spec.type_name, error.message);
    }
}

#[test]
fn every_node_type_has_examples_of_both_kinds() {
    for spec in coded() {
        assert!(spec.meta.examples.len() >= 2, "{} has fewer than two examples", spec.type_name);
        for example in spec.meta.examples {
            let head = format!("type: {}\n", spec.type_name);
            assert!(example.yaml.starts_with(&head), "{}: `{}` begins with {head}", spec.type_name, example.title);
            assert!(!example.title.ends_with('.'), "{}: a title has no full stop", spec.type_name);
        }
    }
}

#[tokio::test]
async fn every_example_gives_what_it_says() {
    let registry = liteagent_nodes::registry();
    let mut wrong = Vec::new();
    for spec in coded() {
        for example in spec.meta.examples {
            let outcome = NodeTest::new(&registry, example.yaml).scope(example.scope).caps(caps()).run().await;
            let gives: Value = serde_saphyr::from_str::<Json>(example.gives).expect(example.title).into();
            if !holds(&outcome, &gives) {
                wrong.push(format!("{}: {}\n  says  {gives}\n  gives {outcome}", spec.type_name, example.title));
            }
            wrong.extend(misfits(&spec, example.yaml, &outcome));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether everything that `expected` names is in `actual`. Lists are compared whole.
fn holds(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().all(|(key, expected)| actual.get(key).is_some_and(|actual| holds(actual, expected)))
        }
        (Value::List(actual), Value::List(expected)) => {
            actual.len() == expected.len() && actual.iter().zip(expected.iter()).all(|(a, e)| holds(a, e))
        }
        _ => actual == expected,
    }
}

/// An output fits the schema that the checks of references use, and a port is one that the node has.
fn misfits(spec: &NodeSpec, yaml: &str, outcome: &Value) -> Vec<String> {
    let Ok(node) = NodeTest::new(&liteagent_nodes::registry(), yaml).build() else { return Vec::new() };
    let mut wrong = Vec::new();
    if let Some(port) = outcome.get("port").and_then(Value::as_str)
        && !node.node.ports().iter().any(|known| known == port)
    {
        wrong.push(format!("{}: `ports()` does not have `{port}`", spec.type_name));
    }
    let Some(output) = outcome.get("output") else { return wrong };
    if output.as_object().is_none() {
        wrong.push(format!("{}: the output is {}, not an object", spec.type_name, output.kind()));
    }
    for schema in [spec.output_schema.as_value(), node.node.output_schema().as_value()] {
        let validator = jsonschema::draft7::new(schema).expect("checked by another test");
        let output = output.to_json();
        wrong.extend(validator.iter_errors(&output).map(|error| {
            format!("{}: the output does not fit its schema at `{}`: {error}", spec.type_name, error.instance_path())
        }));
    }
    wrong
}

/// Without what it requires, a node says so; what it does not require, it does not miss.
#[tokio::test]
async fn what_a_node_type_requires_is_what_it_uses() {
    let registry = liteagent_nodes::registry();
    for spec in coded() {
        let mut missed = false;
        for example in spec.meta.examples {
            // The same scope without its fakes: nothing leads outside.
            let mut scope: Value = match example.scope.trim() {
                "" => Value::object(),
                text => serde_saphyr::from_str::<Json>(text).expect(example.title).into(),
            };
            if let Value::Object(members) = &mut scope {
                Arc::make_mut(members).shift_remove("fakes");
            }
            let outcome = NodeTest::new(&registry, example.yaml).scope(&scope.to_string()).run().await;
            missed |= outcome.get("error").and_then(Value::as_str) == Some("LA1004");
        }
        let required = spec.meta.requires.iter().any(|capability| *capability != Capability::Files);
        assert!(missed || !required, "{} requires what its examples do not use", spec.type_name);
        assert!(!missed || !spec.meta.requires.is_empty(), "{} uses what it does not require", spec.type_name);
    }
}

#[test]
fn the_page_of_a_node_type_tells_everything() {
    let page = |name: &str| liteagent_nodes::docs::page(liteagent_nodes::registry().get(name).expect("it exists"));
    insta::assert_snapshot!("page of iteration", page("iteration"));
    insta::assert_snapshot!("page of if-else", page("if-else"));
}
