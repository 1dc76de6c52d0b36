//! Where the parts of a document stand.

use std::ops::Range;

use indexmap::IndexMap;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// A block scalar that keeps its lines, `|`.
    Literal,
    /// A block scalar that folds its lines, `>`.
    Folded,
    /// A list or a map.
    Collection,
}

impl Style {
    /// Whether this is a block scalar.
    pub(super) fn is_block(self) -> bool {
        matches!(self, Self::Literal | Self::Folded)
    }
}

/// The place of a value, and below it the places of its parts.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The key that leads here.
    pub key: Option<Range<usize>>,
    /// The value, or the alias that brought it in.
    pub value: Range<usize>,
    /// Where the value was written, when an alias or a merge key brought it in.
    pub origin: Option<Range<usize>>,
    /// How it is written.
    pub style: Style,
    /// The places below.
    pub parts: Parts,
}

/// The places below a place.
#[derive(Clone, Debug)]
pub(super) enum Parts {
    /// A scalar has none.
    None,
    /// The items of a list.
    List(Vec<Place>),
    /// The members of a map.
    Map(IndexMap<String, Place>),
}

impl Place {
    /// A scalar.
    pub(super) fn scalar(value: Range<usize>, style: Style) -> Self {
        Self { key: None, value, origin: None, style, parts: Parts::None }
    }

    /// A list or a map.
    pub(super) fn collection(value: Range<usize>, parts: Parts) -> Self {
        Self { key: None, value, origin: None, style: Style::Collection, parts }
    }

    /// The place at a pointer, or of its nearest parent; and whether it is exact.
    pub(super) fn find(&self, pointer: &str) -> (&Self, bool) {
        let mut place = self;
        for step in pointer.split('/').skip(1) {
            let next = match &place.parts {
                Parts::None => None,
                Parts::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                Parts::Map(members) if step.contains('~') => members.get(&step.replace("~1", "/").replace("~0", "~")),
                Parts::Map(members) => members.get(step),
            };
            match next {
                Some(next) => place = next,
                None => return (place, false),
            }
        }
        (place, true)
    }

    /// The same value, brought to another place by an alias.
    pub(super) fn moved_to(mut self, alias: &Range<usize>) -> Self {
        self.key = self.key.map(|_| alias.clone());
        self.origin = Some(self.origin.unwrap_or(self.value));
        self.value = alias.clone();
        self.parts = match self.parts {
            Parts::None => Parts::None,
            Parts::List(items) => Parts::List(items.into_iter().map(|place| place.moved_to(alias)).collect()),
            Parts::Map(members) => {
                Parts::Map(members.into_iter().map(|(key, place)| (key, place.moved_to(alias))).collect())
            }
        };
        self
    }
}
