//! What may come next, byte by byte. A stack holds what is still to come, the next thing last.

use super::schema::{DEEPEST, Id, Kind, Schema, WORDS};

/// What is still to come of an answer, the next thing last.
pub(super) type Stack = Vec<Item>;

/// Digits of a number before its point, and after it: as many as a double holds.
const DIGITS: u8 = 15;
/// Characters of a name that the schema does not give.
const NAME: u32 = 64;

/// A thing that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Value(Id),
    /// The rest of a literal.
    Literal {
        kind: Id,
        option: u32,
        at: u32,
    },
    /// The rest of a member's name with its colon.
    Key {
        kind: Id,
        member: u32,
        at: u32,
    },
    /// Characters of a text up to its quote: at most so many.
    Text {
        left: u32,
        tail: Tail,
    },
    /// What a backslash begins.
    Escape {
        left: u32,
    },
    /// The rest of a number.
    Number {
        integer: bool,
        at: Digits,
    },
    /// Members from the given one on, or the end of the object.
    Members {
        kind: Id,
        next: u32,
        some: bool,
    },
    /// A member from the given one on, after a comma.
    Member {
        kind: Id,
        next: u32,
    },
    /// Members with any names, or the end of the object.
    Entries {
        values: Id,
        some: bool,
    },
    /// A member with any name, after a comma.
    Entry {
        values: Id,
    },
    Colon,
    /// Items after so many, or the end of the list.
    Items {
        kind: Id,
        count: u32,
    },
    /// One space, or none.
    Space,
}

/// The bytes that a character of several still needs, and the range of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    need: u8,
    low: u8,
    high: u8,
}

impl Tail {
    pub(super) const NONE: Self = Self { need: 0, low: 0x80, high: 0xbf };

    /// After the first byte of a character.
    const fn after(byte: u8) -> Option<Self> {
        let (need, low, high) = match byte {
            ..0x80 => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(Self { need, low, high })
    }
}

/// Where in a number we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    Begin,
    Minus,
    Zero,
    Whole(u8),
    Point,
    Fraction(u8),
}

impl Digits {
    fn step(self, byte: u8, integer: bool) -> Option<Self> {
        match (self, byte) {
            (Self::Begin, b'-') => Some(Self::Minus),
            (Self::Begin, b'0') => Some(Self::Zero),
            (Self::Minus, b'0') if !integer => Some(Self::Zero),
            (Self::Begin | Self::Minus, b'1'..=b'9') => Some(Self::Whole(1)),
            (Self::Whole(count), b'0'..=b'9') if count < DIGITS => Some(Self::Whole(count + 1)),
            (Self::Zero | Self::Whole(_), b'.') if !integer => Some(Self::Point),
            (Self::Point, b'0'..=b'9') => Some(Self::Fraction(1)),
            (Self::Fraction(count), b'0'..=b'9') if count < DIGITS => Some(Self::Fraction(count + 1)),
            _ => None,
        }
    }

    const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole(_) | Self::Fraction(_))
    }
}

impl Schema {
    /// Every way in which it can be read on after a byte.
    pub(super) fn step(&self, stacks: &[Stack], byte: u8) -> Vec<Stack> {
        let mut after = Vec::new();
        for stack in stacks {
            self.step_one(stack.clone(), byte, &mut after);
        }
        after
    }

    /// Whether nothing more has to come.
    pub(super) fn may_end(stack: &[Item]) -> bool {
        stack.iter().all(|item| match item {
            Item::Space => true,
            Item::Number { at, .. } => at.may_end(),
            _ => false,
        })
    }

