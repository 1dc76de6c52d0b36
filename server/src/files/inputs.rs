//! Uploads as inputs of runs: a file value is believed for its id alone, and only in the name of who uploaded it.

use std::collections::BTreeMap;

use liteagent_engine::{id::RunId, store::FileValue, value::Value};

use crate::{
    access::Caller,
    app::App,
    problem::{Finding, Problem},
};

/// The members of a file value. `id` is enough.
const MEMBERS: [&str; 5] = ["id", "name", "mime", "size", "sha256"];
/// How the ids of files begin.
const ID: &str = "file_";

/// What a run was given before it began.
pub(crate) struct Given {
    run: RunId,
    has_files: bool,
}

impl App {
    /// Gives a run that is about to begin the uploads of a caller that its inputs name. In their place stands what is known of
    /// them then.
    ///
    /// # Errors
    /// When there is no such upload, or it is not the caller's.
    pub(crate) async fn give_uploads(
        &self,
        caller: &Caller,
        run: RunId,
        inputs: Value,
    ) -> Result<(Value, Given), Problem> {
        let mut named = Vec::new();
        name_files(&inputs, "/inputs", &mut named);
        let mut files = BTreeMap::new();
        for (pointer, id) in named {
            let row = self.upload(&caller.space(), &id).await.map_err(|problem| {
                let message = format!("expected the id of a file that you uploaded, found `{id}`");
                problem.findings([Finding { pointer: Some(pointer), message, ..Finding::default() }])
            })?;
            files.insert(id, row.file);
        }
        let given = Given { run, has_files: !files.is_empty() };
        for file in files.values() {
            self.files.give(run, file).await?;
        }
        let inputs = if files.is_empty() { inputs } else { with_files(inputs, &files) };
        Ok((inputs, given))
    }

    /// Takes back what was given, unless the run has begun.
    pub(crate) async fn settle_uploads(&self, given: &Given, begun: Option<RunId>) -> Result<(), Problem> {
        if given.has_files && begun != Some(given.run) {
            self.files.take_back(given.run).await?;
        }
        Ok(())
    }
}

/// The id of a value that means a file.
fn file_id(value: &Value) -> Option<&str> {
    let members = value.as_object()?;
    let id = value.get("id")?.as_str()?;
    let digits = id.strip_prefix(ID)?;
    let is_id = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_id && members.iter().all(|(key, _)| MEMBERS.contains(&&**key))).then_some(id)
}

/// Every file that is named, with its place.
pub(super) fn name_files(value: &Value, at: &str, named: &mut Vec<(String, String)>) {
    if let Some(id) = file_id(value) {
        named.push((at.to_owned(), id.to_owned()));
        return;
    }
    match value {
        Value::List(items) => {
            items.iter().enumerate().for_each(|(index, item)| name_files(item, &format!("{at}/{index}"), named));
        }
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            name_files(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), named);
        }),
        _ => {}
    }
}

fn with_files(value: Value, files: &BTreeMap<String, FileValue>) -> Value {
    if let Some(file) = file_id(&value).and_then(|id| files.get(id)) {
        return Value::from_pairs([
            ("id", Value::from(file.id.as_str())),
            ("name", Value::from(file.name.as_str())),
            ("mime", Value::from(file.mime.as_str())),
            ("size", Value::from(file.size as i64)),
            ("sha256", Value::from(file.sha256.as_str())),
        ]);
    }
    match value {
        Value::List(items) => Value::from(items.iter().map(|item| with_files(item.clone(), files)).collect::<Vec<_>>()),
        Value::Object(members) => {
            Value::from_pairs(members.iter().map(|(key, value)| (key.clone(), with_files(value.clone(), files))))
        }
        other => other,
    }
}
