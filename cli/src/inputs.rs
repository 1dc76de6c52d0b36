//! The inputs of a run: from `--inputs`, from `--input`, and asked for on the terminal.

use std::{
    fs::File,
    io::{self, BufRead as _, Read as _, Write as _},
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use liteagent_engine::{
    codes,
    id::RunId,
    store::Files,
    types::{Misfit, Type},
    units::Size,
    value::Value,
};

use crate::{failure::Failure, shell::Shell};

/// The largest value that is read from a file.
const MAX_VALUE: Size = Size(64 << 20);
/// The largest file that is given to a run.
const MAX_FILE: Size = Size(256 << 20);

/// What the command line gives.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InputArgs {
    /// An input: `name=value`, or `name=@file` for the content of a file; text as it is, other types as JSON
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE")]
    given: Vec<String>,
    /// A JSON file with an object of inputs; `--input` wins over it
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
}

/// Inputs that were read but not checked, and the files among them, which belong to a run once it exists.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    values: IndexMap<String, Value>,
    files: Vec<(String, PathBuf)>,
}

impl InputArgs {
    /// Whether nothing was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.inputs.is_none()
    }

    /// Reads what was given.
    pub(crate) fn read(&self, declared: &IndexMap<String, Type>) -> Result<Inputs, Failure> {
        let mut inputs = Inputs::default();
        if let Some(path) = &self.inputs {
            let text = text_of(path)?;
            let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
                let hint = if error.to_string().starts_with("recursion limit") {
                    "nest lists and objects at most 128 deep"
                } else {
                    "write the inputs as one JSON object: {\"name\": \"value\"}"
                };
                unreadable(format!("`{}` is not JSON that can be read: {error}", path.display())).hint(hint)
            })?;
            let members = value.as_object().ok_or_else(|| {
                unreadable(format!("expected an object in `{}`, found {}", path.display(), value.kind()))
                    .hint("write the inputs as one JSON object: {\"name\": \"value\"}")
            })?;
            inputs.values.extend(members.iter().map(|(name, value)| (name.to_string(), value.clone())));
        }
        for given in &self.given {
            inputs.take(given, declared)?;
        }
        Ok(inputs)
    }
}

impl Inputs {
    /// Adds values that do not come from the command line: those of a trigger. What was given wins.
    pub(crate) fn fill(&mut self, values: impl IntoIterator<Item = (String, Value)>) {
        for (name, value) in values {
            self.values.entry(name).or_insert(value);
        }
    }

    /// Gives an input its value, whatever it was before.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// For runs elsewhere: files of this machine are not sent.
    pub(crate) fn refuse_files(&self) -> Result<(), Failure> {
        let Some((name, path)) = self.files.first() else { return Ok(()) };
        let message = format!("`{name}` is a file: `{}` is on this machine, and the run is not", path.display());
        Err(unreadable(message).hint(format!("upload it first, and give what that answers: `--input {name}=JSON`")))
    }