    fn step_one(&self, mut stack: Stack, byte: u8, after: &mut Vec<Stack>) {
        let Some(item) = stack.pop() else { return };
        let mut go_on = |items: &[Item]| {
            let mut stack = stack.clone();
            stack.extend_from_slice(items);
            after.push(stack);
        };
        match item {
            Item::Value(id) => self.begin(stack, id, byte, after),
            Item::Literal { kind, option, at } => {
                let Kind::Literals(texts) = self.kind(kind) else { return };
                let text = &texts[option as usize];
                if text.get(at as usize) == Some(&byte) {
                    let rest = [Item::Literal { kind, option, at: at + 1 }];
                    go_on(if at as usize + 1 < text.len() { &rest } else { &[] });
                }
            }
            Item::Key { kind, member, at } => {
                let Kind::Object(members) = self.kind(kind) else { return };
                let key = &members[member as usize].key;
                if key.get(at as usize) == Some(&byte) {
                    let rest = [Item::Key { kind, member, at: at + 1 }];
                    go_on(if at as usize + 1 < key.len() { &rest } else { &[] });
                }
            }
            Item::Text { left, tail } => step_text(left, tail, byte, go_on),
            Item::Escape { left } => {
                if b"\"\\/bfnrt".contains(&byte) {
                    go_on(&[Item::Text { left: left - 1, tail: Tail::NONE }]);
                }
            }
            Item::Number { integer, at } => match at.step(byte, integer) {
                Some(at) => go_on(&[Item::Number { integer, at }]),
                None if at.may_end() => self.step_one(stack, byte, after),
                None => {}
            },
            Item::Members { kind, next, some } => {
                let Kind::Object(members) = self.kind(kind) else { return };
                match byte {
                    b'}' if members[next as usize..].iter().all(|member| !member.required) => go_on(&[]),
                    b',' if some && (next as usize) < members.len() => {
                        go_on(&[Item::Member { kind, next }, Item::Space]);
                    }
                    b'"' if !some => self.begin_member(stack, kind, next, after),
                    _ => {}
                }
            }
            Item::Member { kind, next } => {
                if byte == b'"' {
                    self.begin_member(stack, kind, next, after);
                }
            }
            Item::Entries { values, some } => match byte {
                b'}' => go_on(&[]),
                b',' if some => go_on(&[Item::Entry { values }, Item::Space]),
                b'"' if !some => go_on(&entry(values)),
                _ => {}
            },
            Item::Entry { values } => {
                if byte == b'"' {
                    go_on(&entry(values));
                }
            }
            Item::Colon => {
                if byte == b':' {
                    go_on(&[]);
                }
            }
            Item::Items { kind, count } => self.step_items(stack, kind, count, byte, after),
            Item::Space => {
                if byte == b' ' {
                    go_on(&[]);
                } else {
                    self.step_one(stack, byte, after);
                }
            }
        }
    }

    /// The first byte of a value.
    fn begin(&self, stack: Stack, id: Id, byte: u8, after: &mut Vec<Stack>) {
        let mut go_on = |items: &[Item]| {
            let mut stack = stack.clone();
            stack.extend_from_slice(items);
            after.push(stack);
        };
        match self.kind(id) {
            Kind::Literals(texts) => {
                for option in 0..texts.len() as u32 {
                    let literal = Item::Literal { kind: id, option, at: 0 };
                    self.step_one([stack.as_slice(), &[literal]].concat(), byte, after);
                }
            }
            Kind::Text { most } if byte == b'"' => {
                go_on(&[Item::Text { left: most.unwrap_or(u32::MAX), tail: Tail::NONE }]);
            }
            Kind::Number { integer } => {
                if let Some(at) = Digits::Begin.step(byte, *integer) {
                    go_on(&[Item::Number { integer: *integer, at }]);
                }
            }
            Kind::Object(_) if byte == b'{' => go_on(&[Item::Members { kind: id, next: 0, some: false }]),
            Kind::Map { values } if byte == b'{' => go_on(&[Item::Entries { values: *values, some: false }]),
            Kind::List { .. } if byte == b'[' => go_on(&[Item::Items { kind: id, count: 0 }]),
            Kind::Either(kinds) => {
                for kind in kinds {
                    self.begin(stack.clone(), *kind, byte, after);
                }
            }
            Kind::Any => self.begin_any(stack, id, byte, after),
            _ => {}
        }
    }

    fn begin_any(&self, mut stack: Stack, any: Id, byte: u8, after: &mut Vec<Stack>) {
        let flat = stack.len() >= DEEPEST;
        let item = match byte {
            b'"' => Item::Text { left: u32::MAX, tail: Tail::NONE },
            b'{' if !flat => Item::Entries { values: any, some: false },
            b'[' if !flat => Item::Items { kind: any, count: 0 },
            b't' | b'f' | b'n' => return self.begin(stack, WORDS, byte, after),
            _ => match Digits::Begin.step(byte, false) {
                Some(at) => Item::Number { integer: false, at },
                None => return,
            },
        };
        stack.push(item);
        after.push(stack);
    }

    /// The first byte of the name of a member: the given one, or a later one where those between may be left out.
    fn begin_member(&self, stack: Stack, kind: Id, next: u32, after: &mut Vec<Stack>) {
        let Kind::Object(members) = self.kind(kind) else { return };
        for (member, found) in members.iter().enumerate().skip(next as usize) {
            let member = member as u32;
            let items = [
                Item::Members { kind, next: member + 1, some: true },
                Item::Value(found.value),
                Item::Space,
                Item::Key { kind, member, at: 1 },
            ];
            after.push([stack.as_slice(), &items].concat());
            if found.required {
                return;
            }
        }
    }

