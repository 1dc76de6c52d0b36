//! What the model keeps of the tokens that it has read: keys and values, in pages, which conversations share.

use std::sync::Arc;

use super::llama::Shape;

/// Tokens of a page.
pub(super) const PAGE: usize = 64;
/// A conversation that shares fewer tokens with a question than this is not worth copying a page for.
const WORTH: usize = 16;

/// The keys and values of a page's tokens, for every layer.
#[derive(Clone)]
pub(super) struct Page(Vec<f32>);

/// The part of a page for one layer and one head of keys and values.
pub(super) struct Part<'a> {
    /// A row for each element of a key, a column for each token.
    pub(super) keys: &'a [f32],
    /// A row for each token.
    pub(super) values: &'a [f32],
}

/// The tokens of a conversation with their keys and values.
#[derive(Clone, Default)]
pub(super) struct Cache {
    tokens: Vec<u32>,
    pages: Vec<Arc<Page>>,
}

impl Cache {
    /// How many tokens were read.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Makes room for more tokens, whose keys and values are then put in with [`Self::put`]. A page that another
    /// conversation shares is copied first.
    pub(super) fn reserve(&mut self, more: usize, shape: &Shape) {
        let length = shape.layers * shape.key_heads * 2 * shape.head * PAGE;
        let pages = (self.len() + more).div_ceil(PAGE);
        let begun = self.len() / PAGE;
        if let Some(last) = self.pages.get_mut(begun) {
            Arc::make_mut(last);
        }
        self.pages.resize_with(pages, || Arc::new(Page(vec![0.0; length])));
    }

    /// Puts in the keys and values of the tokens after those that were read, for one layer: head by head, one token after the
    /// other.
    pub(super) fn put(&mut self, layer: usize, shape: &Shape, keys: &[f32], values: &[f32]) {
        let head = shape.head;
        let tokens = keys.len() / (shape.key_heads * head);
        let heads = keys.chunks_exact(tokens * head).zip(values.chunks_exact(tokens * head));
        for (key_head, (keys, values)) in heads.enumerate() {
            let start = part(layer, key_head, shape);
            for (token, (key, value)) in keys.chunks_exact(head).zip(values.chunks_exact(head)).enumerate() {
                let (page, at) = ((self.tokens.len() + token) / PAGE, (self.tokens.len() + token) % PAGE);
                let page = Arc::get_mut(&mut self.pages[page]).expect("`reserve` has copied shared pages");
                let (to_keys, to_values) = page.0[start..start + 2 * head * PAGE].split_at_mut(head * PAGE);
                for (row, element) in to_keys.chunks_exact_mut(PAGE).zip(key) {
                    row[at] = *element;
                }
                to_values[at * head..][..head].copy_from_slice(value);
            }
        }
    }

    /// The parts of all pages for a layer and a head of keys and values.
    pub(super) fn parts<'a>(&'a self, layer: usize, key_head: usize, shape: &Shape) -> impl Iterator<Item = Part<'a>> {
        let start = part(layer, key_head, shape);
        let length = shape.head * PAGE;
        self.pages.iter().map(move |page| {
            let (keys, values) = page.0[start..start + 2 * length].split_at(length);
            Part { keys, values }
        })
    }

    /// The tokens that were put in for every layer now count as read.
    pub(super) fn extend(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }

    /// Forgets the tokens beyond this count.
    pub(super) fn truncate(&mut self, tokens: usize) {
        self.tokens.truncate(tokens);
        self.pages.truncate(tokens.div_ceil(PAGE));
    }

    /// How many tokens at the begin are those of a question. The last one of the question is never among them: it has to be
    /// read for what follows it.
    fn shared(&self, question: &[u32]) -> usize {
        let question = &question[..question.len().saturating_sub(1)];
        self.tokens.iter().zip(question).take_while(|(read, asked)| read == asked).count()
    }
}

fn part(layer: usize, key_head: usize, shape: &Shape) -> usize {
    (layer * shape.key_heads + key_head) * 2 * shape.head * PAGE
}

/// The conversations that are kept, the one that was used last at the end.
pub(super) struct Kept {
    conversations: Vec<Cache>,
    most: usize,
    most_pages: usize,
}

