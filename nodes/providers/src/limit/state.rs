//! What a limiter knows, and what it decides. Time comes from outside; nothing here waits.

use std::time::Duration;

use liteagent_engine::units::Millis;

use super::{
    Left, Told,
    pace::{Bucket, Ceiling},
};
use crate::settings::Limits;

/// How many calls may be on their way without an answer at the start; each answer lets one more.
const FIRST: f64 = 16.0;

/// The first wait after a refusal that does not say how long; each further one doubles it.
const WAIT: Millis = 1_000;
const LONGEST_WAIT: Millis = 30_000;

/// Whether the next call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Now.
    Go,
    /// At this time, by our own pace.
    At(Millis),
    /// At this time, as the provider says.
    Told(Millis),
    /// When another call is answered, or over.
    Later,
}

/// A call that was let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    tokens: u64,
    /// How often the pace had been cut when it was sent.
    cuts: u64,
    is_answered: bool,
}

/// What a limiter knows of one key.
#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    in_flight: u32,
    unanswered: u32,
    unanswered_tokens: u64,
    /// How many calls may be unanswered at once, and up to where that grows with every answer; from there on slowly.
    window: f64,
    threshold: f64,
    requests: Bucket,
    tokens: Bucket,
    ceiling: Ceiling,
    told: Told,
    paused_until: Millis,
    refusals: u32,
    cuts: u64,
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_flight: 0,
            unanswered: 0,
            unanswered_tokens: 0,
            window: FIRST,
            threshold: f64::INFINITY,
            requests: Bucket::default(),
            tokens: Bucket::default(),
            ceiling: Ceiling::default(),
            told: Told::default(),
            paused_until: Millis::MIN,
            refusals: 0,
            cuts: 0,
        }
    }

    /// Whether a call of so many tokens may be sent.
    pub(super) fn verdict(&mut self, tokens: u64, now: Millis) -> Verdict {
        if self.paused_until > now {
            return Verdict::Told(self.paused_until);
        }
        let is_full = self.limits.in_flight.is_some_and(|most| self.in_flight >= most);
        if is_full || f64::from(self.unanswered) >= self.window.floor() {
            return Verdict::Later;
        }
        let told = until(&mut self.told.requests, 1, now).max(until(&mut self.told.tokens, tokens, now));
        if told > now {
            return Verdict::Told(told);
        }
        let mut at = now;
        if let Some(pace) = self.pace() {
            at = at.max(self.requests.ready(1.0, pace, now));
        }
        if let Some(pace) = self.limits.tokens {
            at = at.max(self.tokens.ready(tokens as f64, f64::from(pace), now));
        }
        if at > now { Verdict::At(at) } else { Verdict::Go }
    }

    fn pace(&self) -> Option<f64> {
        let stated = self.limits.requests.map(f64::from);
        match (stated, self.ceiling.per_minute()) {
            (Some(stated), Some(learnt)) => Some(stated.min(learnt)),
            (stated, learnt) => stated.or(learnt),
        }
    }

    /// A call is sent.
    pub(super) fn pass(&mut self, tokens: u64) -> Passed {
        self.in_flight += 1;
        self.unanswered += 1;
        self.unanswered_tokens += tokens;
        self.requests.take(1.0);
        self.tokens.take(tokens as f64);
        take(&mut self.told.requests, 1);
        take(&mut self.told.tokens, tokens);
        Passed { tokens, cuts: self.cuts, is_answered: false }
    }

    /// The provider took a call.
    pub(super) fn taken(&mut self, call: &mut Passed, told: &Told, now: Millis) {
        self.answered(call);
        self.hear(told);
        self.refusals = 0;
        self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        self.ceiling.raise(now);
    }

    /// The provider asks to slow down.
    pub(super) fn refused(&mut self, mut call: Passed, wait: Option<Duration>, told: &Told, now: Millis) -> Millis {
        self.answered(&mut call);
        self.in_flight -= 1;
        self.give_back(call.tokens);
        self.hear(told);
        // Calls that were sent together are refused together: that is one refusal.
        if call.cuts == self.cuts {
            self.cuts += 1;
            self.threshold = (self.window.min(f64::from(self.unanswered + 1)) / 2.0).max(1.0);
            self.window = 1.0;
            self.ceiling.cut(now);
            self.requests.empty();
            self.refusals = self.refusals.saturating_add(1);
        }
        let usual = WAIT.saturating_mul(1 << (self.refusals.saturating_sub(1)).min(10)).min(LONGEST_WAIT);
        let wait = wait.and_then(|wait| Millis::try_from(wait.as_millis()).ok()).unwrap_or(usual);
        self.paused_until = self.paused_until.max(now.saturating_add(wait));
        self.paused_until
    }

    /// A call failed, and used nothing.
    pub(super) fn failed(&mut self, mut call: Passed) {
        self.answered(&mut call);
        self.in_flight -= 1;
        self.give_back(call.tokens);
    }

    /// A call is over. Without a count the estimate stands.
    pub(super) fn ended(&mut self, mut call: Passed, tokens: Option<u64>) {
        self.answered(&mut call);
        self.in_flight -= 1;
        if let Some(tokens) = tokens {
            self.tokens.take(tokens as f64 - call.tokens as f64);
        }
    }

    /// How long the provider wants not to be called.
    pub(super) fn paused_until(&self) -> Millis {
        self.paused_until
    }

    fn answered(&mut self, call: &mut Passed) {
        if !std::mem::replace(&mut call.is_answered, true) {
            self.unanswered -= 1;
            self.unanswered_tokens -= call.tokens;
        }
    }

    fn give_back(&mut self, tokens: u64) {
        self.tokens.take(-(tokens as f64));
    }

    /// What is left was counted when the answer was made: calls that are on their way still have to be taken off.
    fn hear(&mut self, told: &Told) {
        if let Some(left) = told.requests {
            self.told.requests = Some(Left { left: left.left.saturating_sub(u64::from(self.unanswered)), ..left });
        }
        if let Some(left) = told.tokens {
            self.told.tokens = Some(Left { left: left.left.saturating_sub(self.unanswered_tokens), ..left });
        }
    }
}

/// Until when to wait for what the provider says is left. One that could never be satisfied passes when all is there.
fn until(told: &mut Option<Left>, need: u64, now: Millis) -> Millis {
    let Some(left) = told else { return now };
    if left.reset <= now {
        *told = None;
        return now;
    }
    if left.left >= need.min(left.of.unwrap_or(u64::MAX)) { now } else { left.reset }
}

fn take(told: &mut Option<Left>, need: u64) {
    if let Some(left) = told {
        left.left = left.left.saturating_sub(need);
    }
}
