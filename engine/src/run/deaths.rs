//! Whether a run ends the processes that execute it: what its journal says about its owners.

use crate::event::{Event, Record};

/// So many owners in a row died, with nothing done in between: the run is executed alone.
const SUSPECT: u32 = 2;
/// So many of those that executed it alone died in a row: the run fails.
const MOST_ALONE: u32 = 2;
/// So many died in a row where no run can be executed alone: the run fails.
const MOST_TOGETHER: u32 = 5;

/// How the owners of a run went. A fold of its records, like everything that is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// How many owners in a row have died, with nothing done in between.
    pub in_a_row: u32,
    /// How many of them executed nothing but this run.
    pub alone: u32,
    /// Whether the owner before the newest one died while it executed nothing else.
    pub died_alone: bool,
    /// Whether the newest owner executes nothing else.
    is_alone: bool,
}

/// Where a process can execute runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ward {
    /// It is the one that executes a single run.
    Alone,
    /// It can start such a process.
    Near,
    /// It cannot.
    None,
}

/// What is done with a run that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoOn,
    /// It must be executed alone.
    Isolate,
    /// It fails.
    Fail,
    /// Not even its failure could be journaled: it is left alone.
    Leave,
}

impl Deaths {
    /// What records say.
    pub fn of(records: &[Record]) -> Self {
        let mut deaths = Self::default();
        for record in records {
            deaths.apply(&record.event);
        }
        deaths
    }

    /// Folds an event.
    pub fn apply<A>(&mut self, event: &Event<A>) {
        match event {
            Event::RunTaken { deaths, alone, .. } => {
                self.died_alone = self.is_alone && *deaths > self.in_a_row;
                self.alone += u32::from(self.died_alone);
                self.in_a_row = *deaths;
                self.is_alone = *alone;
            }
            // Every owner writes these again, and messages come from elsewhere: nothing was done by them.
            Event::NodeStarted { .. }
            | Event::JobTaken { .. }
            | Event::NodeLost { .. }
            | Event::SignalReceived { .. }
            | Event::SignalIgnored { .. }
            | Event::CancelRequested { .. }
            | Event::AnswerOpened { .. }
            | Event::BudgetWarned { .. } => {}
            _ => (self.in_a_row, self.alone) = (0, 0),
        }
    }

    /// What is done with the run by a process that has just taken it.
    pub fn verdict(&self, ward: Ward) -> Verdict {
        match ward {
            Ward::Alone if self.alone >= MOST_ALONE => Verdict::Fail,
            Ward::Near if self.alone > MOST_ALONE => Verdict::Leave,
            Ward::Near if self.in_a_row >= SUSPECT => Verdict::Isolate,
            Ward::None if self.in_a_row >= MOST_TOGETHER => Verdict::Fail,
            Ward::Alone | Ward::Near | Ward::None => Verdict::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Place, SkipReason},
        id::SessionId,
    };

    /// The journal of owners, each `(died before it, is alone, does something)`.
    fn after(owners: &[(bool, bool, bool)]) -> Deaths {
        let mut deaths = Deaths::default();
        for (epoch, (died, alone, does)) in (1..).zip(owners) {
            let count = deaths.in_a_row + u32::from(*died);
            deaths.apply(&Event::<()>::RunTaken { epoch, owner: SessionId::random(), deaths: count, alone: *alone });
            deaths.apply(&Event::NodeStarted { node: (), attempt: 1, place: Place::Local { epoch } });
            if *does {
                deaths.apply(&Event::NodeSkipped { node: (), why: SkipReason::When });
            }
        }
        deaths
    }

    #[test]
    fn two_deaths_with_nothing_done_make_a_suspect_and_two_alone_a_failure() {
        let (free, dead, alone) = ((false, false, false), (true, false, false), (true, true, false));
        assert_eq!(after(&[free, dead]).verdict(Ward::Near), Verdict::GoOn);
        assert_eq!(after(&[free, dead, dead]).verdict(Ward::Near), Verdict::Isolate);
        let isolated = (false, true, false);
        let in_ward = [free, dead, dead, isolated];
        assert_eq!(after(&in_ward).verdict(Ward::Alone), Verdict::GoOn);
        assert_eq!(after(&[&in_ward[..], &[dead, isolated]].concat()).verdict(Ward::Alone), Verdict::GoOn);
        assert_eq!(
            after(&[&in_ward[..], &[dead, isolated, dead, isolated]].concat()).verdict(Ward::Alone),
            Verdict::Fail
        );
        assert_eq!(after(&[&in_ward[..], &[alone, alone, alone]].concat()).verdict(Ward::Near), Verdict::Leave);
        assert_eq!(after(&[free, dead, dead, dead, dead]).verdict(Ward::None), Verdict::GoOn);
        assert_eq!(after(&[free, dead, dead, dead, dead, dead]).verdict(Ward::None), Verdict::Fail);
    }

    #[test]
    fn who_gave_the_run_back_did_not_die_and_whatever_was_done_begins_the_count_again() {
        let (free, dead, works) = ((false, false, false), (true, false, false), (true, false, true));
        assert_eq!(after(&[free; 9]).in_a_row, 0);
        assert_eq!(after(&[free, dead, free, free, dead]).in_a_row, 2, "a hand-over neither counts nor clears");
        assert_eq!(after(&[free, dead, works, dead]).in_a_row, 1);
        assert_eq!(after(&[free, works, works, works, works]).verdict(Ward::None), Verdict::GoOn);
    }

    #[test]
    fn only_a_death_in_quarantine_counts_against_a_node() {
        let (free, dead) = ((false, false, false), (true, false, false));
        assert!(!after(&[free, dead, dead]).died_alone);
        assert!(after(&[free, (false, true, true), dead]).died_alone);
        assert!(!after(&[free, (false, true, true), free]).died_alone, "it was given back");
        assert!(!after(&[free, (false, true, true), dead, dead]).died_alone, "the newest death was not alone");
    }
}
