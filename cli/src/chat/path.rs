//! The turns of a conversation that lead to where a person stands in it, and where the next one will stand.

use liteagent_engine::{
    codes,
    id::RunId,
    store::{Journal, StoredTurn, TurnPage},
    usage::Usage,
};

use crate::failure::Failure;

/// Turns from the first to the newest. Beside them there may be others: the conversation is a tree.
#[derive(Debug, Default)]
pub(super) struct Path {
    turns: Vec<Said>,
    /// The turn beside which the next one stands; after the newest without one.
    beside: Option<RunId>,
}

/// What a person said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Its run.
    pub(super) run: RunId,
    /// The message.
    pub(super) message: String,
}

impl Path {
    /// The path to the newest turn of a conversation; empty for one that is not there yet.
    ///
    /// # Errors
    /// When the store fails, or the conversation belongs to another workflow.
    pub(super) async fn load(journal: &dyn Journal, id: &str, workflow: &str) -> Result<Self, Failure> {
        const MOST: u32 = 100_000;
        let Some(row) = journal.conversation_row(id).await? else { return Ok(Self::default()) };
        if row.workflow != workflow {
            let message = format!("the conversation `{id}` is one with `{}`, not with `{workflow}`", row.workflow);
            return Err(Failure::usage(codes::UNKNOWN_NAME, message)
                .hint(format!("go on with `liteagent chat {} --conversation {id}`", row.workflow)));
        }
        let turns = journal.turns(id, TurnPage { newest_first: false, after: None, limit: MOST }).await?;
        let said = |turn: StoredTurn| Said { run: turn.run, message: turn.message };
        Ok(Self { turns: turns.into_iter().map(said).collect(), beside: None })
    }

    /// How many turns lead here.
    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// The newest turn.
    pub(super) fn last(&self) -> Option<&Said> {
        self.turns.last()
    }

    /// Goes back to where `turn` was the newest: the next one stands beside the one that came after it.
    ///
    /// # Errors
    /// When there is no such turn.
    pub(super) fn fork(&mut self, turn: Option<usize>) -> Result<usize, Failure> {
        let turn = match (turn, self.turns.len()) {
            (_, 0) => return Err(none("nothing was said yet")),
            (Some(turn), turns) if turn > turns => {
                return Err(none(&format!("expected a turn from 0 to {turns}, found {turn}")));
            }
            (Some(turn), _) => turn,
            (None, turns) => turns - 1,
        };
        if let Some(next) = self.turns.get(turn) {
            self.beside = Some(next.run);
        }
        self.turns.truncate(turn);
        Ok(turn)
    }

    /// Where the next turn stands.
    pub(super) fn beside(&self) -> Option<RunId> {
        self.beside
    }

    /// The next turn exists.
    pub(super) fn push(&mut self, run: RunId, message: String) {
        self.beside = None;
        self.turns.push(Said { run, message });
    }

    /// What the runs of the path used, as far as they are still kept.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn used(&self, journal: &dyn Journal) -> Result<Usage, Failure> {
        let mut usage = Usage::default();
        for turn in &self.turns {
            if let Some(row) = journal.run(turn.run).await? {
                usage += row.usage;
            }
        }
        Ok(usage)
    }
}

/// There is no turn that a command is about.
pub(super) fn none(why: &str) -> Failure {
    Failure::usage(codes::WRONG_INPUT, why.to_owned())
        .hint("the number before `>` counts the turns; `/help` tells more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(turns: usize) -> (Path, Vec<RunId>) {
        let runs: Vec<RunId> = (0..turns).map(|_| RunId::random()).collect();
        let mut path = Path::default();
        for run in &runs {
            path.push(*run, "Hi".to_owned());
        }
        (path, runs)
    }

    #[test]
    fn a_fork_stands_beside_the_turn_that_came_next() {
        let (mut path, runs) = path(3);
        assert_eq!((path.fork(Some(1)).unwrap(), path.len(), path.beside()), (1, 1, Some(runs[1])));
        let next = RunId::random();
        path.push(next, "Ho".to_owned());
        assert_eq!((path.len(), path.beside()), (2, None));
        // Without a number, the newest turn is left out.
        assert_eq!((path.fork(None).unwrap(), path.beside()), (1, Some(next)));
    }

    #[test]
    fn to_go_on_after_the_newest_turn_changes_nothing() {
        let (mut path, _) = path(2);
        assert_eq!((path.fork(Some(2)).unwrap(), path.len(), path.beside()), (2, 2, None));
        assert_eq!(path.fork(Some(3)).unwrap_err().message, "expected a turn from 0 to 2, found 3");
        assert_eq!(Path::default().fork(None).unwrap_err().message, "nothing was said yet");
    }
}
