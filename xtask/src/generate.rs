//! The files that are computed from types: schemas and reference pages.

use std::{fs, path::Path};

use liteagent::SchemaKind;

mod dashboards;
mod reference;

/// A file that must have this content.
pub(crate) struct Generated {
    path: String,
    content: String,
}

/// Every generated file.
fn generated() -> Vec<Generated> {
    let file = |path: &str, content: String| Generated { path: path.to_owned(), content };
    let registry = liteagent_nodes::registry();
    let mut files = vec![
        file("docs/reference/cli.md", reference::cli()),
        file("docs/reference/errors.md", reference::errors()),
        file("docs/reference/events.md", reference::events()),
        file("docs/reference/metrics.md", reference::metrics()),
        file("docs/reference/routes.md", reference::routes()),
        file("docs/reference/settings.md", format!("{}{}", reference::NOTE, liteagent::settings_reference())),
        file("docs/reference/templates.md", reference::templates()),
        file("docs/picture.svg", reference::picture(&registry)),
        file("docs/nodes/README.md", reference::nodes(&registry)),
    ];
    for kind in [SchemaKind::Workflow, SchemaKind::Test] {
        files.push(file(&format!("schemas/{}", kind.file_name()), kind.text()));
    }
    let api = liteagent_server::document().to_pretty_json().expect("the document has a JSON form");
    files.push(file("schemas/openapi.json", format!("{api}\n")));
    files.extend(dashboards::all().map(|(path, content)| file(&path, content)));
    for spec in registry.iter() {
        files.push(file(&format!("docs/nodes/{}.md", spec.type_name), reference::node(spec)));
    }
    files
}

/// Writes what is stale.
pub(crate) fn write() -> Result<String, String> {
    let stale = stale();
    for (file, _) in &stale {
        let path = crate::root().join(&file.path);
        let folder = path.parent().unwrap_or(Path::new("."));
        let said = |error| format!("generate: cannot write `{}`: {error}", file.path);
        fs::create_dir_all(folder).map_err(said)?;
        fs::write(&path, &file.content).map_err(said)?;
    }
    let names: Vec<String> = stale.iter().map(|(file, _)| format!("generate: wrote {}", file.path)).collect();
    Ok(if names.is_empty() { "generate: everything is fresh".to_owned() } else { names.join("\n") })
}

/// Says what is stale, with the difference.
pub(crate) fn check() -> Result<String, String> {
    let stale = stale();
    if stale.is_empty() {
        return Ok("generate: everything is fresh".to_owned());
    }
    let differences: Vec<String> = stale
        .iter()
        .map(|(file, on_disk)| {
            format!(
                "{} is stale:\n{}",
                file.path,
                similar_asserts::SimpleDiff::from_str(on_disk, &file.content, "on disk", "computed")
            )
        })
        .collect();
    Err(format!("{}\nrun `cargo xtask generate` and commit what it writes", differences.join("\n")))
}

fn stale() -> Vec<(Generated, String)> {
    let on_disk = |file: &Generated| fs::read_to_string(crate::root().join(&file.path)).unwrap_or_default();
    generated()
        .into_iter()
        .filter_map(|file| {
            let old = on_disk(&file);
            (old != file.content).then_some((file, old))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_fresh() {
        if let Err(said) = check() {
            panic!("{said}");
        }
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = crate::root().join("docs/errors");
        let mut wrong = Vec::new();
        for (code, title) in liteagent_engine::codes::ALL {
            let text = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap_or_default();
            let head = format!("# {code}: {title}");
            if text.lines().next() != Some(head.as_str()) {
                wrong.push(format!("docs/errors/{code}.md must begin with `{head}`"));
            }
        }
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let code = name.trim_end_matches(".md");
            if liteagent_engine::codes::title(code).is_none() {
                wrong.push(format!("docs/errors/{name} has no code in `engine/src/codes.rs`"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
