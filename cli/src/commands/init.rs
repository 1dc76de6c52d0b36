//! `init`: makes a folder a project.

use std::{fs, path::PathBuf};

use liteagent_engine::codes;

use super::new::write_new;
use crate::{
    config,
    failure::{Exit, Failure},
    project::Project,
    shell::Shell,
};

/// Where the schema for editors lies in a project.
const SCHEMA: &str = ".liteagent/workflow.schema.json";

/// The files of a project besides the schema.
const FILES: [(&str, &str); 4] = [
    (config::FILE, include_str!("init/liteagent.toml")),
    (".vscode/settings.json", include_str!("init/settings.json")),
    (".gitignore", ".liteagent/\n.env\nout/\n"),
    ("hello.yaml", include_str!("new/hello.yaml")),
];

/// Makes a folder a project. Files that are there already stay as they are.
#[derive(clap::Args)]
pub(crate) struct Init {
    /// The folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::platform(codes::OUTPUT, format!("cannot make the folder `{}`: {error}", self.folder.display()))
        })?;
        for (name, text) in FILES {
            let path = self.folder.join(name);
            if path.exists() {
                shell.note(format!("kept   {name}"));
                continue;
            }
            write_new(&path, &text.replace("@name", "hello").replace("@schema", SCHEMA))?;
            shell.note(format!("wrote  {name}"));
        }
        write_schema(&Project::around(&self.folder)?)?;
        shell.note(format!("wrote  {SCHEMA}"));
        let there = if self.folder == *"." { String::new() } else { format!("cd {} && ", self.folder.display()) };
        shell.note(format!("try it: {there}liteagent run hello"));
        Ok(Exit::Done)
    }
}

/// Writes the schema that editors complete and check with; returns its path below the root.
pub(crate) fn write_schema(project: &Project) -> Result<&'static str, Failure> {
    let path = project.root.join(SCHEMA);
    let failed = |error| Failure::platform(codes::OUTPUT, format!("cannot write `{}`: {error}", path.display()));
    fs::create_dir_all(project.root.join(".liteagent")).map_err(failed)?;
    fs::write(&path, super::schema::workflow()).map_err(failed)?;
    Ok(SCHEMA)
}
