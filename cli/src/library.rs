//! Workflows of the library that commands run: the project's own file of the same name comes first.

use liteagent_engine::{bundle::Bundle, codes, engine::Start, id::RunId, load::load_text, value, value::Value};

use crate::{
    definition::load_for_use,
    failure::{Exit, Failure},
    follow::{Results, by, follow},
    platform::Platform,
    project::Project,
    shell::Shell,
};

/// The workflow of a name: that of the project, else that of the library.
pub(crate) fn workflow(project: &Project, name: &str, shell: &Shell) -> Result<Bundle, Failure> {
    if let Some(path) = ["yaml", "yml", "json"]
        .map(|ending| project.root.join(format!("{name}.{ending}")))
        .iter()
        .find(|path| path.is_file())
    {
        return load_for_use(path, shell);
    }
    let text = liteagent_definitions::get(name).unwrap_or_default();
    let loaded = load_text(name, text, &project.node_types());
    loaded.bundle.ok_or_else(|| {
        let found: Vec<String> = loaded.diagnostics.iter().map(|finding| finding.message.clone()).collect();
        Failure::platform(codes::NODE_PANICKED, format!("`{name}` of the library has errors: {}", found.join("; ")))
    })
}

/// Starts a run of a workflow with these inputs, and follows it to its end.
pub(crate) async fn run(
    platform: &Platform,
    bundle: Bundle,
    inputs: Value,
    shell: &Shell,
    results: Results,
) -> Result<Exit, Failure> {
    let id = RunId::random();
    platform.progress.watch(id);
    let user = by().map_or(Value::Null, |name| value!({ "name": name }));
    let start = Start { id: Some(id), user, ..Start::new(bundle, inputs, value!({ "type": "cli" })) };
    let run = platform.engine.start(start).await?;
    follow(platform, run, shell, results).await
}
