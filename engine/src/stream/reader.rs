//! Reads what goes out of a run: from the channel while the run goes on here, or where another process says what it shows;
//! from the journal otherwise.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use super::{
    AnswerText, Channel, StreamEvent, StreamId, StreamItem, Transcript,
    channel::{Look, item},
};
use crate::{
    engine::{Ears, EngineError, Inner, LOOK},
    event::{Event, Record, Seq},
    executor,
    id::RunId,
    queue::Wake,
};

/// How many records are read at once.
const PAGE: usize = 1_000;

/// What goes out of a run, from some place on. It ends after the record of the end of the run.
pub struct RunStream {
    engine: Arc<Inner>,
    run: RunId,
    channel: Arc<Channel>,
    changes: watch::Receiver<()>,
    /// Hears of the run while another process executes it.
    ears: Option<Ears>,
    place: Place,
    /// The newest record that was given.
    given: Seq,
    shown: Shown,
    queue: VecDeque<StreamItem>,
    /// The answers by the journal, as far as it was read.
    transcript: Transcript,
    read: Seq,
    has_ended: bool,
}

/// Where the reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The journal: the run does not go on here, as far as is known.
    Journal,
    /// The channel.
    Channel(StreamId),
}

/// What the other side shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// The first answers, whole, and nothing else.
    Complete(usize),
    /// Something.
    Unknown,
}

impl RunStream {
    pub(crate) fn new(engine: Arc<Inner>, run: RunId, after: Option<StreamId>) -> Self {
        let channel = engine.hub.open(run);
        Self {
            changes: channel.changes(),
            engine,
            run,
            channel,
            ears: None,
            place: after.map_or(Place::Journal, Place::Channel),
            given: after.map_or(0, |after| after.seq),
            shown: after.map_or(Shown::Complete(0), |_| Shown::Unknown),
            queue: VecDeque::new(),
            transcript: Transcript::default(),
            read: 0,
            has_ended: false,
        }
    }

