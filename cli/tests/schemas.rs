//! The schemas that editors read agree with the checks: what checks clean is valid, and mistakes of form are not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use jsonschema::Validator;
use liteagent::SchemaKind;
use liteagent_engine::{
    codes,
    error::Code,
    load::{LoadOptions, load},
    source,
};
use serde_json::{Value, json};
use walkdir::WalkDir;

/// What a schema can see.
const FORM: &[Code] = &[
    codes::UNKNOWN_FIELD,
    codes::MISSING_FIELD,
    codes::WRONG_TYPE,
    codes::WRONG_CHOICE,
    codes::WRONG_FORM,
    codes::BARE_NUMBER,
    codes::OUT_OF_RANGE,
    codes::TEMPLATE_NOT_ALONE,
    codes::BAD_TYPE,
    codes::INVALID_ID,
    codes::UNKNOWN_NODE_TYPE,
];

fn validator(kind: SchemaKind) -> Validator {
    let schema: Value = serde_json::from_str(&kind.text()).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The YAML files below a folder, but for those with composites of their own, which only the schema of their project knows.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries =
        WalkDir::new(root().join(folder)).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    let has_composites = |path: &Path| path.to_string_lossy().contains("/composite");
    let is_yaml = |path: &Path| path.extension().is_some_and(|ending| ending == "yaml");
    entries.filter(|path| is_yaml(path) && !has_composites(path)).collect()
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".test.yaml")
}

/// What a validator says of a text.
fn said(validator: &Validator, name: &str, text: &str) -> Vec<String> {
    let (document, _) = source::parse(name, text.to_owned());
    let value = document.unwrap().value;
    validator.iter_errors(&value).map(|error| format!("{name}{}: {error}", error.instance_path())).collect()
}

#[test]
fn everything_that_checks_clean_is_valid() {
    let (workflow, test) = (validator(SchemaKind::Workflow), validator(SchemaKind::Test));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut check = |validator: &Validator, name: &str, text: &str| {
        seen += 1;
        wrong.extend(said(validator, name, text));
    };
    for path in ["definitions", "nodes/tests/workflows", "engine/tests/examples"].into_iter().flat_map(files) {
        // Some examples show what is not there yet.
        if is_test(&path) && path.starts_with(root().join("engine")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        if is_test(&path) {
            check(&test, &path.to_string_lossy(), &text);
        } else if load(&path, &liteagent_nodes::registry(), &LoadOptions::default()).bundle.is_some() {
            check(&workflow, &path.to_string_lossy(), &text);
        }
    }
    for path in WalkDir::new(root().join("docs/guides")).into_iter().map(|entry| entry.unwrap().into_path()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let is_whole = |key: &str| block.lines().any(|line| line.starts_with(key));
            if is_whole("nodes:") && is_whole("name:") {
                check(&workflow, &path.to_string_lossy(), block);
            } else if is_whole("tests:") {
                check(&test, &path.to_string_lossy(), block);
            }
        }
    }
    for spec in liteagent_nodes::registry().iter() {
        for example in spec.meta.examples {
            let (document, _) = source::parse(example.title, example.yaml.to_owned());
            let whole = json!({ "nodes": { "example": document.unwrap().value } });
            check(&workflow, &format!("{}: {}", spec.type_name, example.title), &whole.to_string());
        }
    }
    assert!(seen > 80, "only {seen} files were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_of_form_are_invalid_and_others_are_left_to_the_check() {
    let workflow = validator(SchemaKind::Workflow);
    let (mut wrong, mut found) = (Vec::new(), 0);
    for path in files("nodes/tests/diagnostics") {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let loaded = load(
            &path,
            &liteagent_nodes::registry(),
            &LoadOptions { root: path.parent().map(Path::to_owned), ..LoadOptions::default() },
        );
        let (document, _) = source::parse("it", text.clone());
        let Some(_) = document else { continue };
        let here = loaded.diagnostics.iter().filter(|finding| path.ends_with(&finding.span.file.name));
        let codes: Vec<_> = here.map(|finding| finding.code).collect();
        let is_form = codes.iter().any(|code| FORM.contains(code));
        let said = said(&workflow, &path.to_string_lossy(), &text);
        found += usize::from(is_form);
        if is_form == said.is_empty() {
            wrong.push(format!("{}: the check says {codes:?}, the schema {said:#?}", path.display()));
        }
    }
    assert!(found > 20, "only {found} files have mistakes of form");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