    fn step_items(&self, mut stack: Stack, kind: Id, count: u32, byte: u8, after: &mut Vec<Stack>) {
        let (items, least, most) = self.list(kind);
        if byte == b']' {
            if count >= least {
                after.push(stack);
            }
            return;
        }
        if count >= most {
            return;
        }
        stack.extend([Item::Items { kind, count: count + 1 }, Item::Value(items)]);
        match byte {
            b',' if count > 0 => {
                stack.push(Item::Space);
                after.push(stack);
            }
            _ if count == 0 => self.step_one(stack, byte, after),
            _ => {}
        }
    }

    /// What the items of a list are, and how many there may be. A free value is a list of free values.
    fn list(&self, kind: Id) -> (Id, u32, u32) {
        match self.kind(kind) {
            Kind::List { items, least, most } => (*items, *least, most.unwrap_or(u32::MAX)),
            _ => (kind, 0, u32::MAX),
        }
    }

    /// The shortest text that ends it.
    pub(super) fn closing(&self, stack: &[Item]) -> Vec<u8> {
        let mut text = Vec::new();
        for item in stack.iter().rev() {
            match *item {
                Item::Value(id) => text.extend(self.shortest(id)),
                Item::Literal { kind, option, at } => {
                    if let Kind::Literals(texts) = self.kind(kind) {
                        text.extend(&texts[option as usize][at as usize..]);
                    }
                }
                Item::Key { kind, member, at } => {
                    if let Kind::Object(members) = self.kind(kind) {
                        text.extend(&members[member as usize].key[at as usize..]);
                    }
                }
                Item::Text { tail, .. } => {
                    text.extend((0..tail.need).map(|index| if index == 0 { tail.low } else { 0x80 }));
                    text.push(b'"');
                }
                Item::Escape { .. } => text.extend(b"n\""),
                Item::Number { integer, at } => {
                    text.extend(match at {
                        Digits::Minus if integer => b"1".as_slice(),
                        at if at.may_end() => b"",
                        _ => b"0",
                    });
                }
                Item::Members { kind, next, some } => self.close_members(kind, next, some, &mut text),
                Item::Member { kind, next } => self.close_member(kind, next, &mut text),
                Item::Entries { .. } => text.push(b'}'),
                Item::Entry { values } => {
                    text.extend(b"\"\":");
                    text.extend(self.shortest(values));
                    text.push(b'}');
                }
                Item::Colon => text.push(b':'),
                Item::Items { kind, count } => {
                    let (items, least, _) = self.list(kind);
                    for index in count..least {
                        text.extend(if index > 0 { b",".as_slice() } else { b"" });
                        text.extend(self.shortest(items));
                    }
                    text.push(b']');
                }
                Item::Space => {}
            }
        }
        text
    }

    fn close_members(&self, kind: Id, next: u32, some: bool, text: &mut Vec<u8>) {
        let Kind::Object(members) = self.kind(kind) else { return };
        let mut some = some;
        for member in members[next as usize..].iter().filter(|member| member.required) {
            text.extend(if some { b",".as_slice() } else { b"" });
            text.extend(&member.key);
            text.extend(self.shortest(member.value));
            some = true;
        }
        text.push(b'}');
    }

    /// A comma was there: so a member has to come, and then those that are required.
    fn close_member(&self, kind: Id, next: u32, text: &mut Vec<u8>) {
        let Kind::Object(members) = self.kind(kind) else { return };
        let rest = &members[next as usize..];
        let at = rest.iter().position(|member| member.required).unwrap_or_default();
        if let Some(member) = rest.get(at) {
            text.extend(&member.key);
            text.extend(self.shortest(member.value));
        }
        self.close_members(kind, next + at as u32 + 1, true, text);
    }
}

fn step_text(left: u32, tail: Tail, byte: u8, mut go_on: impl FnMut(&[Item])) {
    if tail.need > 0 {
        if (tail.low..=tail.high).contains(&byte) {
            go_on(&[Item::Text { left, tail: Tail { need: tail.need - 1, ..Tail::NONE } }]);
        }
        return;
    }
    match byte {
        b'"' => go_on(&[]),
        b'\\' if left > 0 => go_on(&[Item::Escape { left }]),
        0x20.. if left > 0 => {
            if let Some(tail) = Tail::after(byte) {
                go_on(&[Item::Text { left: left - 1, tail }]);
            }
        }
        _ => {}
    }
}

/// A member with any name, after its first quote.
fn entry(values: Id) -> [Item; 5] {
    [
        Item::Entries { values, some: true },
        Item::Value(values),
        Item::Space,
        Item::Colon,
        Item::Text { left: NAME, tail: Tail::NONE },
    ]
}
