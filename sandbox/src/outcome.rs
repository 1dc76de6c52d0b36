//! What a guest said, as a reply. A guest is not believed: what it says is checked, and cut where it is too long.

use std::{fmt, time::Duration};

use liteagent_sandbox_protocol::{Failure, Fault, Kind, Limit, Reply, Success, Usage};
use serde::{
    Deserialize,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use wasmtime::Trap;

use crate::{
    Bounds,
    guest::Answer,
    host::{Host, Stop},
    meter::Times,
    text::{shortened, size, time},
};

const MOST_MESSAGE: usize = 4 * 1024;
const MOST_TRACEBACK: usize = 16 * 1024;
const MOST_NAME: usize = 200;

/// A call that ended, in whatever way.
pub(crate) struct Ended {
    pub(crate) answer: Result<wasmtime::Result<Answer>, Limit>,
    pub(crate) times: Times,
    pub(crate) host: Host,
    pub(crate) script: bool,
}

/// What a guest tells of a failure.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    kind: String,
    #[serde(rename = "type")]
    type_name: String,
    message: String,
    module: Option<String>,
    line: Option<u32>,
    traceback: Option<String>,
    hint: Option<String>,
    exit_code: Option<i32>,
}

/// The reply to a call, which waited for its place.
pub(crate) fn reply(ended: Ended, bounds: &Bounds, waited: Duration) -> Reply {
    let Ended { answer, times, host, script } = ended;
    let usage = Usage {
        wait_us: micros(waited),
        wall_us: micros(times.wall),
        cpu_us: micros(times.cpu),
        memory: host.memory_used as u64,
    };
    let outputs = match answer {
        Err(limit) => Err(exceeded(limit, bounds)),
        Ok(Err(error)) => Err(stopped(&error, &host, bounds)),
        Ok(Ok(Answer::TooLarge)) => Err(exceeded(Limit::Output, bounds)),
        Ok(Ok(Answer::Failure(text))) => Err(told(&text, host.memory_refused, bounds)),
        Ok(Ok(Answer::Outputs(text))) => outputs(text, script),
    };
    let (stdout, stderr) = (lossy(host.stdout), lossy(host.stderr));
    match outputs {
        Ok(outputs) => Ok(Success { outputs, stdout, stderr, usage }),
        Err(error) => Err(Box::new(Failure { error, stdout, stderr, usage })),
    }
}

fn outputs(text: Vec<u8>, script: bool) -> Result<Box<RawValue>, Fault> {
    let text = if script { "{}".to_owned() } else { lossy(text) };
    json_object(text.as_bytes())
        .map_err(|why| Fault::new(Kind::Outputs, format!("what `main` returned cannot be its outputs: {why}")))?;
    RawValue::from_string(text).map_err(|error| Fault::new(Kind::Outputs, error.to_string()))
}

/// What the guest told.
fn told(text: &[u8], memory_refused: bool, bounds: &Bounds) -> Fault {
    let Ok(told) = serde_json::from_slice::<Told>(text) else {
        return Fault::new(Kind::Exception, "the code failed, and its error cannot be shown");
    };
    let kind = match told.kind.as_str() {
        "memory" if memory_refused => return exceeded(Limit::Memory, bounds),
        "syntax" => Kind::Syntax,
        "main" => Kind::NoMain,
        "module" => Kind::MissingModule,
        "outputs" => Kind::Outputs,
        "inputs" => Kind::Request,
        "exit" => Kind::Exited,
        _ => Kind::Exception,
    };
    let message = shortened(told.message, MOST_MESSAGE);
    let place = told.line.map(|line| format!(" (line {line})")).unwrap_or_default();
    let message = match kind {
        Kind::Exception | Kind::Syntax if !told.type_name.is_empty() => {
            format!("{}: {message}{place}", shortened(told.type_name, MOST_NAME))
        }
        _ => format!("{message}{place}"),
    };
    Fault {
        module: told.module.map(|name| shortened(name, MOST_NAME).into()),
        line: told.line,
        traceback: told.traceback.map(|text| shortened(text, MOST_TRACEBACK).into()),
        hint: told.hint.map(|text| shortened(text, MOST_MESSAGE).into()),
        exit_code: told.exit_code,
        ..Fault::new(kind, message)
    }
}