    /// The next thing, as soon as there is one; `None` after the end of the run. Safe to drop at any await.
    ///
    /// # Errors
    /// When the store fails, or holds a record of a newer release.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, EngineError> {
        let mut look_around = false;
        loop {
            if let Some(item) = self.queue.pop_front() {
                if let StreamEvent::Record { record } = &item.event {
                    self.has_ended |= matches!(record.event, Event::RunEnded { .. });
                }
                return Ok(Some(item));
            }
            if self.has_ended {
                return Ok(None);
            }
            // Before looking: what happens in between is heard.
            self.listen().await;
            self.changes.mark_unchanged();
            if !self.fill(look_around).await? {
                look_around = self.wait().await;
            }
        }
    }

    /// Listens to other processes while one of them may execute the run.
    async fn listen(&mut self) {
        if self.engine.is_active(self.run) {
            return;
        }
        if self.ears.is_none() {
            self.ears = Ears::open(&self.engine, self.run).await;
        }
        if let Some(ears) = &mut self.ears {
            ears.say();
        }
    }

    /// Waits for something to happen; whether the journal must be looked at for it.
    async fn wait(&mut self) -> bool {
        let Some(ears) = &mut self.ears else {
            // The sender lives as long as the channel, which lives as long as this.
            return tokio::time::timeout(LOOK, self.changes.changed()).await.is_err();
        };
        let heard = tokio::select! {
            _ = self.changes.changed() => return false,
            heard = ears.next() => heard,
            () = tokio::time::sleep(LOOK) => return true,
        };
        match heard {
            Wake::Piece(_, piece) => {
                if !self.engine.is_active(self.run) && !self.channel.reflect(&piece) {
                    ears.ask();
                }
                false
            }
            Wake::Record(_, seq) => seq > self.given,
            _ => true,
        }
    }

    /// What is there now; `None` when that is all, for now or for ever.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn next_ready(&mut self) -> Result<Option<StreamItem>, EngineError> {
        while self.queue.is_empty() && !self.has_ended && self.fill(true).await? {}
        if self.queue.is_empty() { Ok(None) } else { self.next().await }
    }

    /// Takes in what is there. `false` when there is nothing new.
    async fn fill(&mut self, look_around: bool) -> Result<bool, EngineError> {
        let mut missed = false;
        if let Place::Channel(after) = self.place {
            match self.channel.look(after) {
                Look::Next { items, until } if until != after => return self.follow(items, until).await,
                Look::Next { .. } if !look_around => return Ok(false),
                Look::Next { .. } => {}
                Look::Missed => missed = true,
            }
        }
        // A run that another process goes on with is known by its journal alone.
        let stored = self.engine.stores.journal.run(self.run).await?.map_or(0, |row| row.seq);
        let shows = |seq| self.channel.seq() >= Some(seq);
        // What another process shows may be behind the journal for a moment, but for no longer.
        let follows = self.place == Place::Journal && self.ears.is_some() && shows(self.given);
        let is_here = self.engine.is_active(self.run) || shows(stored) || follows;
        match self.place {
            _ if !is_here || self.channel.seq().is_none() => self.read_journal(stored).await,
            Place::Channel(_) if !missed => Ok(false),
            Place::Channel(_) => {
                self.shown = Shown::Unknown;
                self.enter().await
            }
            Place::Journal => self.enter().await,
        }
    }

    /// Gives what follows in the channel: texts, and between them the records, each with its place.
    async fn follow(&mut self, items: Vec<(StreamId, StreamEvent)>, until: StreamId) -> Result<bool, EngineError> {
        let mut records = self.read(self.given, until.seq).await?.into_iter().peekable();
        for (id, event) in items {
            while let Some(record) = records.next_if(|record| record.seq <= id.seq) {
                self.give_record(record);
            }
            self.queue.push_back(item(Some(id), event));
        }
        records.for_each(|record| self.give_record(record));
        self.place = Place::Channel(until);
        Ok(true)
    }

    fn give_record(&mut self, record: Record) {
        self.given = record.seq;
        let id = StreamId { seq: record.seq, n: 1 };
        self.queue.push_back(item(Some(id), StreamEvent::Record { record: Box::new(record) }));
    }

    /// Goes over to the channel, with everything that holds so far. Nothing but the last item has an id: who breaks off
    /// before it catches up again.
    async fn enter(&mut self) -> Result<bool, EngineError> {
        let first = self.queue.len();
        let complete = match self.shown {
            Shown::Complete(complete) => complete,
            Shown::Unknown => 0,
        };
        let (texts, until) = self.channel.everything(complete);
        for record in self.read(self.given, until.seq).await? {
            self.given = record.seq;
            self.queue.push_back(item(None, StreamEvent::Record { record: Box::new(record) }));
        }
        if self.shown == Shown::Unknown {
            self.queue.push_back(item(None, StreamEvent::Reset { answer: None, cause: None }));
        }
        self.queue.extend(texts.into_iter().map(|event| item(None, event)));
        if let Some(last) = self.queue.back_mut().filter(|_| until.n > 0) {
            last.id = Some(until);
        }
        self.place = Place::Channel(until);
        // From here on the channel says what follows on what.
        self.shown = Shown::Unknown;
        Ok(self.queue.len() > first)
    }

    /// Gives what the journal says: records, and the texts of answers that are complete.
    async fn read_journal(&mut self, until: Seq) -> Result<bool, EngineError> {
        if self.place != Place::Journal {
            self.place = Place::Journal;
            self.shown = Shown::Unknown;
        }
        let first = self.queue.len();
        let known = self.given;
        for record in self.read(self.read, until).await? {
            self.read = record.seq;
            self.transcript.apply(&record);
            if record.seq > known {
                self.given = record.seq;
                self.queue.push_back(item(None, StreamEvent::Record { record: Box::new(record) }));
            }
        }
        self.tell_complete();
        if let Some(last) = self.queue.back_mut().filter(|_| self.read > 0) {
            last.id = Some(StreamId { seq: self.read, n: 0 });
        }
        Ok(self.queue.len() > first)
    }

    /// The answers that the journal holds and the other side does not show. One that is not complete holds the others up.
    fn tell_complete(&mut self) {
        let answers = self.transcript.answers();
        let settled = answers.iter().take_while(|answer| answer.text != AnswerText::Open);
        let said = settled.filter_map(|answer| match &answer.text {
            AnswerText::Said(text) => Some((answer.node.clone(), text.clone())),
            AnswerText::Open | AnswerText::Void => None,
        });
        let complete = match self.shown {
            Shown::Complete(complete) => complete,
            // Where no answer was ever begun, nothing can be shown.
            Shown::Unknown if answers.is_empty() => 0,
            Shown::Unknown => {
                self.queue.push_back(item(None, StreamEvent::Reset { answer: None, cause: None }));
                0
            }
        };
        let said: Vec<_> = said.collect();
        for (answer, text) in said.iter().skip(complete).cloned() {
            if !text.is_empty() {
                self.queue.push_back(item(None, StreamEvent::Text { answer: answer.clone(), text }));
            }
            self.queue.push_back(item(None, StreamEvent::Complete { answer }));
        }
        self.shown = Shown::Complete(said.len());
    }

    /// The records after one, up to another.
    async fn read(&self, after: Seq, until: Seq) -> Result<Vec<Record>, EngineError> {
        let stores = &self.engine.stores;
        let (mut records, mut newest) = (Vec::new(), after);
        while newest < until {
            let page = stores.journal.read(self.run, newest, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for stored in page.into_iter().filter(|stored| stored.seq <= until) {
                let mut record = executor::decode(&stored)?;
                executor::load_payloads(stores, &mut record).await?;
                newest = record.seq;
                records.push(record);
            }
        }
        Ok(records)
    }
}

impl std::fmt::Debug for RunStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunStream").field("run", &self.run).field("place", &self.place).finish_non_exhaustive()
    }
}
