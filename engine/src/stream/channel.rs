//! Numbers what goes out of a run, and keeps the newest of it. Readers pull, so none of them holds a run up: one that is
//! too slow finds that what it needs is gone, and begins anew.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

pub(crate) use super::live::Wanted;
use super::{
    Piece, Screen, StreamEvent, StreamId, StreamItem,
    live::{Live, Out, Up},
};
use crate::{
    event::{Record, Seq},
    id::RunId,
    plan::Plan,
    store::Parent,
};

/// What is kept of a run's texts: so much, and so many pieces.
const MOST_BYTES: usize = 64 * 1024;
const MOST_ITEMS: usize = 4_096;

/// The channels of the runs that somebody reads or that have answers.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<HashMap<RunId, Weak<Channel>>>);

impl Hub {
    /// The channel of a run; a new one if it has none.
    pub(crate) fn open(self: &Arc<Self>, run: RunId) -> Arc<Channel> {
        let mut channels = self.lock();
        if let Some(channel) = channels.get(&run).and_then(Weak::upgrade) {
            return channel;
        }
        let channel =
            Arc::new(Channel { run, hub: self.clone(), state: Mutex::default(), changed: watch::Sender::new(()) });
        channels.insert(run, Arc::downgrade(&channel));
        channel
    }

    /// The channel of a run, when it has one.
    pub(crate) fn get(&self, run: RunId) -> Option<Arc<Channel>> {
        self.lock().get(&run)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Weak<Channel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes out of one run.
pub(crate) struct Channel {
    run: RunId,
    hub: Arc<Hub>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Counts the owners: what an older one gives out comes too late.
    owner: u64,
    /// The epoch of the newest owner, here or in another process.
    epoch: u64,
    /// The newest durable record.
    seq: Seq,
    /// The newest thing after it; a record itself is the first.
    n: u64,
    /// Everything after this is in `items`.
    floor: StreamId,
    items: VecDeque<(StreamId, StreamEvent)>,
    bytes: usize,
    /// What is known where the run is executed.
    live: Option<Live>,
    /// What another process shows that executes it.
    mirror: Option<Screen>,
}

/// What a channel has for a reader.
pub(super) enum Look {
    /// This follows, up to here.
    Next { items: Vec<(StreamId, StreamEvent)>, until: StreamId },
    /// What follows is not known here any more, or not yet.
    Missed,
}

impl Channel {
    /// Lets an owner of the run give out what happens. `records` is the journal so far.
    pub(crate) fn own(
        &self,
        plan: &Arc<Plan>,
        parent: Option<&Parent>,
        epoch: u64,
        seq: Seq,
        records: &[Record],
    ) -> u64 {
        let mut state = self.lock();
        state.owner += 1;
        state.epoch = epoch;
        if state.live.as_ref().is_none_or(|live| live.seq != seq) {
            let mut live = Live::new(plan.clone(), parent.cloned());
            let mut out = Out::default();
            for record in records {
                live.apply(record, &mut out);
            }
            live.seq = seq;
            let had = state.live.replace(live).is_some() | state.mirror.take().is_some();
            (state.seq, state.n) = (seq, u64::from(seq > 0));
            // Readers have what an older owner gave out, and so has the parent.
            state.items.clear();
            state.bytes = 0;
            state.floor = StreamId { seq, n: state.n };
            if had {
                // One that has everything so far has missed this, and begins anew.
                state.n += 1;
                state.floor.n += 1;
            }
            out.up.clear();
            out.up.extend(plan.links.iter().map(|link| Up::Reset { output: link.output.clone() }));
            self.give(&mut state, out);
        }
        self.changed.send_replace(());
        state.owner
    }

    /// Records became durable, in order; everything up to `seq` is.
    pub(crate) fn durable(&self, seq: Seq, records: &[Record]) -> Option<Wanted> {
        let mut state = self.lock();
        let mut out = Out::default();
        let live = state.live.as_mut();
        let wanted = live.and_then(|live| {
            for record in records {
                live.apply(record, &mut out);
            }
            live.seq = seq;
            live.wanted()
        });
        // Texts first: who sees the record of an answer when its turn has come has its text.
        self.give(&mut state, out);
        if seq > state.seq {
            (state.seq, state.n) = (seq, 1);
        }
        self.changed.send_replace(());
        wanted
    }

    /// Gives the text of a part of an answer that was wanted; says what is wanted next.
    pub(crate) fn supply(&self, wanted: &Wanted, text: String) -> Option<Wanted> {
        self.with_live(|live, out| {
            live.supply(wanted, text, out);
            live.wanted()
        })
        .flatten()
    }

    /// A node of this owner's run gave out a piece of text.
    pub(crate) fn delta(&self, owner: u64, path: &str, attempt: u32, text: &str) {
        let mut state = self.lock();
        if state.owner == owner
            && let Some(live) = &mut state.live
        {
            let mut out = Out::default();
            live.delta(path, attempt, text, &mut out);
            self.give(&mut state, out);
            self.changed.send_replace(());
        }
    }

    fn with_live<T>(&self, act: impl FnOnce(&mut Live, &mut Out) -> T) -> Option<T> {
        let mut state = self.lock();
        let mut out = Out::default();
        let given = act(state.live.as_mut()?, &mut out);
        self.give(&mut state, out);
        self.changed.send_replace(());
        Some(given)
    }

    /// Keeps what goes out to readers, and gives the rest to the run that started this one. Locks are taken from children
    /// to parents only.
    fn give(&self, state: &mut State, out: Out) {
        for event in out.events {
            state.push(event);
        }
        if out.up.is_empty() {
            return;
        }
        let Some(parent) = state.live.as_ref().and_then(|live| live.parent.clone()) else { return };
        let Some(channel) = self.hub.get(parent.run) else { return };
        channel.with_live(|live, above| {
            for up in out.up {
                match up {
                    Up::Piece { output, text } => {
                        live.piece_of_child(&parent.node, &output, parent.attempt, &text, above);
                    }
                    Up::Reset { output } => live.reset(&parent.node, &output, above),
                }
            }
        });
    }

    /// The newest record that is known here to be durable; `None` while nobody here owned the run or heard of it.
    pub(super) fn seq(&self) -> Option<Seq> {
        let state = self.lock();
        state.is_known().then_some(state.seq)
    }

    /// The newest record of which this process, which executes the run, has said that it is durable.
    pub(crate) fn durable_seq(&self) -> Seq {
        self.lock().seq
    }

    /// What another process must know that has everything up to a place, or nothing; `None` when that is nothing. Means
    /// nothing where the run shows no texts.
    pub(crate) fn piece(&self, after: Option<StreamId>) -> Option<Piece> {
        let epoch = {
            let state = self.lock();
            state.live.as_ref().map(|_| state.epoch)?
        };
        let followed = after.map(|after| (after, self.look(after)));
        if let Some((after, Look::Next { items, until })) = followed {
            return (until != after).then_some(Piece { epoch, after: Some(after), until, events: items });
        }
        let (events, until) = self.everything(0);
        Some(Piece { epoch, after: None, until, events: events.into_iter().map(|event| (until, event)).collect() })
    }

    /// Shows what another process shows of the run, which this one does not execute. `false` when something is missing
    /// before it: everything must be asked for.
    pub(super) fn reflect(&self, piece: &Piece) -> bool {
        let mut state = self.lock();
        let stands = StreamId { seq: state.seq, n: state.n };
        let is_same = state.mirror.is_some() && state.epoch == piece.epoch;
        if piece.epoch < state.epoch || is_same && piece.until <= stands {
            // It comes from an owner that does not know yet that it lost the run, or another reader here has heard it.
            return true;
        }
        match piece.after {
            None => {
                let mut screen = Screen::default();
                piece.events.iter().for_each(|(_, event)| screen.apply(event));
                state.items.clear();
                (state.bytes, state.live, state.floor, state.epoch) = (0, None, piece.until, piece.epoch);
                state.mirror = Some(screen);
            }
            Some(after) if is_same && after == stands => {
                for (id, event) in &piece.events {
                    if let Some(mirror) = &mut state.mirror {
                        mirror.apply(event);
                    }
                    state.keep(*id, event.clone());
                }
            }
            Some(_) => return false,
        }
        (state.seq, state.n) = (piece.until.seq, piece.until.n);
        self.changed.send_replace(());
        true
    }

    /// What follows after a place.
    pub(super) fn look(&self, after: StreamId) -> Look {
        let state = self.lock();
        let until = StreamId { seq: state.seq, n: state.n };
        if !state.is_known() || after.n == 0 && after.seq > 0 || after < state.floor || after > until {
            return Look::Missed;
        }
        let items = state.items.iter().filter(|(id, _)| *id > after).cloned().collect();
        Look::Next { items, until }
    }

    /// Everything that holds so far, for a reader that has nothing but the first `complete` answers, and where it stands
    /// then.
    pub(super) fn everything(&self, complete: usize) -> (Vec<StreamEvent>, StreamId) {
        let state = self.lock();
        let live = state.live.as_ref().map(|live| live.everything(complete));
        let mirrored = || state.mirror.as_ref().map(|mirror| mirror.everything(complete));
        let events = live.or_else(mirrored).unwrap_or_default();
        (events, StreamId { seq: state.seq, n: state.n })
    }

    /// Tells when something changes.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, event: StreamEvent) {
        self.n += 1;
        self.keep(StreamId { seq: self.seq, n: self.n }, event);
    }

    fn is_known(&self) -> bool {
        self.live.is_some() || self.mirror.is_some()
    }

    fn keep(&mut self, id: StreamId, event: StreamEvent) {
        self.bytes += size(&event);
        self.items.push_back((id, event));
        while self.items.len() > MOST_ITEMS || self.bytes > MOST_BYTES {
            let Some((id, event)) = self.items.pop_front() else { return };
            self.bytes -= size(&event);
            self.floor = id;
        }
    }
}

fn size(event: &StreamEvent) -> usize {
    match event {
        StreamEvent::Text { text, .. } => text.len(),
        StreamEvent::Record { .. } | StreamEvent::Reset { .. } | StreamEvent::Complete { .. } => 0,
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let mut channels = self.hub.lock();
        if channels.get(&self.run).is_some_and(|channel| channel.strong_count() == 0) {
            channels.remove(&self.run);
        }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("run", &self.run).finish_non_exhaustive()
    }
}

/// An event with its place.
pub(super) fn item(id: Option<StreamId>, event: StreamEvent) -> StreamItem {
    StreamItem { id, event }
}
