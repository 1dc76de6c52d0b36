//! `init`: makes a folder a project.

use std::{fs, path::PathBuf};

use liteagent_engine::codes;

use super::new::write_new;
use crate::{
    config,
    editor::{self, SchemaKind},
    failure::{Exit, Failure},
    shell::Shell,
};

/// The files of a project, besides the settings of editors. Runs are not for Git, but a clone needs the schemas.
const FILES: [(&str, &str); 3] = [
    (config::FILE, include_str!("init/liteagent.toml")),
    (".gitignore", ".liteagent/*\n!.liteagent/*.schema.json\n.env\nout/\n"),
    (HELLO, include_str!("new/hello.yaml")),
];
const HELLO: &str = "hello.yaml";

/// Makes a folder a project. Files that are there already stay as they are.
#[derive(clap::Args)]
pub(crate) struct Init {
    /// The folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if self.folder.is_file() {
            let message = format!("`{}` is a file, expected a folder", self.folder.display());
            return Err(Failure::usage(codes::FILE_EXISTS, message).hint("name a new or an existing folder"));
        }
        fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::platform(codes::OUTPUT, format!("cannot make the folder `{}`: {error}", self.folder.display()))
        })?;
        for (name, text) in FILES.into_iter().chain(editor::SETTINGS) {
            let path = self.folder.join(name);
            if path.exists() {
                shell.note(format!("kept   {name}"));
                continue;
            }
            let mut text = text.replace("@name", "hello");
            if name == HELLO {
                text = SchemaKind::Workflow.with_modeline(&text, &path, &self.folder)?;
            }
            write_new(&path, &text)?;
            shell.note(format!("wrote  {name}"));
        }
        editor::refresh(&self.folder, shell)?;
        let there = if self.folder == *"." { String::new() } else { format!("cd {} && ", self.folder.display()) };
        shell.note(format!("try it: {there}liteagent run hello"));
        Ok(Exit::Done)
    }
}