/// Why an instance was stopped.
fn stopped(error: &wasmtime::Error, host: &Host, bounds: &Bounds) -> Fault {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Limit(limit)) => return exceeded(*limit, bounds),
        Some(Stop::Refused(what)) => {
            return Fault::new(Kind::Refused, format!("the sandbox does not have `{what}`"));
        }
        Some(Stop::Exited(code)) => {
            return Fault {
                exit_code: Some(*code),
                ..Fault::new(Kind::Exited, format!("the code ended its process with exit code {code}"))
            };
        }
        None => {}
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Fault::new(Kind::Exception, "the code recursed too deep: the stack is full"),
        // An interpreter that cannot go on without memory aborts.
        Some(_) if host.memory_refused => exceeded(Limit::Memory, bounds),
        Some(trap) => Fault::new(Kind::Exited, format!("the interpreter ended itself: {trap}")),
        None => Fault::new(Kind::Sandbox, format!("the sandbox failed: {error:#}")),
    }
}

fn exceeded(limit: Limit, bounds: &Bounds) -> Fault {
    let (did, most) = match limit {
        Limit::Wall => ("ran longer", time(bounds.wall)),
        Limit::Cpu => ("computed longer", time(bounds.cpu)),
        Limit::Memory => ("needs more memory", size(bounds.memory)),
        Limit::Output => ("returned more", size(bounds.output)),
        Limit::Log => ("printed more", size(bounds.log)),
        Limit::Input => ("was given more", size(bounds.input)),
    };
    Fault::limit(limit, format!("the code {did} than the limit `{limit}` allows: {most}"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Checks that a text is the JSON of an object that everyone can read: numbers that fit, and no deeper than 128.
pub(crate) fn json_object(text: &[u8]) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    Checked { top: true }.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
        // Nobody sees the text that the place would be in.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })
}

/// Reads a value and keeps nothing of it.
struct Checked {
    top: bool,
}

impl Checked {
    fn scalar<E: de::Error>(&self, what: de::Unexpected<'_>) -> Result<(), E> {
        if self.top { Err(E::custom(format_args!("it is {what}, and must be an object"))) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(de::Unexpected::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(de::Unexpected::Signed(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(de::Unexpected::Unsigned(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(de::Unexpected::Float(value))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar(de::Unexpected::Other("a text"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scalar(de::Unexpected::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.scalar(de::Unexpected::Other("a list"))?;
        while items.next_element_seed(Self { top: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Self { top: false })?.is_some() {
            entries.next_value_seed(Self { top: false })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_that_everyone_can_read_is_passed() {
        let check = |text: &str| json_object(text.as_bytes());
        assert_eq!(check(r#"{"a": [1, 2.5, "x", null, {"b": true}]}"#), Ok(()));
        let refused = |text: &str, why: &str| {
            let error = check(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        };
        refused("[1]", "it is a list, and must be an object");
        refused("\"x\"", "it is a text, and must be an object");
        refused("{} {}", "trailing characters");
        refused(r#"{"a": 1e999}"#, "number out of range");
        refused(&format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)), "recursion limit");
        refused(r#"{"a": NaN}"#, "expected value");
        refused("{", "EOF");
    }

    #[test]
    fn a_description_that_is_no_description_is_still_a_failure() {
        let bounds = crate::Config::new("").default;
        assert_eq!(told(b"\xff", false, &bounds).kind, Kind::Exception);
        let fault = told(br#"{"kind": "exception", "type": "ValueError", "message": "no", "line": 3}"#, false, &bounds);
        assert_eq!(fault.to_string(), "LA2301: ValueError: no (line 3)");
        let fault = told(br#"{"kind": "memory"}"#, true, &bounds);
        assert_eq!(fault.message, "the code needs more memory than the limit `memory` allows: 128MiB");
    }
}
