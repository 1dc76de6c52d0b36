//! Every setting: of the environment and of `liteagent.toml`. `doctor` explains them, and the reference is made of this list.

use liteagent_backends::Reserve;
use liteagent_engine::units::Duration;
use liteagent_server::{JwtSecret, SecretKey, TraceSettings};

use crate::{
    config::{FILE, database::Database},
    knowledge,
    project::Project,
    sandbox, shell,
};

mod file;
mod list;

pub(crate) use self::list::{environment, is_known};

/// A setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The variable of the environment, or the key of `liteagent.toml`; `NAME` in it stands for a name of your own.
    pub(crate) name: String,
    /// What holds when it is not set, in words.
    pub(crate) default: String,
    /// What it is for.
    pub(crate) says: String,
    /// Whether its value must not be shown.
    pub(crate) is_secret: bool,
    /// Which part it belongs to.
    pub(crate) part: Part,
    /// What is wrong with a value.
    pub(crate) check: Check,
}

/// What is wrong with a value, in the environment of a project.
pub(crate) type Check = fn(&Project, &str) -> Result<(), Wrong>;

/// Why a value cannot be used, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What was expected and what was found.
    pub(crate) message: String,
    /// What to do.
    pub(crate) mend: String,
    /// Whether nothing works with it; else it is only of no use.
    pub(crate) is_bad: bool,
}

/// A part of the program that settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Server,
    Runs,
    Sandbox,
    Knowledge,
    Models,
    Watching,
    Others,
}

impl Part {
    const ALL: [Self; 7] =
        [Self::Server, Self::Runs, Self::Sandbox, Self::Knowledge, Self::Models, Self::Watching, Self::Others];

    const fn title(self) -> &'static str {
        match self {
            Self::Server => "The server",
            Self::Runs => "Runs, and where they are kept",
            Self::Sandbox => "Code",
            Self::Knowledge => "Knowledge bases",
            Self::Models => "Models",
            Self::Watching => "Logs and traces",
            Self::Others => "Others",
        }
    }
}

impl Wrong {
    fn bad(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { message: message.into(), mend: mend.into(), is_bad: true }
    }

    fn odd(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { is_bad: false, ..Self::bad(message, mend) }
    }
}

/// The page with every setting.
pub fn reference() -> String {
    let mut page = "# Settings\n\nFlags win over the environment, and that over `liteagent.toml`. `liteagent doctor` checks what is set \
                    (`--settings` shows all), and says how to mend it. A value that is empty counts as not set.\n"
        .to_owned();
    let row = |setting: &Setting| {
        let (name, default, says) = (&setting.name, &setting.default, setting.says.replace('|', "\\|"));
        format!("| `{name}` | {default} | {says} |\n")
    };
    let all = environment();
    for part in Part::ALL {
        let rows: String = all.iter().filter(|setting| setting.part == part).map(row).collect();
        page.push_str(&format!(
            "\n## {}\n\n| variable | default | what it is for |\n|---|---|---|\n{rows}",
            part.title()
        ));
    }
    let keys: String = file::keys().iter().map(row).collect();
    page.push_str(&format!(
        "\n## `{FILE}`\n\n`liteagent explain LA3004` shows an example of the whole file.\n\n\
         | key | default | what it is for |\n|---|---|---|\n{keys}"
    ));
    page
}

// What is wrong with values: each says so with the words of whoever reads the setting.

#[expect(clippy::unnecessary_wraps, reason = "every check has the same form")]
fn anything(_: &Project, _: &str) -> Result<(), Wrong> {
    Ok(())
}

fn duration(_: &Project, value: &str) -> Result<(), Wrong> {
    Duration::parse(value).map(drop).map_err(|error| Wrong::bad(error, "write a duration such as `30s`"))
}

fn reserve(_: &Project, value: &str) -> Result<(), Wrong> {
    Reserve::parse(value).map(drop).map_err(|error| Wrong::bad(error, "set it to a share or a size, or unset it"))
}

fn yes_or_no(_: &Project, value: &str) -> Result<(), Wrong> {
    match value {
        "true" | "false" => Ok(()),
        _ => Err(Wrong::odd(format!("expected `true` or `false`, found `{value}`"), "write `true`, or unset it")),
    }
}

