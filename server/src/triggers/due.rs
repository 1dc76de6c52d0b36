//! Which firings of a schedule are due, by its policies. Pure: no clock is read.

use liteagent_engine::{
    definition::{Missed, ScheduleTrigger},
    time::{Schedule, jitter},
    units::{Duration, Millis},
};

/// A firing that is handled later than this was missed.
const GRACE: Millis = 10_000;
/// The most missed firings that fire.
pub(super) const MOST: usize = 1_000;

/// What is to be done with a schedule.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// What fires, in order.
    pub(super) fire: Vec<Millis>,
    /// What is left out: how many at least, and the newest of them.
    pub(super) left_out: Option<(usize, Millis)>,
}

/// What is due of a schedule whose firings up to `handled` were handled.
pub(super) fn due(name: &str, schedule: &Schedule, trigger: &ScheduleTrigger, handled: Millis, now: Millis) -> Due {
    let wait = |at: Millis| jitter(name, at, trigger.jitter.unwrap_or(Duration::from_millis(0)));
    let (firings, mut left_out) = newest(schedule, handled, now);
    let firings: Vec<_> = firings.into_iter().take_while(|at| at + wait(*at) <= now).collect();
    let late = firings.partition_point(|at| at + wait(*at) < now - GRACE);
    let keep = match trigger.missed {
        Missed::Skip => 0,
        Missed::Last => usize::from(late == firings.len()),
        Missed::All => MOST,
    };
    let first = late - keep.min(late);
    left_out += first;
    let newest = firings[..first].last().copied();
    Due { left_out: newest.map(|newest| (left_out, newest)), fire: firings[first..].to_vec() }
}

/// The newest firings after a time up to another one, and how many before them are not looked at, at least. The work is
/// bounded, however long nobody looked.
fn newest(schedule: &Schedule, after: Millis, until: Millis) -> (Vec<Millis>, usize) {
    const LOOKED_AT: usize = 2 * MOST;
    let (mut after, mut not_looked_at) = (after, 0);
    loop {
        let firings: Vec<_> = schedule.firings(after).take_while(|at| *at <= until).take(LOOKED_AT + 1).collect();
        if firings.len() <= LOOKED_AT {
            return (firings, not_looked_at);
        }
        let middle = after + (until - after) / 2;
        not_looked_at += firings.iter().filter(|at| **at <= middle).count();
        after = middle;
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(&format!("2026-03-{text}Z")).unwrap().timestamp_millis()
    }

    fn trigger(fields: &str) -> ScheduleTrigger {
        serde_saphyr::from_str(&format!("{{ cron: '@hourly', {fields} }}")).unwrap()
    }

    fn look(fields: &str, handled: &str, now: &str) -> Due {
        let trigger = trigger(fields);
        let schedule = Schedule::parse(&trigger.cron, &trigger.timezone).unwrap();
        due("a/b", &schedule, &trigger, at(handled), at(now))
    }

    #[test]
    fn a_firing_is_due_when_its_time_has_come_and_only_once() {
        let nothing = Due::default();
        for missed in ["skip", "last", "all"] {
            let fields = format!("missed: {missed}");
            assert_eq!(look(&fields, "01T08:30:00", "01T08:59:59"), nothing);
            for now in ["01T09:00:00", "01T09:00:09"] {
                assert_eq!(look(&fields, "01T08:30:00", now).fire, [at("01T09:00:00")], "{missed} at {now}");
            }
            assert_eq!(look(&fields, "01T09:00:00", "01T09:00:00"), nothing);
        }
    }

    #[test]
    fn after_a_sleep_over_three_firings_the_policy_says_what_fires() {
        let (handled, now) = ("01T08:30:00", "01T11:30:00");
        let of = |hours: &[u8]| hours.iter().map(|hour| at(&format!("01T{hour:02}:00:00"))).collect::<Vec<_>>();
        let cases =
            [("skip", of(&[]), Some((3, 11))), ("last", of(&[11]), Some((2, 10))), ("all", of(&[9, 10, 11]), None)];
        for (missed, fire, left_out) in cases {
            let left_out = left_out.map(|(count, hour)| (count, of(&[hour])[0]));
            assert_eq!(look(&format!("missed: {missed}"), handled, now), Due { fire, left_out }, "{missed}");
        }
        // One that is on time stands for those that were missed.
        let last = look("missed: last", handled, "01T12:00:01");
        assert_eq!(last, Due { fire: of(&[12]), left_out: Some((3, of(&[11])[0])) });
        let skip = look("missed: skip", handled, "01T12:00:01");
        assert_eq!(skip, last);
    }

    #[test]
    fn a_long_sleep_of_a_fast_schedule_is_cut() {
        let fields = "missed: all";
        let trigger = ScheduleTrigger { cron: "* * * * * *".to_owned(), ..trigger(fields) };
        let schedule = Schedule::parse(&trigger.cron, "UTC").unwrap();
        let due = due("a/b", &schedule, &trigger, at("01T00:00:00"), at("20T00:00:00"));
        // The missed ones, and those of the last ten seconds.
        assert_eq!((due.fire.len(), due.fire.last()), (MOST + 11, Some(&at("20T00:00:00"))));
        let (count, newest) = due.left_out.unwrap();
        assert!(count >= MOST && newest == due.fire[0] - 1_000);
    }

    #[test]
    fn jitter_delays_and_never_changes_the_time_that_is_told() {
        let wait = jitter("a/b", at("01T09:00:00"), Duration::from_secs(600));
        assert!(wait > 1_000);
        let trigger = trigger("jitter: 10m");
        let schedule = Schedule::parse(&trigger.cron, "UTC").unwrap();
        let look = |now| due("a/b", &schedule, &trigger, at("01T08:30:00"), now).fire;
        assert!(look(at("01T09:00:00") + wait - 1).is_empty());
        assert_eq!(look(at("01T09:00:00") + wait), [at("01T09:00:00")]);
    }
}
