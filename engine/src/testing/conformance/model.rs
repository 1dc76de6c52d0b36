//! Many sessions do to a journal what comes into their heads; a small model says what must come of it.

use std::collections::{BTreeMap, BTreeSet};

use super::samples::{ended, message, new_run, records};
use crate::{
    event::{RunStatus, Seq},
    id::{RunId, SessionId},
    store::{Append, AppendError, DEFAULT_LEASE, Journal, Release, RunPhase, Take},
    units::Millis,
};

const RUNS: u8 = 3;
const SESSIONS: u8 = 3;
const MESSAGES: u8 = 5;
const LEASE: Millis = DEFAULT_LEASE.as_millis() as Millis;

/// One step of a script: any three numbers mean something.
pub type Step = [u8; 3];

/// Plays a script against a fresh journal and compares every outcome with the model.
pub async fn a_journal_follows_the_model(journal: &dyn Journal, script: &[Step]) {
    let mut play = Play::begin(journal).await;
    for step in script {
        play.step(*step).await;
        play.compare().await;
    }
}

struct Play<'a> {
    journal: &'a dyn Journal,
    now: Millis,
    sessions: Vec<SessionId>,
    heartbeats: BTreeMap<usize, Millis>,
    runs: Vec<Model>,
    /// What each session believes about each run: it may be out of date.
    claims: BTreeMap<(usize, usize), (u64, Seq)>,
}

/// What a run must look like.
struct Model {
    id: RunId,
    phase: RunPhase,
    epoch: u64,
    seq: Seq,
    owner: Option<SessionId>,
    wake_at: Option<Millis>,
    inbox: Vec<String>,
    seen: BTreeSet<String>,
}

impl<'a> Play<'a> {
    async fn begin(journal: &'a dyn Journal) -> Self {
        let (sessions, heartbeats, claims) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut play = Self { journal, now: 1, sessions, heartbeats, runs: Vec::new(), claims };
        for slot in 0..SESSIONS {
            play.open(slot.into()).await;
        }
        for _ in 0..RUNS {
            let new = new_run("model", 1);
            play.runs.push(Model::new(new.id));
            journal.create(new).await.unwrap();
        }
        play
    }

    async fn step(&mut self, [what, who, how]: Step) {
        let (run, session) = (usize::from(who % RUNS), usize::from(who / RUNS % SESSIONS));
        match what % 10 {
            0 | 1 => self.take(run, session).await,
            2..=4 => self.append(run, session, u64::from(how % 4), None).await,
            5 => self.append(run, session, u64::from(how % 2), Some(release(how))).await,
            6 => self.send(run, how % MESSAGES).await,
            7 => self.pass_time(session, how).await,
            8 => self.consume(run, session).await,
            _ => {
                let closed = self.sessions[session];
                self.journal.close_session(closed).await.unwrap();
                for model in self.runs.iter_mut().filter(|model| model.owner == Some(closed)) {
                    (model.phase, model.owner) = (RunPhase::Queued, None);
                }
                self.open(session).await;
            }
        }
    }

    async fn open(&mut self, slot: usize) {
        let session = SessionId::random();
        self.journal.open_session(session, self.now).await.unwrap();
        if slot == self.sessions.len() {
            self.sessions.push(session);
        }
        self.sessions[slot] = session;
        self.heartbeats.insert(slot, self.now);
        self.claims.retain(|(owner, _), _| *owner != slot);
    }

    fn is_alive(&self, session: SessionId) -> bool {
        let slot = self.sessions.iter().position(|known| *known == session);
        slot.is_some_and(|slot| self.now - self.heartbeats[&slot] <= LEASE)
    }

    async fn take(&mut self, run: usize, slot: usize) {
        let session = self.sessions[slot];
        let outcome = self.journal.take(self.runs[run].id, session, self.now).await.unwrap();
        let owner = self.runs[run].owner.filter(|owner| *owner != session && self.is_alive(*owner));
        let model = &mut self.runs[run];
        if model.phase == RunPhase::Ended {
            assert!(matches!(outcome, Take::Ended), "{outcome:?}");
        } else if let Some(owner) = owner {
            assert!(matches!(outcome, Take::Owned(found) if found == owner), "{outcome:?}");
        } else {
            let Take::Taken(taken) = outcome else { panic!("expected to take the run, found {outcome:?}") };
            model.epoch += 1;
            assert_eq!((taken.epoch, taken.row.seq, taken.row.phase), (model.epoch, model.seq, model.phase));
            (model.phase, model.owner, model.wake_at) = (RunPhase::Running, Some(session), None);
            self.claims.insert((slot, run), (model.epoch, model.seq));
        }
    }

