//! Answers to what a run waits for: asked on the terminal, or given by a command.

use indexmap::IndexMap;
use liteagent_engine::{codes, event::Wait, id::RunId, types::Type, value::Value};

use crate::{failure::Failure, inputs::value_of};

/// Asks a person. `question` is what `human-input` asks: `message`, `form`, `actions`; `read` shows a text and gives the line
/// that is typed after it.
pub(crate) fn ask(question: &Value, mut read: impl FnMut(&str) -> Result<String, Failure>) -> Result<Value, Failure> {
    let text = |key: &str| question.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut form = Vec::new();
    let mut prompt = format!("\n{}\n", text("message"));
    if question.get("problem").is_some() {
        prompt.push_str(&format!("The last answer was refused: {}\n", text("problem")));
    }
    for (name, kind) in form_of(question) {
        let optional = if kind.is_optional() { " (optional)" } else { "" };
        let given = read(&format!("{prompt}{name}{optional}: "))?;
        prompt.clear();
        if !(given.is_empty() && kind.is_optional()) {
            form.push((name, value_of(&given, Some(&kind))));
        }
    }
    let actions = actions_of(question);
    let action = loop {
        let list: Vec<String> =
            actions.iter().enumerate().map(|(i, (_, label))| format!("{}) {label}", i + 1)).collect();
        let given = read(&format!("{prompt}{}  [1-{}]: ", list.join("  "), actions.len()))?;
        prompt.clear();
        let by_number = given.trim().parse::<usize>().ok().and_then(|number| actions.get(number.wrapping_sub(1)));
        let by_name = || actions.iter().find(|(id, label)| [id.as_str(), label.as_str()].contains(&given.trim()));
        if let Some((id, _)) = by_number.or_else(by_name) {
            break id.clone();
        }
    };
    Ok(payload(&action, form))
}

/// What settles a `human-input`: an action, and the fields of its form.
pub(crate) fn payload(action: &str, form: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::from_pairs([("action", Value::from(action)), ("form", Value::from_pairs(form))])
}

/// The fields of a form from `name=value`, read by their types.
pub(crate) fn fields(question: &Value, given: &[String]) -> Result<Vec<(String, Value)>, Failure> {
    let form = form_of(question);
    given
        .iter()
        .map(|given| {
            let (name, text) = given.split_once('=').ok_or_else(|| {
                Failure::usage(codes::WRONG_INPUT, format!("expected `name=value` after `--form`, found `{given}`"))
            })?;
            Ok((name.to_owned(), value_of(text, form.get(name))))
        })
        .collect()
}

/// The commands that let a waiting run go on.
pub(crate) fn commands(run: RunId, node: &str, wait: &Wait) -> Vec<String> {
    if !wait.ask.is_null() {
        let mut fields = String::new();
        for (name, _) in form_of(&wait.ask).iter().filter(|(_, kind)| !kind.is_optional()) {
            fields.push_str(&format!(" --form {name}=..."));
        }
        return actions_of(&wait.ask)
            .iter()
            .map(|(id, _)| format!("liteagent runs signal {run} {node} --action {id}{fields}"))
            .collect();
    }
    match &wait.signal {
        Some(signal) => vec![format!("liteagent runs signal {run} {signal}")],
        None => vec![format!("liteagent runs resume {run}")],
    }
}

/// The actions with their labels, in order.
fn actions_of(question: &Value) -> Vec<(String, String)> {
    let actions = question.get("actions").and_then(Value::as_object);
    let action =
        |(id, label): (&std::sync::Arc<str>, &Value)| (id.to_string(), label.as_str().unwrap_or(id).to_owned());
    actions.into_iter().flatten().map(action).collect()
}

fn form_of(question: &Value) -> IndexMap<String, Type> {
    question.get("form").and_then(|form| form.to_typed().ok()).unwrap_or_default()
}
