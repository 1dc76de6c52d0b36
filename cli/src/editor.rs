//! What editors read: the schemas of our files, the line that names one, and settings.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use liteagent_engine::{codes, editor, node::Registry};
use serde_json::Value as Json;

use crate::{failure::Failure, shell::Shell, testing};

/// Where the schemas of a project lie.
const FOLDER: &str = ".liteagent";

/// What says which program made a schema.
const MADE_BY: &str = "liteagent ";

/// Settings for VS Code and the editors that read its files.
pub(crate) const SETTINGS: [(&str, &str); 2] = [
    (".vscode/settings.json", include_str!("editor/settings.json")),
    (".vscode/extensions.json", include_str!("editor/extensions.json")),
];

/// A kind of file that has a schema.
#[derive(Clone, Copy, Debug)]
pub enum SchemaKind {
    /// Workflows.
    Workflow,
    /// Their tests, `NAME.test.yaml`.
    Test,
}

impl SchemaKind {
    /// The name of the file that holds the schema.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow.schema.json",
            Self::Test => "workflow-test.schema.json",
        }
    }

    /// The JSON Schema (draft 7) as a file.
    pub fn text(self) -> String {
        self.text_with(&liteagent_nodes::registry())
    }

    /// The same with these node types.
    pub(crate) fn text_with(self, registry: &Registry) -> String {
        let mut schema = match self {
            Self::Workflow => editor::workflow_schema(registry),
            Self::Test => editor::file_schema(testing::schema()),
        };
        schema["$comment"] = format!("{MADE_BY}{}", env!("CARGO_PKG_VERSION")).into();
        format!("{schema:#}\n")
    }

    fn path(self, root: &Path) -> PathBuf {
        root.join(FOLDER).join(self.file_name())
    }

    /// `text` below the line by which editors find the schema, for a file of the project with this root.
    pub(crate) fn with_modeline(self, text: &str, file: &Path, root: &Path) -> Result<String, Failure> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|error| {
                Failure::platform(codes::OUTPUT, format!("cannot find the folder of `{}`: {error}", path.display()))
            })
        };
        let folder = absolute(file)?.parent().map(Path::to_owned).unwrap_or_default();
        let schema = relative(&folder, &absolute(&self.path(root))?);
        Ok(format!("# yaml-language-server: $schema={schema}\n{text}"))
    }
}

/// Writes the schemas of a project where they are missing or older than this program.
pub(crate) fn refresh(root: &Path, shell: &Shell) -> Result<(), Failure> {
    for kind in [SchemaKind::Workflow, SchemaKind::Test] {
        let path = kind.path(root);
        let failed = |error: std::io::Error| {
            Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()))
        };
        let (there, ours) = (fs::read_to_string(&path).unwrap_or_default(), kind.text());
        if there != ours && !is_newer(&there) {
            fs::create_dir_all(root.join(FOLDER)).map_err(failed)?;
            fs::write(&path, ours).map_err(failed)?;
            shell.note(format!("wrote  {FOLDER}/{}", kind.file_name()));
        }
    }
    Ok(())
}

/// Whether a newer program wrote this schema: a project is often shared.
fn is_newer(schema: &str) -> bool {
    let schema: Json = serde_json::from_str(schema).unwrap_or_default();
    let made_by = schema["$comment"].as_str().and_then(|made_by| made_by.strip_prefix(MADE_BY));
    made_by.and_then(version) > version(env!("CARGO_PKG_VERSION"))
}

/// The three numbers of a version, what stands behind `-` left out.
fn version(text: &str) -> Option<[u64; 3]> {
    let numbers = text.split('-').next()?.split('.').map(|number| number.parse().ok());
    numbers.collect::<Option<Vec<u64>>>()?.try_into().ok()
}

/// The way from a folder to a file, as a URL has it: with `/`.
fn relative(folder: &Path, file: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (folder.components().collect(), file.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let down = to[common..].iter().map(|part: &Component<'_>| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_schemas_of_newer_programs_are_kept() {
        let made_by = |version: &str| format!(r#"{{ "$comment": "liteagent {version}" }}"#);
        assert!(is_newer(&made_by("999.0.0")) && is_newer(&made_by("0.999.0")));
        for older in ["", "{", "{}", r#"{ "$comment": "by hand" }"#, &made_by("0.0.9"), &made_by("x")] {
            assert!(!is_newer(older), "{older}");
        }
        assert!(!is_newer(&SchemaKind::Test.text()));
    }

    #[test]
    fn modelines_lead_from_the_file_to_the_schema() {
        let line = |file: &str, root: &str| {
            let text = SchemaKind::Workflow.with_modeline("", Path::new(file), Path::new(root)).unwrap();
            text.trim_start_matches("# yaml-language-server: $schema=").trim().to_owned()
        };
        assert_eq!(line("/p/a.yaml", "/p"), ".liteagent/workflow.schema.json");
        assert_eq!(line("/p/support/mail/a.yaml", "/p"), "../../.liteagent/workflow.schema.json");
        assert_eq!(line("/other/a.yaml", "/p/q"), "../p/q/.liteagent/workflow.schema.json");
    }
}
