//! Tools that come with the program: time, arithmetic, code.

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use liteagent_engine::{
    capability::{CodeCall, CodeLimits},
    node::prelude::*,
    suggest, value,
};
use serde_json::json;

use super::{calculator, kind::ToolOutput};

/// What models are told.
pub(super) const TIME: &str = "Tells the current date, weekday and time, in UTC or in a time zone.";
pub(super) const CALCULATOR: &str = "Calculates with exact decimals: + - * / ^, `%` for the remainder, parentheses, and abs, \
    avg, ceil, floor, max, min, round(x, digits), sqrt, sum. Use it for every calculation.";
pub(super) const CODE: &str = "Runs a short program, isolated, without network or files. The code defines a function `main` \
    without parameters that returns the result; what it prints is returned too.";

fn types(declared: serde_json::Value) -> IndexMap<String, Type> {
    serde_json::from_value(declared).expect("the types of built-in tools are well-formed")
}

pub(super) fn time_parameters() -> IndexMap<String, Type> {
    types(json!({ "timezone": {
        "type": "string", "optional": true, "description": "An IANA name such as `Europe/Berlin`; UTC when missing.",
    } }))
}

pub(super) fn calculator_parameters() -> IndexMap<String, Type> {
    types(json!({ "expression": {
        "type": "string", "maxLength": 2000, "description": "The expression, as in `round(19.99 * 3 * 1.19, 2)`.",
    } }))
}

pub(super) fn code_parameters() -> IndexMap<String, Type> {
    types(json!({
        "language": { "type": "string", "enum": ["python", "javascript"], "description": "The language of the code." },
        "code": { "type": "string", "maxLength": 50_000, "description": "The code, with a function `main`." },
    }))
}

/// The time is that of the journal, so that a repetition tells the same.
pub(super) fn time(ctx: &NodeCtx, inputs: &Value) -> Result<ToolOutput, NodeError> {
    let name = inputs.get("timezone").and_then(Value::as_str).unwrap_or("UTC");
    let zone: Tz = name.parse().map_err(|_| {
        let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let error = NodeError::new(codes::TOOL_ARGUMENTS, ErrorClass::Invalid, format!("unknown time zone `{name}`"));
        error.hint(suggest::hint(name, known).unwrap_or_else(|| "use an IANA name such as `Europe/Berlin`".to_owned()))
    })?;
    let now = DateTime::<Utc>::from_timestamp_millis(ctx.now).unwrap_or_default().with_timezone(&zone);
    Ok(ToolOutput {
        text: format!("{}, {} ({name})", now.weekday(), now.format("%Y-%m-%d %H:%M:%S %:z")),
        data: value!({
            "iso": now.to_rfc3339(),
            "date": now.format("%Y-%m-%d").to_string(),
            "time": now.format("%H:%M:%S").to_string(),
            "weekday": now.format("%A").to_string(),
            "timezone": name,
        }),
    })
}

pub(super) fn calculate(inputs: &Value) -> Result<ToolOutput, NodeError> {
    let expression = inputs.get("expression").and_then(Value::as_str).unwrap_or_default();
    let result = calculator::evaluate(expression).map_err(|problem| {
        NodeError::new(codes::CALCULATION, ErrorClass::Invalid, format!("`{expression}`: {problem}"))
            .hint("use numbers, + - * / % ^, parentheses and the functions of the calculator")
    })?;
    Ok(ToolOutput { text: result.clone(), data: value!({ "result": result }) })
}

pub(super) async fn code(ctx: &NodeCtx, inputs: &Value) -> Result<ToolOutput, NodeError> {
    let text = |name: &str| inputs.get(name).and_then(Value::as_str).unwrap_or_default();
    let language = if text("language") == "javascript" { "javascript" } else { "python" };
    let call = CodeCall { language, code: text("code").into(), inputs: Value::object(), limits: CodeLimits::default() };
    let reply = ctx.code()?.run(call).await.map_err(|failure| {
        // The model wrote the code: where it went wrong helps it to mend it.
        let traceback = failure.traceback.map_or_else(String::new, |frames| format!("\n{}", frames.trim_end()));
        let message = format!("{}{traceback}", failure.error.message);
        NodeError { message, ..failure.error }
    })?;
    let mut told = reply.outputs.to_string();
    for (what, printed) in [("printed", &reply.stdout), ("warned", &reply.stderr)] {
        if !printed.trim().is_empty() {
            told.push_str(&format!("\n{what}:\n{}", printed.trim_end()));
        }
    }
    Ok(ToolOutput { text: told, data: reply.outputs })
}
