//! How fast: a bucket that fills with time, and a ceiling that is learnt.

use liteagent_engine::units::Millis;

const MINUTE: f64 = 60_000.0;

/// What may be used at once, as a share of a minute's: with it, no minute sees more than 1.15 of its limit.
const BURST: f64 = 0.15;

/// A bucket that fills with time. It may be overdrawn by one call that is larger than it: that call has to pass once.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    level: f64,
    at: Option<Millis>,
}

impl Bucket {
    /// Until when to wait for `need`, at this many a minute.
    pub(super) fn ready(&mut self, need: f64, per_minute: f64, now: Millis) -> Millis {
        self.fill(per_minute, now);
        let missing = need.min(size(per_minute)) - self.level;
        // Half a thousandth is the error of the arithmetic, not something to wait for.
        if missing <= 5e-4 { now } else { now.saturating_add((missing / per_minute * MINUTE).ceil() as Millis) }
    }

    /// Takes from it, or gives back.
    pub(super) fn take(&mut self, need: f64) {
        self.level -= need;
    }

    /// What was saved up is gone.
    pub(super) fn empty(&mut self) {
        self.level = self.level.min(0.0);
    }

    fn fill(&mut self, per_minute: f64, now: Millis) {
        let size = size(per_minute);
        self.level = match self.at {
            None => size,
            Some(at) => (self.level + (now - at).max(0) as f64 * per_minute / MINUTE).min(size),
        };
        self.at = Some(now);
    }
}

fn size(per_minute: f64) -> f64 {
    (per_minute * BURST).max(1.0)
}

/// How many calls a minute the provider takes, as far as its refusals tell: cut when it refuses, raised with every call
/// that it takes.
#[derive(Debug, Default)]
pub(super) struct Ceiling {
    per_minute: Option<f64>,
    cut_at: Millis,
    /// Calls that were taken, by second of the minute, and the second that each place stands for.
    taken: Option<Box<[(Millis, u32); 60]>>,
}

impl Ceiling {
    /// What is kept of the pace at which the provider refused.
    const CUT: f64 = 0.8;
    /// What every call adds to the pace: a fifth of it in a minute.
    const RAISE: f64 = 0.2;
    /// A pace is measured over so many seconds at least: providers let bursts pass.
    const SHORTEST: i64 = 5;
    /// Without a refusal for so long there is no ceiling.
    const FORGOTTEN: Millis = 600_000;

    pub(super) fn per_minute(&self) -> Option<f64> {
        self.per_minute
    }

    /// A call was taken.
    pub(super) fn raise(&mut self, now: Millis) {
        let second = now.div_euclid(1_000);
        let taken = self.taken.get_or_insert_with(|| Box::new([(0, 0); 60]));
        let place = &mut taken[second.rem_euclid(60) as usize];
        if place.0 != second {
            *place = (second, 0);
        }
        place.1 += 1;
        if now - self.cut_at > Self::FORGOTTEN {
            self.per_minute = None;
        }
        if let Some(pace) = &mut self.per_minute {
            *pace += Self::RAISE;
        }
    }

    /// The provider refused: the pace of the last minute was too fast. Nothing is learnt before anything was taken.
    pub(super) fn cut(&mut self, now: Millis) {
        let second = now.div_euclid(1_000);
        let last_minute = self.taken.iter().flat_map(|taken| taken.iter()).filter(|(at, _)| *at > second - 60);
        let (since, taken) = last_minute.fold((second, 0), |(since, sum), (at, count)| (since.min(*at), sum + count));
        self.cut_at = now;
        let seconds = (second - since + 1).max(Self::SHORTEST) as f64;
        let measured = if taken == 0 { f64::INFINITY } else { f64::from(taken) * 60.0 / seconds };
        let pace = self.per_minute.unwrap_or(f64::INFINITY).min(measured);
        if pace.is_finite() {
            self.per_minute = Some((pace * Self::CUT).max(1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_burst_and_fills_with_time() {
        let mut bucket = Bucket::default();
        let mut sent = 0;
        while bucket.ready(1.0, 60.0, 0) == 0 {
            bucket.take(1.0);
            sent += 1;
        }
        assert_eq!((sent, bucket.ready(1.0, 60.0, 0)), (9, 1_000));
        assert_eq!(bucket.ready(1.0, 60.0, 1_000), 1_000);
        // A call larger than the bucket passes when it is full, and is paid for afterwards.
        let mut tokens = Bucket::default();
        assert_eq!(tokens.ready(5_000.0, 6_000.0, 0), 0);
        tokens.take(5_000.0);
        assert_eq!(tokens.ready(100.0, 6_000.0, 0), 42_000);
    }

    #[test]
    fn the_ceiling_is_learnt_from_refusals_and_forgotten() {
        let mut ceiling = Ceiling::default();
        ceiling.cut(0);
        assert_eq!(ceiling.per_minute(), None, "nothing was taken yet");
        (0..100).for_each(|call| ceiling.raise(call * 100));
        ceiling.cut(9_999);
        assert_eq!(ceiling.per_minute(), Some(480.0), "a hundred in ten seconds were too many");
        (0..10).for_each(|call| ceiling.raise(80_000 + call));
        assert!((ceiling.per_minute().unwrap() - 482.0).abs() < 1e-9);
        ceiling.cut(80_100);
        assert_eq!(ceiling.per_minute(), Some(96.0), "ten at once count as ten in five seconds");
        ceiling.raise(700_000);
        assert_eq!(ceiling.per_minute(), None);
    }
}