fn traces(_: &Project, _: &str) -> Result<(), Wrong> {
    let wrong = |why: liteagent_server::Refused| {
        let mend = why.hint.unwrap_or_else(|| "see `liteagent explain LA4601`".to_owned());
        Wrong::bad(why.message, mend)
    };
    TraceSettings::read(crate::config::setting).map(drop).map_err(wrong)
}

fn jwt_secret(_: &Project, value: &str) -> Result<(), Wrong> {
    let mend = "set it to a random text: `export JWT_SECRET=$(openssl rand -hex 32)`";
    JwtSecret::new(value).map(drop).map_err(|why| Wrong::bad(why.message, why.hint.unwrap_or_else(|| mend.to_owned())))
}

fn secret_key(_: &Project, value: &str) -> Result<(), Wrong> {
    let mend = "set it to a random text: `export SECRET_KEY=$(openssl rand -hex 32)`";
    let wrong = |why: liteagent_server::Refused| Wrong::bad(why.message, why.hint.unwrap_or_else(|| mend.to_owned()));
    SecretKey::new("SECRET_KEY", value).map(drop).map_err(wrong)
}

fn kind_of_machine(_: &Project, value: &str) -> Result<(), Wrong> {
    let found = |name: &str| (name == "LITEAGENT_ENV").then(|| value.to_owned());
    failed(sandbox::is_production(found).map(drop))
}

fn where_code_runs(project: &Project, _: &str) -> Result<(), Wrong> {
    failed(sandbox::place(project, crate::config::setting).map(drop))
}

fn database(_: &Project, _: &str) -> Result<(), Wrong> {
    failed(Database::of_environment().map(drop))
}

fn objects(project: &Project, _: &str) -> Result<(), Wrong> {
    failed(crate::config::objects::options(project).map(drop))
}

fn qdrant(_: &Project, _: &str) -> Result<(), Wrong> {
    failed(knowledge::qdrant().map(drop))
}

fn queue(_: &Project, _: &str) -> Result<(), Wrong> {
    failed(crate::queue::address().map(drop))
}

fn log(_: &Project, _: &str) -> Result<(), Wrong> {
    failed(shell::logging(crate::config::setting, None).map(drop))
}

fn failed(result: Result<(), crate::failure::Failure>) -> Result<(), Wrong> {
    result.map_err(|failure| {
        let mend = failure.hint.unwrap_or_else(|| "set it to another value, or unset it".to_owned());
        Wrong::bad(failure.message, mend)
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn every_variable_that_is_read_is_listed() {
        let known: BTreeSet<String> = environment().into_iter().map(|setting| setting.name).collect();
        // Where the program reads the environment by a literal name.
        let read = regex::Regex::new(r#"(?:\bsetting|env::var|env::var_os)\("([A-Z][A-Z_]+)"\)"#).unwrap();
        let mut missing = BTreeSet::new();
        for entry in walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let program = text.split("#[cfg(test)]").next().unwrap_or_default();
                missing.extend(read.captures_iter(program).map(|found| found[1].to_owned()));
            }
        }
        let others = ["USER", "HOME", "PATH", "XDG_CONFIG_HOME"];
        missing.retain(|name| !known.contains(name) && !others.contains(&name.as_str()));
        assert!(missing.is_empty(), "add {missing:?} to `settings/list.rs`");
    }

    #[test]
    fn every_key_of_the_file_is_listed() {
        let said = toml::from_str::<crate::config::Config>("[no-such-section]").unwrap_err().to_string();
        let known: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
        assert!(known.contains(&"storage"), "{said}");
        let listed = file::keys();
        for section in known {
            assert!(
                listed.iter().any(|key| key.name.split('.').next() == Some(section)),
                "add the keys of `[{section}]` to `settings/file.rs`"
            );
        }
    }

    #[test]
    fn no_setting_is_listed_twice_and_each_is_explained() {
        let mut names = BTreeSet::new();
        for setting in environment().into_iter().chain(file::keys()) {
            assert!(!setting.says.is_empty() && !setting.default.is_empty(), "{}", setting.name);
            assert!(names.insert(setting.name.clone()), "{}", setting.name);
        }
    }
}