    /// Gives the files to a run; in their place stand file values then.
    pub(crate) async fn upload(
        &mut self,
        run: RunId,
        store: &dyn Files,
        declared: &IndexMap<String, Type>,
    ) -> Result<(), Failure> {
        for (name, path) in std::mem::take(&mut self.files) {
            let content = bytes_of(&path, MAX_FILE, "split it, or give its parts as a list of files")?;
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            let file = store.create(run, &file_name, mime_of(&path), content.into()).await?;
            let file = Value::from_serialize(&file).map_err(|error| unreadable(error.to_string()))?;
            let is_list = declared.get(&name).and_then(schema_type).as_deref() == Some("array");
            let value = if is_list {
                let before = self.values.get(&name).and_then(Value::as_list).unwrap_or_default();
                Value::from(before.iter().cloned().chain([file]).collect::<Vec<_>>())
            } else {
                file
            };
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// Asks for what is missing, where a person can answer.
    pub(crate) fn ask(&mut self, declared: &IndexMap<String, Type>, shell: &Shell) -> Result<(), Failure> {
        if !shell.can_ask() {
            return Ok(());
        }
        let has_file = |name: &String| self.files.iter().any(|(file, _)| file == name);
        let missing: Vec<_> = declared
            .iter()
            .filter(|(name, kind)| !kind.is_optional() && !self.values.contains_key(*name) && !has_file(name))
            .collect();
        for (name, kind) in missing {
            let text = ask(&match describe(kind) {
                Some(description) => format!("{name} ({description}): "),
                None => format!("{name}: "),
            })?;
            self.take(&format!("{name}={text}"), declared)?;
        }
        Ok(())
    }

    /// The values as they were given; the engine checks them.
    pub(crate) fn values(&self) -> Value {
        Value::from_pairs(self.values.iter().map(|(name, value)| (name.as_str(), value.clone())))
    }

    fn take(&mut self, given: &str, declared: &IndexMap<String, Type>) -> Result<(), Failure> {
        let (name, text) = given.split_once('=').ok_or_else(|| {
            Failure::usage(codes::WRONG_INPUT, format!("expected `name=value` after `--input`, found `{given}`"))
                .hint(format!("write `--input {given}=...`, or `--input {given}=@file`"))
        })?;
        let kind = declared.get(name);
        match text.strip_prefix('@').map(Path::new) {
            Some(path) if kind.is_some_and(Type::holds_files) => self.files.push((name.to_owned(), path.to_owned())),
            Some(path) => drop(self.values.insert(name.to_owned(), value_of(&text_of(path)?, kind))),
            None => drop(self.values.insert(name.to_owned(), value_of(text, kind))),
        }
        Ok(())
    }
}

/// Asks a person for one line.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| unreadable(format!("the terminal cannot be read: {error}"));
    // Not held while the person thinks: others write there, too.
    let write = |mut stderr: io::StderrLock| stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    write(io::stderr().lock()).map_err(failed)?;
    let mut line = String::new();
    let bytes = io::stdin().lock().read_line(&mut line).map_err(failed)?;
    if bytes == 0 {
        io::stderr().write_all(b"\n").map_err(failed)?;
        return Err(unreadable("the terminal was closed before the answer".to_owned())
            .hint("give inputs with `--input name=value`"));
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Text is taken as it is; everything else is JSON, and text where it is none: the check of types says what is wrong.
pub(crate) fn value_of(text: &str, kind: Option<&Type>) -> Value {
    if kind.and_then(schema_type).as_deref() == Some("string") {
        return Value::from(text);
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The one type that a schema allows, `null` aside.
fn schema_type(kind: &Type) -> Option<String> {
    let schema = kind.schema();
    match schema.get("type")? {
        serde_json::Value::String(name) => Some(name.clone()),
        serde_json::Value::Array(names) => {
            let mut names = names.iter().filter_map(|name| name.as_str()).filter(|name| *name != "null");
            names.next().filter(|_| names.next().is_none()).map(str::to_owned)
        }
        _ => None,
    }
}

fn mime_of(path: &Path) -> &'static str {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match &*ending {
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "jpg" | "jpeg" => "image/jpeg",
        "json" => "application/json",
        "md" => "text/markdown",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "txt" | "log" => "text/plain",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        _ => "application/octet-stream",
    }
}

fn describe(kind: &Type) -> Option<String> {
    kind.schema().get("description")?.as_str().map(str::to_owned)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = bytes_of(
        path,
        MAX_VALUE,
        "give a large value as a file: declare the input with the type `file`, and say `--input NAME=@FILE`",
    )?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("`{}` is not UTF-8 text: invalid byte at offset {at}", path.display());
        unreadable(message).hint("save it as UTF-8, or declare the input with the type `file`")
    })
}

/// The content of a file, a pipe or a device, against a limit.
fn bytes_of(path: &Path, limit: Size, when_larger: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| {
        unreadable(format!("cannot read `{}`: {error}", path.display()))
            .hint("give the path, from the current folder, of a file that this user may read")
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit.0 + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit.0 {
        return Err(unreadable(format!("`{}` is larger than {limit}", path.display())).hint(when_larger));
    }
    Ok(bytes)
}

fn unreadable(message: String) -> Failure {
    Failure::usage(codes::INPUT_UNREADABLE, message)
}

/// What is wrong with inputs.
pub(crate) fn misfit(misfits: &[Misfit]) -> Failure {
    let line = |misfit: &Misfit| {
        let name = misfit.pointer.trim_start_matches('/').replace('/', ".");
        let said = name.is_empty() || misfit.message.contains(&format!("`{name}`"));
        if said { misfit.message.clone() } else { format!("`{name}`: {}", misfit.message) }
    };
    let failure = Failure::usage(codes::WRONG_INPUT, misfits.iter().map(line).collect::<Vec<_>>().join("; "));
    match misfits.iter().find_map(|misfit| misfit.hint.clone()) {
        Some(hint) => failure.hint(hint),
        None => failure.hint("give inputs with `--input name=value`"),
    }
}