impl Kept {
    /// At most so many conversations, of at most so many tokens in all.
    pub(super) fn new(most: usize, most_tokens: usize) -> Self {
        Self { conversations: Vec::new(), most, most_pages: most_tokens / PAGE }
    }

    /// A conversation that begins like the question, as far as it does. It continues one that is wholly its begin; of one that
    /// goes on in another way it is a copy, which shares the pages.
    pub(super) fn take(&mut self, question: &[u32]) -> Cache {
        let shared = self.conversations.iter().map(|kept| kept.shared(question)).enumerate();
        // The last of the longest: it was used most recently.
        let Some((index, shared)) = shared.max_by_key(|(_, shared)| *shared).filter(|(_, shared)| *shared >= WORTH)
        else {
            return Cache::default();
        };
        let whole = self.conversations[index].len() == shared;
        let mut cache = if whole { self.conversations.remove(index) } else { self.conversations[index].clone() };
        cache.truncate(shared);
        cache
    }

    /// Keeps a conversation, and drops those that were not used for longest when there are too many.
    pub(super) fn put(&mut self, cache: Cache) {
        // What is a begin of the new one is found in it.
        self.conversations.retain(|kept| !cache.tokens.starts_with(&kept.tokens));
        self.conversations.push(cache);
        while self.conversations.len() > self.most || self.pages() > self.most_pages {
            self.conversations.remove(0);
        }
    }

    /// Pages in all; one that is shared counts for each that shares it.
    fn pages(&self) -> usize {
        self.conversations.iter().map(|kept| kept.pages.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape { layers: 1, heads: 1, key_heads: 1, head: 1, ..Shape::default() }
    }

    fn read(kept: &mut Kept, question: &[u32]) -> usize {
        let mut cache = kept.take(question);
        let found = cache.len();
        let rest = question[found..].to_vec();
        cache.reserve(rest.len(), &shape());
        let elements: Vec<f32> = rest.iter().map(|token| *token as f32).collect();
        cache.put(0, &shape(), &elements, &elements);
        cache.extend(&rest);
        // Every page holds the values of its tokens, whoever has written to others meanwhile.
        let held: Vec<f32> = cache.parts(0, 0, &shape()).flat_map(|part| part.values.to_vec()).collect();
        assert!(question.iter().zip(&held).all(|(token, value)| *token as f32 == *value));
        kept.put(cache);
        found
    }

    #[test]
    fn a_question_finds_the_longest_begin_that_was_read() {
        let mut kept = Kept::new(3, 1000);
        let first: Vec<u32> = (0..100).collect();
        assert_eq!(read(&mut kept, &first), 0);
        let follow_up: Vec<u32> = (0..150).collect();
        assert_eq!(read(&mut kept, &follow_up), 100);
        assert_eq!(kept.conversations.len(), 1, "the first is a begin of the second");

        // Another way from the middle of a page: both stay.
        let other: Vec<u32> = (0..90).chain(500..560).collect();
        assert_eq!(read(&mut kept, &other), 90);
        assert_eq!(read(&mut kept, &follow_up), 149, "the last token is read again");
        assert_eq!(read(&mut kept, &other), 149);
        assert_eq!(kept.conversations.len(), 2);
        assert_eq!(read(&mut kept, &(0..10).chain(900..930).collect::<Vec<_>>()), 0, "ten tokens are not worth it");
    }

    #[test]
    fn few_conversations_are_kept_the_last_used_ones() {
        let conversation = |name: u32, length: u32| (0..length).map(|token| name * 1000 + token).collect::<Vec<_>>();
        let mut kept = Kept::new(2, 3 * PAGE);
        for name in [1, 2] {
            read(&mut kept, &conversation(name, 64));
        }
        assert_eq!(read(&mut kept, &conversation(1, 65)), 64, "which makes it the last used");
        assert_eq!(read(&mut kept, &conversation(3, 64)), 0);
        assert_eq!(kept.conversations.len(), 2);
        assert_eq!(read(&mut kept, &conversation(2, 64)), 0, "it was dropped");
        // More tokens than may be kept: it goes at once, and everything before it.
        assert_eq!(read(&mut kept, &conversation(4, 500)), 0);
        assert!(kept.conversations.is_empty());
    }
}
