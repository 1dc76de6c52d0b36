//! What goes out of a run: the same texts whichever way they go.

use std::sync::Arc;

use liteagent_engine::{
    id::RunId,
    stream::{RunStream, StreamEvent, StreamId, StreamItem},
};

use super::RunReply;
use crate::{app::App, metrics::OpenStream, problem::Problem};

/// Something that goes out of a run.
#[derive(Debug)]
pub(crate) struct Told {
    /// `record`, `text`, `reset`, `complete`, `end` or `error`.
    pub(crate) name: &'static str,
    /// Where a reader stands that has it, and can go on.
    pub(crate) id: Option<StreamId>,
    /// What it is, as JSON.
    pub(crate) data: String,
}

impl Told {
    fn new(name: &'static str, id: Option<StreamId>, data: &impl serde::Serialize) -> Self {
        let data = serde_json::to_string(data).expect("everything that goes out has a JSON form");
        Self { name, id, data }
    }
}

impl From<StreamItem> for Told {
    fn from(item: StreamItem) -> Self {
        let name = match item.event {
            StreamEvent::Record { .. } => "record",
            StreamEvent::Text { .. } => "text",
            StreamEvent::Reset { .. } => "reset",
            StreamEvent::Complete { .. } => "complete",
        };
        Self::new(name, item.id, &item.event)
    }
}

/// The conversation of a run that is followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talked {
    /// Its id.
    pub(crate) conversation: Option<String>,
    /// Whose it is, where the reader must name that to go on.
    pub(crate) user: Option<String>,
}

impl Talked {
    /// What a reply says of the run, with its conversation.
    pub(crate) fn tell(self, reply: RunReply) -> RunReply {
        RunReply { conversation: self.conversation, user: self.user, ..reply }
    }
}

/// Follows a run. A reader that is slow holds nobody up: what it has not read is read from the journal.
pub(crate) struct Follow {
    app: Arc<App>,
    run: RunId,
    talk: Talked,
    /// `None` after the end.
    stream: Option<RunStream>,
    /// For whoever counts.
    _open: OpenStream,
}

impl Follow {
    /// Follows a run from a place on, or from its beginning.
    ///
    /// # Errors
    /// When there is no such run.
    pub(crate) async fn open(
        app: &Arc<App>,
        run: RunId,
        talk: Talked,
        after: Option<StreamId>,
    ) -> Result<Self, Problem> {
        let stream = app.engine.stream(run, after).await?;
        Ok(Self { app: app.clone(), run, talk, stream: Some(stream), _open: OpenStream::begin(&app.metrics) })
    }

    /// The conversation that it belongs to.
    pub(crate) fn conversation(&self) -> Option<&str> {
        self.talk.conversation.as_deref()
    }

    /// What goes out next; `None` after the end, and when the server is about to stop: then the reader goes on elsewhere, from
    /// where it is.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let stream = self.stream.as_mut()?;
        let next = tokio::select! {
            next = stream.next() => next,
            () = self.app.stopping() => return None,
        };
        let end = match next {
            Ok(Some(item)) => return Some(item.into()),
            Ok(None) => self.app.engine.settled(self.run).await.map_err(Problem::from),
            Err(error) => Err(error.into()),
        };
        self.stream = None;
        Some(match end {
            Ok(settled) => Told::new("end", None, &self.talk.clone().tell(RunReply::of(self.run, settled))),
            Err(problem) => Told::new("error", None, &problem),
        })
    }
}
