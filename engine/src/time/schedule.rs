//! Schedules: when something fires next, in a time zone. Pure: no clock is read.

use std::str::FromStr;

use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use sha2::{Digest as _, Sha256};

use crate::units::{Duration, Millis};

const HOUR: Millis = 60 * 60 * 1000;

/// A cron expression in a time zone.
///
/// A time that the clock skips in spring comes at the first moment after the gap when second, minute and hour are single
/// numbers, and not at all otherwise. A time that comes twice in autumn fires once when they are single numbers, and twice
/// otherwise, as Vixie's cron does it. A day that a zone leaves out has no firings.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression cannot be read.
    #[error("{0}")]
    Cron(String),
    /// There is no such time zone.
    #[error("unknown time zone `{0}`")]
    Zone(String),
}

impl Schedule {
    /// Reads an expression of five or six fields, or `@daily` and its like, and an IANA name.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let cron = Cron::from_str(cron).map_err(|error| ScheduleError::Cron(plain(&error.to_string())))?;
        let zone = zone.parse().map_err(|_| ScheduleError::Zone(zone.to_owned()))?;
        Ok(Self { cron, zone })
    }

    /// The first firing after a time; `None` when there is none within the next thousands of years.
    pub fn next_after(&self, after: Millis) -> Option<Millis> {
        let start = self.local(after)?;
        let next = self.cron.find_next_occurrence(&start, false).ok().or_else(|| {
            let beyond = self.local(self.after_lost_day(after)?)?;
            self.cron.find_next_occurrence(&beyond, true).ok()
        })?;
        Some(next.timestamp_millis())
    }

    /// The firings after a time, in order.
    pub fn firings(&self, after: Millis) -> impl Iterator<Item = Millis> + '_ {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last))
    }

    fn local(&self, at: Millis) -> Option<DateTime<Tz>> {
        Some(DateTime::<Utc>::from_timestamp_millis(at)?.with_timezone(&self.zone))
    }

    /// The first moment after a change of the zone by more than two hours, within the next 400 days: croner gives up before
    /// such a gap, as Samoa has it on 30 December 2011.
    fn after_lost_day(&self, after: Millis) -> Option<Millis> {
        let offset = |at: Millis| -> Option<Millis> {
            let at = DateTime::<Utc>::from_timestamp_millis(at)?;
            Some(Millis::from(self.zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()) * 1000)
        };
        let first = after - after.rem_euclid(HOUR);
        let mut hours = (0..400 * 24).map(|hour| first + hour * HOUR);
        let before =
            hours.find(|at| matches!((offset(*at), offset(at + HOUR)), (Some(a), Some(b)) if b - a > 2 * HOUR))?;
        (1..=60).map(|minute| before + minute * 60_000).find(|at| offset(*at) == offset(before + HOUR))
    }
}

/// How much later a firing comes: less than `most`, and always the same for the same firing of the same schedule.
pub fn jitter(schedule: &str, firing: Millis, most: Duration) -> Millis {
    let most = u64::try_from(most.millis()).unwrap_or(0);
    if most == 0 {
        return 0;
    }
    let digest = Sha256::digest(format!("{schedule}@{firing}"));
    let drawn = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Millis::try_from(drawn % most).unwrap_or(0)
}

/// A message of the library in our form.
fn plain(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn jitter_is_the_same_for_the_same_firing_and_spread_over_its_range() {
        let most = Duration::from_secs(300);
        let drawn: BTreeSet<_> = (0..100).map(|firing| jitter("reports/nightly", firing * 60_000, most)).collect();
        assert!(drawn.len() > 90 && drawn.iter().all(|wait| (0..300_000).contains(wait)), "{drawn:?}");
        assert!(drawn.last() > Some(&250_000) && drawn.first() < Some(&50_000));
        assert_eq!(jitter("a/b", 1, most), jitter("a/b", 1, most));
        assert_ne!(jitter("a/b", 1, most), jitter("a/c", 1, most));
        assert_eq!(jitter("a/b", 1, Duration::from_millis(0)), 0);
    }

    #[test]
    fn what_never_fires_has_no_next_time() {
        assert_eq!(Schedule::parse("0 0 30 2 *", "UTC").unwrap().next_after(0), None);
        assert!(matches!(Schedule::parse("0 25 * * *", "UTC"), Err(ScheduleError::Cron(_))));
        assert!(matches!(Schedule::parse("@daily", "Mars/Base"), Err(ScheduleError::Zone(_))));
    }
}
