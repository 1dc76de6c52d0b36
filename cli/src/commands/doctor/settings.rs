//! Every setting: where its value comes from, whether it is fine, and how to mend it.

use serde::Serialize;

use crate::{
    config::setting,
    project::Project,
    settings::{Setting, Wrong, environment},
};

/// A setting that was looked at.
#[derive(Serialize)]
pub(super) struct Looked {
    name: String,
    /// `environment`, `.env`, or `default`.
    source: &'static str,
    /// Its value; of a secret whether it is set.
    value: String,
    status: &'static str,
    /// What it is for.
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Looked {
    /// Whether nothing works with it.
    pub(super) fn is_bad(&self) -> bool {
        self.status == "bad"
    }

    fn is_set(&self) -> bool {
        self.source != "default"
    }

    fn of(here: &Project, known: Setting) -> Self {
        let Setting { name, default, says, is_secret, check, .. } = known;
        let Some(value) = setting(&name) else {
            let value = if is_secret { "unset".to_owned() } else { default.replace('`', "") };
            return Self { name, source: "default", value, status: "ok", says, problem: None, mend: None };
        };
        let wrong = check(here, &value).err();
        let status = match &wrong {
            None => "ok",
            Some(Wrong { is_bad: false, .. }) => "odd",
            Some(_) => "bad",
        };
        let value = if is_secret { "set".to_owned() } else { value };
        let (problem, mend) = wrong.map(|wrong| (wrong.message, wrong.mend)).unzip();
        Self { name, source: "environment", value, status, says, problem, mend }
    }

    fn line(&self) -> String {
        let Self { name, source, value, status, says, problem, mend } = self;
        let mark = if *status == "bad" { "BAD" } else { status };
        let mut line = format!("{mark:<4}  {name:<24}  {value} ({source}): {says}");
        if let (Some(problem), Some(mend)) = (problem, mend) {
            line.push_str(&format!("\n{:32}{problem}\n{:32}to mend it: {mend}", "", ""));
        }
        line
    }
}

/// Every setting of the environment. The names of secrets of workflows are listed by the check of secrets.
pub(super) fn look(here: &Project) -> Vec<Looked> {
    environment().into_iter().map(|known| Looked::of(here, known)).collect()
}

/// The lines for people.
pub(super) fn lines(looked: &[Looked], all: bool) -> String {
    let shown: Vec<String> = looked.iter().filter(|looked| all || looked.is_set()).map(Looked::line).collect();
    let left = looked.len() - shown.len();
    let rest = match (left, shown.is_empty()) {
        (0, _) => String::new(),
        (_, true) => "every setting has its default; `liteagent doctor --settings` explains each".to_owned(),
        (left, false) => {
            format!("{left} other settings have their default; `liteagent doctor --settings` explains each")
        }
    };
    shown.into_iter().chain((!rest.is_empty()).then_some(rest)).collect::<Vec<_>>().join("\n")
}
