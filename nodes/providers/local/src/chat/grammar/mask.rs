//! Which tokens may come next.

use super::{
    Grammar, Schema, Stack,
    state::{Item, Tail},
};
use crate::chat::vocabulary::Vocabulary;

/// The tokens of a vocabulary, in an order in which those that begin alike are neighbours.
pub(in crate::chat) struct Sorted {
    all: Vec<(Box<[u8]>, u32)>,
    /// Those that are not [`Plain`].
    special: Vec<(Box<[u8]>, u32)>,
    plain: Vec<Plain>,
}

/// A token that stands for itself in a text of JSON: whole characters, no quote, no backslash, no control character.
struct Plain {
    token: u32,
    characters: u32,
}

impl Sorted {
    pub(in crate::chat) fn new(vocabulary: &Vocabulary) -> Self {
        let tokens = (0..vocabulary.len() as u32).map(|token| (Box::<[u8]>::from(vocabulary.bytes(token)), token));
        let mut all: Vec<(Box<[u8]>, u32)> = tokens.filter(|(bytes, _)| !bytes.is_empty()).collect();
        all.sort_unstable();
        let mut special = Vec::new();
        let mut plain = Vec::new();
        for (bytes, token) in &all {
            let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            match std::str::from_utf8(bytes) {
                Ok(text) if !bytes.iter().any(is_special) => {
                    plain.push(Plain { token: *token, characters: text.chars().count() as u32 });
                }
                _ => special.push((bytes.clone(), *token)),
            }
        }
        Self { all, special, plain }
    }
}

impl Grammar {
    /// Calls `allow` for each token that may come next.
    pub(in crate::chat) fn tokens(&self, sorted: &Sorted, mut allow: impl FnMut(u32)) {
        for stack in &self.stacks {
            let stacks = std::slice::from_ref(stack);
            // Within a text nearly every token may come: those are not looked at byte by byte.
            if let Some(Item::Text { left, tail: Tail::NONE }) = stack.last() {
                let short = sorted.plain.iter().filter(|plain| plain.characters <= *left);
                short.for_each(|plain| allow(plain.token));
                walk(&self.schema, &sorted.special, 0, stacks, &mut allow);
            } else {
                walk(&self.schema, &sorted.all, 0, stacks, &mut allow);
            }
        }
    }
}

/// Goes through tokens that begin with the same bytes, so many that they have led to `stacks`.
fn walk(schema: &Schema, tokens: &[(Box<[u8]>, u32)], same: usize, stacks: &[Stack], allow: &mut dyn FnMut(u32)) {
    let whole = tokens.partition_point(|(bytes, _)| bytes.len() == same);
    tokens[..whole].iter().for_each(|(_, token)| allow(*token));
    let mut rest = &tokens[whole..];
    while let Some((bytes, _)) = rest.first() {
        let next = bytes[same];
        let (alike, others) = rest.split_at(rest.partition_point(|(bytes, _)| bytes[same] == next));
        let after = schema.step(stacks, next);
        if !after.is_empty() {
            walk(schema, alike, same + 1, &after, allow);
        }
        rest = others;
    }
}
