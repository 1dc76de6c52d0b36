//! What is said over a WebSocket.

use liteagent_engine::{codes, stream::StreamId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    problem::Problem,
    runs::{
        follow::Told,
        start::StartBody,
        steer::{AnswerBody, SignalBody},
    },
};

/// The largest frame, in bytes.
const LARGEST: usize = 1 << 20;
/// The longest id, in characters.
const LONGEST_ID: usize = 128;

/// What a caller wants.
pub(super) struct Asked {
    /// What the replies are called by.
    pub(super) id: String,
    /// What it is.
    pub(super) wish: Wish,
}

/// See [`Asked`].
pub(super) enum Wish {
    Subscribe { run: String, after: Option<StreamId> },
    Unsubscribe,
    Start(Box<StartBody>),
    Cancel { run: String },
    Signal { run: String, body: SignalBody },
    Answer { run: String, body: AnswerBody },
}

/// A frame that cannot be read, under its id where it has one.
pub(super) struct Unread {
    pub(super) id: Option<String>,
    pub(super) problem: Problem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeBody {
    run: String,
    last_event_id: Option<StreamId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunBody {
    run: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Asked {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(text: &str) -> Result<Self, Unread> {
        let anonymous = |problem| Unread { id: None, problem };
        if text.len() > LARGEST {
            let detail = format!("expected a frame of at most 1 MiB, found {} bytes", text.len());
            return Err(anonymous(wrong(detail)));
        }
        let frame: Json = serde_json::from_str(text).map_err(|error| anonymous(wrong(format!("no JSON: {error}"))))?;
        let Json::Object(mut frame) = frame else {
            return Err(anonymous(wrong("expected an object".to_owned())));
        };
        let id = match frame.remove("id") {
            Some(Json::String(id)) if (1..=LONGEST_ID).contains(&id.chars().count()) => id,
            _ => return Err(anonymous(wrong(format!("`id`: expected a text of 1 to {LONGEST_ID} characters")))),
        };
        let kind = frame.remove("type");
        let of_run = |frame: &mut serde_json::Map<String, Json>| match frame.remove("run") {
            Some(Json::String(run)) => Ok(run),
            _ => Err(wrong("`run`: expected the id of a run".to_owned())),
        };
        let wish = match kind.as_ref().and_then(Json::as_str) {
            Some("subscribe") => rest::<SubscribeBody>(frame)
                .map(|SubscribeBody { run, last_event_id }| Wish::Subscribe { run, after: last_event_id }),
            Some("unsubscribe") => rest::<Nothing>(frame).map(|Nothing {}| Wish::Unsubscribe),
            Some("start") if frame.contains_key("mode") => {
                Err(wrong("`mode` has no meaning here: what is started is followed".to_owned()))
            }
            Some("start") => rest(frame).map(|body| Wish::Start(Box::new(body))),
            Some("cancel") => rest(frame).map(|RunBody { run }| Wish::Cancel { run }),
            Some("signal") => of_run(&mut frame).and_then(|run| Ok(Wish::Signal { run, body: rest(frame)? })),
            Some("answer") => of_run(&mut frame).and_then(|run| Ok(Wish::Answer { run, body: rest(frame)? })),
            other => Err(wrong(format!(
                "`type`: expected `subscribe`, `unsubscribe`, `start`, `cancel`, `signal` or `answer`, found {}",
                other.map_or_else(|| "none".to_owned(), |other| format!("`{other}`"))
            ))),
        };
        match wish {
            Ok(wish) => Ok(Self { id, wish }),
            Err(problem) => Err(Unread { id: Some(id), problem }),
        }
    }
}

/// What a frame has besides its type and its id.
fn rest<T: for<'de> Deserialize<'de>>(frame: serde_json::Map<String, Json>) -> Result<T, Problem> {
    serde_json::from_value(Json::Object(frame)).map_err(|error| wrong(error.to_string()))
}

/// A frame that cannot be read.
pub(super) fn wrong(detail: String) -> Problem {
    Problem::invalid(codes::FRAME, format!("the frame cannot be read: {detail}"))
        .hint("GET /api/ws at /docs says which frames there are")
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Said<'a> {
    /// It was done.
    Ok {
        /// Of the frame that asked.
        id: &'a str,
    },
    /// A run was started.
    Started {
        /// Of the frame that asked.
        id: &'a str,
        /// The run.
        run: String,
        /// Its conversation.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<&'a str>,
        /// Whose that is.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
    },
    /// It was not done.
    Error {
        /// Of the frame that asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        /// Why.
        problem: &'a Problem,
    },
}

impl Said<'_> {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and problems have a JSON form")
    }
}

/// What goes out of a run, as a frame: the same JSON as every other way has it.
pub(super) fn told(id: &str, told: &Told) -> String {
    let id = Json::from(id);
    let Told { name, id: place, data } = told;
    match *name {
        "end" => format!(r#"{{"type":"ended","id":{id},"data":{data}}}"#),
        "error" => format!(r#"{{"type":"error","id":{id},"problem":{data}}}"#),
        name => {
            let place = place.map_or_else(String::new, |place| format!(r#""event_id":"{place}","#));
            format!(r#"{{"type":"event","id":{id},"event":"{name}",{place}"data":{data}}}"#)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(frame: &str) -> (Option<String>, String) {
        let unread = Asked::read(frame).err().unwrap();
        (unread.id, unread.problem.said().to_owned())
    }

    #[test]
    fn frames_that_make_no_sense_are_refused_under_their_id() {
        for frame in ["", "[]", "{", "{}", r#"{"id":""}"#, r#"{"id":7,"type":"cancel"}"#, &"x".repeat(LARGEST + 1)] {
            assert_eq!(why(frame).0, None);
        }
        for frame in [
            r#"{"id":"a"}"#,
            r#"{"id":"a","type":"dance"}"#,
            r#"{"id":"a","type":"subscribe"}"#,
            r#"{"id":"a","type":"subscribe","run":"r","last_event_id":"x"}"#,
            r#"{"id":"a","type":"unsubscribe","run":"r"}"#,
            r#"{"id":"a","type":"start"}"#,
            r#"{"id":"a","type":"start","workflow":"w","mode":"wait"}"#,
            r#"{"id":"a","type":"signal","run":"r"}"#,
            r#"{"id":"a","type":"answer","node":"n","action":"yes"}"#,
        ] {
            assert_eq!(why(frame).0.as_deref(), Some("a"), "{frame}");
        }
        assert!(why(r#"{"id":"a","type":"dance"}"#).1.contains("`dance`"));
    }

    #[test]
    fn what_goes_out_of_a_run_is_passed_on_as_it_is() {
        let of = |name, place: Option<&str>| {
            let id = place.map(|place| place.parse().unwrap());
            let text = told("a\"", &Told { name, id, data: "{\"x\":1}".to_owned() });
            serde_json::from_str::<Json>(&text).unwrap()
        };
        assert_eq!(
            of("text", Some("12.3")),
            serde_json::json!({ "type": "event", "id": "a\"", "event": "text", "event_id": "12.3", "data": { "x": 1 } })
        );
        assert_eq!(of("end", None), serde_json::json!({ "type": "ended", "id": "a\"", "data": { "x": 1 } }));
    }
}