    async fn append(&mut self, run: usize, slot: usize, count: u64, release: Option<Release>) {
        self.append_and_consume(run, slot, count, release, Vec::new()).await;
    }

    async fn consume(&mut self, run: usize, slot: usize) {
        let rows = self.journal.inbox(self.runs[run].id).await.unwrap().iter().map(|message| message.row).collect();
        self.append_and_consume(run, slot, 1, None, rows).await;
    }

    async fn append_and_consume(
        &mut self,
        run: usize,
        slot: usize,
        count: u64,
        release: Option<Release>,
        consumed: Vec<i64>,
    ) {
        let Some((epoch, seq)) = self.claims.get(&(slot, run)).copied() else { return };
        let (session, id) = (self.sessions[slot], self.runs[run].id);
        let append = Append {
            run: id,
            epoch,
            session,
            expected: seq,
            records: records(seq + 1..=seq + count),
            consumed: consumed.clone(),
            blobs: Vec::new(),
            children: Vec::new(),
            send: Vec::new(),
            release: release.clone(),
            at: self.now,
        };
        let outcome = self.journal.append(append).await;

        let model = &mut self.runs[run];
        let fits =
            model.phase == RunPhase::Running && (model.owner, model.epoch, model.seq) == (Some(session), epoch, seq);
        let rests = matches!(release, Some(Release::Waiting { .. } | Release::Ended { .. }));
        if !fits {
            assert!(matches!(outcome, Err(AppendError::Fenced)), "{outcome:?}");
        } else if rests && consumed.is_empty() && !model.inbox.is_empty() {
            assert!(matches!(outcome, Err(AppendError::InboxNotEmpty)), "{outcome:?}");
        } else {
            outcome.unwrap();
            model.seq += count;
            if !consumed.is_empty() {
                model.inbox.clear();
            }
            self.claims.insert((slot, run), (epoch, model.seq));
            model.release(release);
        }
    }

    async fn send(&mut self, run: usize, number: u8) {
        let model = &mut self.runs[run];
        let id = format!("m{number}");
        let sent = self.journal.send(model.id, message(&id)).await.unwrap();
        assert_eq!(sent, model.phase != RunPhase::Ended);
        if sent && model.seen.insert(id.clone()) {
            model.inbox.push(id);
        }
    }

    async fn pass_time(&mut self, slot: usize, how: u8) {
        self.now += LEASE * Millis::from(how % 4) / 2;
        self.journal.heartbeat(self.sessions[slot], self.now).await.unwrap();
        self.heartbeats.insert(slot, self.now);
    }

    async fn compare(&self) {
        let mut runnable = Vec::new();
        for model in &self.runs {
            let row = self.journal.run(model.id).await.unwrap().unwrap();
            let found = (row.phase, row.epoch, row.seq, row.owner, row.wake_at);
            assert_eq!(found, (model.phase, model.epoch, model.seq, model.owner, model.wake_at));
            let stored = self.journal.read(model.id, 0, 1000).await.unwrap();
            assert!(stored.iter().map(|record| record.seq).eq(1..=model.seq));
            let inbox = self.journal.inbox(model.id).await.unwrap();
            assert!(inbox.iter().map(|message| &message.message.id).eq(&model.inbox));
            if self.is_runnable(model) {
                runnable.push(model.id);
            }
        }
        assert_eq!(self.journal.runnable(self.now, 100).await.unwrap(), runnable);
    }

    fn is_runnable(&self, model: &Model) -> bool {
        match model.phase {
            RunPhase::Queued => true,
            RunPhase::Running => !model.owner.is_some_and(|owner| self.is_alive(owner)),
            RunPhase::Waiting => !model.inbox.is_empty() || model.wake_at.is_some_and(|at| at <= self.now),
            RunPhase::Held | RunPhase::Ended => false,
        }
    }
}

impl Model {
    fn new(id: RunId) -> Self {
        let (inbox, seen) = (Vec::new(), BTreeSet::new());
        Self { id, phase: RunPhase::Queued, epoch: 0, seq: 1, owner: None, wake_at: None, inbox, seen }
    }

    fn release(&mut self, release: Option<Release>) {
        let Some(release) = release else { return };
        self.owner = None;
        match release {
            Release::Queued => self.phase = RunPhase::Queued,
            Release::Waiting { wake_at } => (self.phase, self.wake_at) = (RunPhase::Waiting, wake_at),
            Release::Ended { .. } => self.phase = RunPhase::Ended,
        }
    }
}

fn release(how: u8) -> Release {
    match how % 7 {
        0 => ended(RunStatus::Succeeded),
        1 | 2 => Release::Queued,
        3 | 4 => Release::Waiting { wake_at: None },
        _ => Release::Waiting { wake_at: Some(LEASE * Millis::from(how)) },
    }
}
