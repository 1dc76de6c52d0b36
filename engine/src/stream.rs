//! What goes out of a run while it goes on: its records as they become durable, and the texts of its answers as they
//! come.
//!
//! Records are durable facts. Texts are provisional until the record of their answer: when an attempt whose text was shown
//! is lost, fails or is tried again, [`StreamEvent::Reset`] says which answer begins anew. What follows it, and what a
//! reader has at [`StreamEvent::Complete`], is the text that the journal holds.
//!
//! * `transcript.rs`: which answers a run gave, in order: a fold of its journal;
//! * `live.rs`: what of them is known so far, from pieces of text and records; `source.rs` holds the pieces;
//! * `channel.rs`: numbers what goes out and keeps the newest of it, bounded, so that no reader holds a run up;
//! * `piece.rs`: how that reaches other processes, whose channels mirror it;
//! * `reader.rs`: [`RunStream`], which reads the journal and the channel, from any [`StreamId`] on;
//! * `screen.rs`: what a reader makes of it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    channel::{Channel, Hub, Wanted},
    source::Interest,
};
pub use self::{
    piece::Piece,
    reader::RunStream,
    screen::Screen,
    transcript::{Answer, AnswerText, OUTPUT, Transcript},
};
use crate::event::{Record, Seq};

mod channel;
mod live;
mod piece;
mod reader;
mod screen;
mod source;
mod transcript;

/// Where a reader of a stream stands: `12.3` is the third thing after record 12 became durable. Ids grow within a run, but for a
/// reset of everything: what a process that died had shown beyond its last record is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The newest record that the reader has.
    pub seq: Seq,
    /// What it has besides; 0 when that was read from the journal.
    pub n: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.n)
    }
}

impl FromStr for StreamId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (seq, n) = text.split_once('.')?;
            Some(Self { seq: seq.parse().ok()?, n: n.parse().ok()? })
        };
        read().ok_or_else(|| format!("expected the id of a place in a stream such as `12.3`, found `{text}`"))
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One thing that goes out of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamItem {
    /// Where a reader stands that has taken this and everything before it: what it gives to go on after a break. While a
    /// reader catches up, nothing but the last item has one, so that a reader which breaks off there catches up again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<StreamId>,
    /// What it is.
    #[serde(flatten)]
    pub event: StreamEvent,
}

/// What goes out of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StreamEvent {
    /// A record became durable. A reader that catches up may be given one again: its `seq` tells.
    Record {
        /// The record.
        record: Box<Record>,
    },
    /// The next piece of the text of an answer. Answers follow each other: a piece of the next one comes only when the one
    /// before is complete.
    Text {
        /// The answer: the path of its node, or `outputs.text` where a workflow has none.
        answer: Arc<str>,
        /// The piece.
        text: Arc<str>,
    },
    /// What was shown does not hold: it is to be forgotten. What holds of it follows.
    Reset {
        /// The answer that begins anew; `None` is all of them: the reader has missed something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Arc<str>>,
        /// The attempt whose text does not hold, where that is the cause.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// The text of an answer is complete, and the journal holds it.
    Complete {
        /// The answer.
        answer: Arc<str>,
    },
}

impl StreamEvent {
    /// The answer that it is about.
    pub fn answer(&self) -> Option<&str> {
        match self {
            Self::Record { .. } => None,
            Self::Text { answer, .. } | Self::Complete { answer } => Some(answer),
            Self::Reset { answer, .. } => answer.as_deref(),
        }
    }
}

/// An attempt whose text does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The path of its node.
    pub node: Arc<str>,
    /// 1 for the first try.
    pub attempt: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written_and_are_in_order() {
        let ids: Vec<StreamId> = ["0.1", "1.0", "1.9", "1.10", "10.0"].iter().map(|id| id.parse().unwrap()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[3].to_string(), "1.10");
        for wrong in ["", "1", "1.", ".1", "-1.2", "1.2.3", "a.b"] {
            assert!(wrong.parse::<StreamId>().is_err(), "{wrong}");
        }
        let reset =
            StreamEvent::Reset { answer: Some("say".into()), cause: Some(Cause { node: "reply".into(), attempt: 2 }) };
        let item = StreamItem { id: Some(ids[2]), event: reset };
        let json = serde_json::json!({ "id": "1.9", "event": "reset", "answer": "say", "node": "reply", "attempt": 2 });
        assert_eq!(serde_json::to_value(&item).unwrap(), json);
        for event in [item.event, StreamEvent::Reset { answer: None, cause: None }] {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<StreamEvent>(&text).unwrap(), event, "{text}");
        }
    }
}
