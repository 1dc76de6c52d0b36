//! Conversations in plain collections.

use std::collections::HashMap;

use crate::{
    id::RunId,
    store::{
        ConversationEnd, ConversationFilter, ConversationRow, NewRun, Rating, Speaker, StoredTurn, TurnPage, title_of,
    },
    units::Millis,
    value::Value,
};

/// Every conversation, and every turn.
#[derive(Default)]
pub(super) struct Talks {
    conversations: HashMap<String, Talk>,
    turns: HashMap<RunId, StoredTurn>,
}

#[derive(Default)]
struct Talk {
    variables: Option<Value>,
    said: Option<Said>,
}

/// What is known of a conversation with something said in it.
struct Said {
    workflow: String,
    title: String,
    speaker: Option<Speaker>,
    head: RunId,
    created_at: Millis,
    updated_at: Millis,
}

impl Talks {
    /// The turn of a run that begins to exist.
    pub(super) fn say(&mut self, new: &NewRun) {
        let (Some(id), Some(turn)) = (&new.conversation, &new.turn) else { return };
        let talk = self.conversations.entry(id.clone()).or_default();
        let beside = turn.beside.and_then(|run| self.turns.get(&run));
        let after = match beside {
            Some(beside) => beside.after,
            None => talk.said.as_ref().map(|said| said.head),
        };
        let said = talk.said.get_or_insert_with(|| Said {
            workflow: new.workflow.clone(),
            title: title_of(&turn.message),
            speaker: turn.speaker.clone(),
            head: new.id,
            created_at: new.at,
            updated_at: new.at,
        });
        said.head = new.id;
        said.updated_at = new.at;
        let turn = StoredTurn {
            run: new.id,
            conversation: id.clone(),
            after,
            message: turn.message.clone(),
            files: turn.files.clone(),
            answer: None,
            at: new.at,
            rating: None,
        };
        self.turns.insert(new.id, turn);
    }

    /// What a run leaves.
    pub(super) fn end(&mut self, run: RunId, end: ConversationEnd) {
        self.conversations.entry(end.id).or_default().variables = Some(end.variables);
        if let Some(turn) = self.turns.get_mut(&run) {
            turn.answer = end.answer;
        }
    }

    pub(super) fn variables(&self, id: &str) -> Option<Value> {
        self.conversations.get(id)?.variables.clone()
    }

    pub(super) fn turn(&self, run: RunId) -> Option<StoredTurn> {
        self.turns.get(&run).cloned()
    }

    pub(super) fn before(&self, run: RunId, most: usize) -> Vec<StoredTurn> {
        let mut turns = Vec::new();
        let mut next = self.turn(run).and_then(|turn| turn.after);
        while let Some(turn) = next.filter(|_| turns.len() < most).and_then(|run| self.turn(run)) {
            next = turn.after;
            turns.push(turn);
        }
        turns.reverse();
        turns
    }

    pub(super) fn turns(&self, id: &str, page: TurnPage) -> Vec<StoredTurn> {
        let head = self.conversations.get(id).and_then(|talk| talk.said.as_ref()).map(|said| said.head);
        let mut turns = head.map_or_else(Vec::new, |head| self.before(head, usize::MAX));
        turns.extend(head.and_then(|head| self.turn(head)));
        if page.newest_first {
            turns.reverse();
        }
        if let Some(after) = page.after {
            let next = turns.iter().position(|turn| turn.run == after).map_or(turns.len(), |at| at + 1);
            turns.drain(..next);
        }
        turns.truncate(page.limit as usize);
        turns
    }

    pub(super) fn rate(&mut self, run: RunId, rating: Option<Rating>) -> bool {
        let turn = self.turns.get_mut(&run);
        turn.map(|turn| turn.rating = rating).is_some()
    }

    pub(super) fn list(&self, filter: &ConversationFilter) -> Vec<ConversationRow> {
        let rows = self.conversations.keys().filter_map(|id| self.row(id));
        let mut rows: Vec<_> = rows.filter(|row| filter.fits(row)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.place()));
        rows.truncate(filter.limit() as usize);
        rows
    }

    pub(super) fn row(&self, id: &str) -> Option<ConversationRow> {
        let Said { workflow, title, speaker, head, created_at, updated_at } =
            self.conversations.get(id)?.said.as_ref()?;
        Some(ConversationRow {
            id: id.to_owned(),
            workflow: workflow.clone(),
            title: title.clone(),
            speaker: speaker.clone(),
            turns: self.turns.values().filter(|turn| turn.conversation == id).count() as u64,
            last: self.turn(*head)?,
            created_at: *created_at,
            updated_at: *updated_at,
        })
    }

    pub(super) fn rename(&mut self, id: &str, title: &str) -> bool {
        let said = self.conversations.get_mut(id).and_then(|talk| talk.said.as_mut());
        said.map(|said| title.clone_into(&mut said.title)).is_some()
    }

    /// Deletes a conversation with its turns; whether there was one.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        self.turns.retain(|_, turn| turn.conversation != id);
        self.conversations.remove(id).is_some()
    }
}
