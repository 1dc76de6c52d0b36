//! A data set: one JSON object a line.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    bundle::Bundle,
    codes,
    diagnostic::{Diagnostic, Severity, SourceFile},
    node::{Registry, schema_of},
    shape, source,
    source::Document,
    types::fit_all,
    value::Value,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::testing::{check, file::Expect, lookup::Lookup};

/// A case: what the workflow is given, and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "case")]
pub(crate) struct Case {
    /// What it is called in messages. By default the number of its line.
    #[serde(default)]
    name: Option<String>,
    /// The inputs of the run.
    #[serde(default)]
    inputs: Option<Map<String, Json>>,
    /// What a person says to a chat: the input `message`.
    #[serde(default)]
    message: Option<String>,
    /// What must come of it, as in a test.
    #[serde(default)]
    pub(super) expect: Expect,
    /// Criteria by which a model judges the result.
    #[serde(default)]
    pub(crate) judge: Option<String>,
    /// The line, from 1.
    #[serde(skip)]
    pub(crate) line: usize,
}

impl Case {
    /// What it is called in messages.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("line {}", self.line))
    }

    /// The inputs of the run.
    pub(super) fn inputs(&self) -> Value {
        let mut inputs = self.inputs.clone().unwrap_or_default();
        inputs.extend(self.message.as_ref().map(|message| ("message".to_owned(), json!(message))));
        Value::from(Json::Object(inputs))
    }
}

/// Reads a data set for a workflow.
///
/// # Errors
/// Every finding, by line.
pub(crate) fn read(path: &Path, bundle: &Bundle, registry: &Registry) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let text = source::read_text(path).map_err(|finding| vec![*finding])?;
    let file = Arc::new(SourceFile { name: path.display().to_string(), text });
    let schema = schema_of::<Case>();
    let (mut cases, mut findings) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (index, line) in file.text.split_inclusive('\n').enumerate() {
        let (from, text) = (start, line.trim_end());
        start += line.len();
        if text.trim().is_empty() {
            continue;
        }
        // A name that ends so is read as strict JSON.
        let (document, found) = source::parse("line.json", text.to_owned());
        let mut of_line: Vec<_> = found.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        if let (Some(document), true) = (document, of_line.is_empty()) {
            match case(&document, &schema, bundle, registry) {
                Ok(case) => cases.push(Case { line: index + 1, ..case }),
                Err(found) => of_line = found,
            }
        }
        for mut finding in of_line {
            for span in
                std::iter::once(&mut finding.span).chain(finding.related.iter_mut().map(|label| &mut label.span))
            {
                span.file = file.clone();
                span.range = span.range.start + from..span.range.end + from;
            }
            findings.push(finding);
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if cases.is_empty() {
        let span = liteagent_engine::diagnostic::Span { file, range: 0..0 };
        let finding = Diagnostic::error(codes::EVAL_CASES, span, "expected a case on each line, found none");
        return Err(vec![finding.hint("write lines such as `{\"inputs\": {...}, \"expect\": {...}}`")]);
    }
    Ok(cases)
}

fn case(
    document: &Document,
    schema: &schemars::Schema,
    bundle: &Bundle,
    registry: &Registry,
) -> Result<Case, Vec<Diagnostic>> {
    let shape = shape::walk(schema, &document.value, "");
    if !shape.findings.is_empty() {
        return Err(shape.findings.iter().map(|finding| document.diagnostic(finding)).collect());
    }
    let wrong = |pointer: &str, message: String| Diagnostic::error(codes::EVAL_CASES, document.span(pointer), message);
    let case: Case =
        serde_json::from_value(document.value.clone()).map_err(|error| vec![wrong("", error.to_string())])?;
    let mut findings = check::expectations(&case.expect, "/expect", document, Lookup::new(bundle, registry));
    let mut inputs = case.inputs();
    let chats = bundle.entry().is_some_and(|entry| entry.conversation.is_some());
    if case.message.is_some() && !chats {
        let message = format!("`{}` is no chat workflow, so nobody can say something to it", bundle.entry);
        findings.push(wrong("/message", message).hint("pass `inputs` instead"));
        inputs = Value::from(Json::Object(case.inputs.clone().unwrap_or_default()));
    }
    if case.message.is_some() && case.inputs.as_ref().is_some_and(|inputs| inputs.contains_key("message")) {
        let message = "`message` and `inputs.message` say the same twice".to_owned();
        findings.push(wrong("/message", message).hint("remove one of them"));
    }
    let unseen = [
        ("calls", case.expect.calls.is_empty()),
        ("prompts", case.expect.prompts.is_empty()),
        ("tools", case.expect.tools.is_none()),
    ];
    for (field, _) in unseen.iter().filter(|(_, is_missing)| !is_missing) {
        let message = format!("an evaluation does not see `{field}`");
        findings
            .push(wrong(&format!("/expect/{field}"), message).hint("look at it in a test, with fakes or a cassette"));
    }
    if let Some(Err(misfits)) = bundle.entry().map(|entry| fit_all(&entry.inputs, inputs)) {
        findings.extend(misfits.into_iter().map(|misfit| {
            let finding = wrong(&format!("/inputs{}", misfit.pointer), misfit.message);
            match misfit.hint {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        }));
    }
    if findings.is_empty() { Ok(case) } else { Err(findings) }
}
