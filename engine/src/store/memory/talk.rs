//! Conversations in plain collections.

use std::collections::HashMap;

use crate::{
    id::RunId,
    store::{ConversationEnd, ConversationRow, NewRun, StoredTurn, title_of},
    value::Value,
};

/// Every conversation, and every turn.
#[derive(Default)]
pub(super) struct Talks {
    conversations: HashMap<String, Talk>,
    turns: HashMap<RunId, (String, StoredTurn)>,
}

#[derive(Default)]
struct Talk {
    variables: Option<Value>,
    row: Option<ConversationRow>,
}

impl Talks {
    /// The turn of a run that begins to exist.
    pub(super) fn say(&mut self, new: &NewRun) {
        let (Some(id), Some(turn)) = (&new.conversation, &new.turn) else { return };
        let talk = self.conversations.entry(id.clone()).or_default();
        let beside = turn.beside.and_then(|run| self.turns.get(&run));
        let after = match beside {
            Some((_, beside)) => beside.after,
            None => talk.row.as_ref().map(|row| row.head),
        };
        let row = talk.row.get_or_insert_with(|| ConversationRow {
            id: id.clone(),
            workflow: new.workflow.clone(),
            title: title_of(&turn.message),
            head: new.id,
            created_at: new.at,
            updated_at: new.at,
        });
        row.head = new.id;
        row.updated_at = new.at;
        let turn = StoredTurn {
            run: new.id,
            after,
            message: turn.message.clone(),
            files: turn.files.clone(),
            answer: None,
            at: new.at,
        };
        self.turns.insert(new.id, (id.clone(), turn));
    }

    /// What a run leaves.
    pub(super) fn end(&mut self, run: RunId, end: ConversationEnd) {
        self.conversations.entry(end.id).or_default().variables = Some(end.variables);
        if let Some((_, turn)) = self.turns.get_mut(&run) {
            turn.answer = end.answer;
        }
    }

    pub(super) fn variables(&self, id: &str) -> Option<Value> {
        self.conversations.get(id)?.variables.clone()
    }

    pub(super) fn turn(&self, run: RunId) -> Option<StoredTurn> {
        self.turns.get(&run).map(|(_, turn)| turn.clone())
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

    pub(super) fn list(&self, workflow: Option<&str>, limit: u32) -> Vec<ConversationRow> {
        let rows = self.conversations.values().filter_map(|talk| talk.row.clone());
        let mut rows: Vec<_> = rows.filter(|row| workflow.is_none_or(|name| row.workflow == name)).collect();
        rows.sort_by(|a, b| (b.updated_at, b.head).cmp(&(a.updated_at, a.head)));
        rows.truncate(limit as usize);
        rows
    }

    /// Deletes a conversation with its turns; whether there was one.
    pub(super) fn forget(&mut self, id: &str) -> bool {
        self.turns.retain(|_, (of, _)| of != id);
        self.conversations.remove(id).is_some()
    }
}
